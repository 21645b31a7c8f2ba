"""Writing a definition: what is written reads back as the very same definition."""

from __future__ import annotations

import json
from keyword import iskeyword
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_nb.definition.document import read_text
from orchestrator_nb.definition.models import (
    BOUNDARIES,
    CheckpointsDefinition,
    CommandDefinition,
    GateDefinition,
    KernelsDefinition,
    MonitoringDefinition,
    OptimizationDefinition,
    ParameterDefinition,
    RecoveryDefinition,
    WorkflowDefinition,
)
from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.definition.writing import to_dict, to_json, to_yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["on", "No", "null", "~", "012", "1e3", ".5", "0x1F", "2026-01-01", "12:30", "1_000", "<<", "- a", "a: b", "a #b", "*x",
     "&x", "!x", "%x", "@x", "", " a ", "a\nb", "a\u2028b", "\x85", "\ufeff", "\x7f", "'", '"', "\\", "{", "}", "[", "a,b"]
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.text("k", min_size=1, max_size=600), inner, max_size=4)
    ),
    max_leaves=12,
).filter(lambda value: "${{" not in json.dumps(value))
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name.isidentifier() and not name.startswith("__") and not iskeyword(name)
)
IDS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}", fullmatch=True).filter(
    lambda name: name not in ("parameters", "secrets", "matrix", "context")
)
WORDS = TEXTS.filter(lambda text: "\0" not in text and "${{" not in text)
PATHS = st.lists(WORDS.filter(bool), max_size=3).map(tuple)


@st.composite
def parameters(draw: st.DrawFn) -> ParameterDefinition:
    types: dict[str, Any] = {
        "string": TEXTS.filter(lambda text: "${{" not in text), "integer": st.integers(-100, 100),
        "number": st.floats(allow_nan=False, allow_infinity=False), "boolean": st.booleans(),
        "date": st.dates().map(str), "datetime": st.datetimes().map(lambda value: value.isoformat()),
        "path": WORDS.filter(bool), "list": st.lists(VALUES, max_size=3),
        "object": st.dictionaries(TEXTS, VALUES, max_size=3).filter(lambda value: "${{" not in json.dumps(value)), "any": VALUES,
    }  # fmt: skip
    name = draw(st.sampled_from(sorted(types)))
    values = draw(st.lists(types[name], min_size=1, max_size=3))
    required = draw(st.booleans())
    return ParameterDefinition(
        type=name,  # type: ignore[arg-type]  # one of the names above
        default=None if required else draw(st.none() | st.sampled_from(values)),
        required=required,
        choices=draw(st.none() | st.just(tuple(values))),
        description=draw(TEXTS),
    )


TYPED = st.dictionaries(WORDS.filter(bool), st.sampled_from(["integer", "table", "any"]), max_size=2)
PLAIN = st.dictionaries(TEXTS, VALUES, max_size=2).filter(lambda value: "${{" not in json.dumps(value))
SECONDS = st.floats(0.001, 1e6)
GATES = st.lists(
    st.builds(
        GateDefinition, gate=WORDS.filter(bool), name=TEXTS.filter(lambda text: "${{" not in text),
        blocking=st.booleans(), options=PLAIN,
    ),
    max_size=2,
).map(tuple)  # fmt: skip


KERNELS = st.builds(
    KernelsDefinition, start=st.sampled_from([None, "fork", "pool", "plain"]), preload=st.none() | PATHS
)


@st.composite
def commands(draw: st.DrawFn, name: str, before: list[str]) -> CommandDefinition:
    kind = draw(st.sampled_from(["notebook", "call", "shell", "command", "type"]))
    what: Any = draw(
        st.lists(WORDS.filter(bool), min_size=1, max_size=3).map(tuple) if kind == "shell" else WORDS.filter(bool)
    )
    options: dict[str, Any] = {}
    if kind in ("call", "command", "type"):
        options["args"] = draw(VALUES)
        options["isolation"] = draw(st.sampled_from([None, "thread", "process"]))
    if kind == "notebook":
        options["kernel"] = draw(st.none() | WORDS)
        options["kernels"] = draw(st.none() | KERNELS)
        options["allow_early_exit"] = draw(st.booleans())
    if kind == "shell":
        options["allow_failure_codes"] = draw(st.lists(st.integers(1, 255), max_size=2).map(tuple))
    environment = st.dictionaries(WORDS.filter(lambda key: bool(key) and "=" not in key), WORDS, max_size=2)
    return CommandDefinition(
        id=name, **{kind: what}, **options,
        parameters=draw(st.dictionaries(NAMES, VALUES, max_size=3)),
        after=tuple(draw(st.lists(st.sampled_from(before), unique=True, max_size=3))) if before else (),
        agent=draw(st.none() | st.sampled_from([*before, "someone"])),
        scope=draw(st.none() | WORDS), reads=draw(PATHS), writes=draw(PATHS), exclusive=draw(st.booleans()),
        description=draw(TEXTS), tags=draw(PATHS), optional=draw(st.booleans()),
        retries=draw(st.none() | st.integers(0, 1000)), retry_delay=draw(st.floats(0.001, 1e6)),
        idempotent=draw(st.booleans()), timeout=draw(st.none() | st.just("none") | st.floats(0.001, 1e6)),
        environment=draw(environment), cwd=draw(st.none() | WORDS.filter(bool)),
        outputs=draw(TYPED), context=draw(TYPED), gates=draw(GATES), provides=draw(PATHS), milestone=draw(st.booleans()),
        fallback=draw(st.sampled_from(before)) if before else None,
        degraded=draw(st.dictionaries(NAMES, st.none() | st.integers(0, 9), max_size=2)),
        targets=draw(st.dictionaries(IDS, SECONDS | st.just("2GB"), max_size=2)),
    )  # fmt: skip


@st.composite
def definitions(draw: st.DrawFn) -> WorkflowDefinition:
    ids = draw(st.lists(IDS, min_size=1, max_size=4, unique_by=str.casefold))
    return WorkflowDefinition(
        workflow=draw(IDS | st.just("context")), description=draw(TEXTS),
        pattern=draw(st.sampled_from(["sequential", "parallel", "hybrid"])),
        parameters=draw(st.dictionaries(NAMES, parameters(), max_size=3)),
        commands=tuple(draw(commands(name, ids[:place])) for place, name in enumerate(ids)),
        slots=draw(st.none() | st.integers(1, 10_000)), durability=draw(st.sampled_from(["full", "process"])),
        timeout=draw(st.just("none") | st.floats(0.001, 1e6)), imports=draw(PATHS),
        deadline=draw(st.none() | SECONDS), coordination_timeout=draw(st.none() | SECONDS), context=draw(PLAIN),
        quality_requirements=draw(GATES),
        recovery=RecoveryDefinition(
            retries=draw(st.none() | st.integers(0, 1000)), retry_delay=draw(st.none() | SECONDS)
        ),
        optimization=OptimizationDefinition(history=draw(st.booleans()), adaptive=draw(st.booleans())),
        checkpoints=CheckpointsDefinition(
            at=draw(st.lists(st.sampled_from(BOUNDARIES), unique=True).map(tuple)), include=draw(PATHS),
            exclude=draw(PATHS), keep=draw(st.none() | st.integers(2, 10**6)), keep_for=draw(st.just("none") | SECONDS),
            size_limit=draw(st.integers(0, 10**18) | st.just("2GB")),
            rollback=draw(st.sampled_from(["off", "ask", "automatic"])),
        ),
        monitoring=MonitoringDefinition(interval=draw(SECONDS), log_size=draw(st.integers(4096, 10**12))),
        kernels=draw(KERNELS),
    )  # fmt: skip


@settings(max_examples=40)
@given(definitions())
def test_definitions_round_trip_through_data_json_and_yaml(definition: WorkflowDefinition) -> None:
    """Whatever a definition holds, its three written forms give it back."""
    written = to_dict(definition)
    assert json.loads(json.dumps(written)) == written
    assert read_definition(written).definition == definition
    assert read_text(to_json(definition), language="json").data == written
    assert read_text(to_yaml(definition)).data == written
    assert read_definition(to_yaml(definition)).definition == definition


def test_the_canonical_form_is_what_a_person_would_write() -> None:
    """Ids are keys, defaults are left out, plain parameters stay plain, and only what needs quotes has them."""
    definition = read_definition({
        "workflowId": "sales", "parameters": {"day": "2026-01-01", "size": {"type": "integer", "choices": [1, 2], "default": 1}},
        "commands": [
            {"id": "01-clean", "notebook": "clean data.ipynb", "params": {"day": "${{ parameters.day }}"}, "retries": 0},
            {"id": "publish", "shell": ["echo", "on", "it's: done"], "upstream": "01-clean", "timeouts": "5m"},
        ],
    }).definition  # fmt: skip
    assert (
        to_yaml(definition)
        == """\
workflow: sales
parameters:
  day: "2026-01-01"
  size:
    type: integer
    default: 1
    choices: [1, 2]
commands:
  01-clean:
    notebook: clean data.ipynb
    parameters:
      day: "${{ parameters.day }}"
    retries: 0
  publish:
    shell: [echo, "on", "it's: done"]
    after: [01-clean]
    timeout: 300.0
"""
    )


def test_long_lists_are_written_line_by_line() -> None:
    """A list that would not fit on a line is written with an item on each."""
    paths = [f"folder/number-{number}.csv" for number in range(8)]
    text = to_yaml(read_definition({"workflow": "w", "commands": {"a": {"call": "s:f", "reads": paths}}}).definition)
    assert "    reads:\n      - folder/number-0.csv\n      - folder/number-1.csv\n" in text
    assert read_definition(text).definition.commands[0].reads == tuple(paths)
