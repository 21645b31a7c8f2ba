"""Reuse: what is up to date does not run, what is not does, and the reason is told."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator_nb import Workflow, attach
from orchestrator_nb import events as e
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.orchestrator.store.audit import audit_run

STEPS = """\
from pathlib import Path

FACTOR = {factor}

def _scale(rows):
    return [row * FACTOR for row in rows]

def _ran(name):
    with open("ran", "a") as file:
        file.write(name + " ")

def load(source="a"):
    _ran("load")
    return {{"rows": [1, 2, 3], "source": source}}

def clean(load):
    {comment}
    _ran("clean")
    Path("clean.bin").write_bytes(bytes(_scale(load["rows"])))
    return bytes({size})

def model(clean, alpha):
    _ran("model")
    return {{"alpha": alpha, "size": len(clean)}}

def publish(model):
    _ran("publish")
    return "published"
"""

FLOW = """\
workflow: sales
parameters: {day: '2026-01-01'}
commands:
  load: {call: 'steps:load', parameters: {source: '${{ parameters.day }}'}}
  clean: {call: 'steps:clean', writes: [clean.bin]}
  model: {call: 'steps:model', parameters: {alpha: 1}, reads: [clean.bin]}
  publish: {call: 'steps:publish'}
"""


@pytest.fixture
def flow(project: Path) -> Path:
    """The folder of a workflow of four functions in a row."""
    write_steps()
    (project / "flow.yaml").write_text(FLOW)
    return project


def write_steps(*, factor: int = 2, size: int = 7, comment: str = "pass") -> None:
    """Write the functions; a text of another length is always seen as a changed file."""
    steps = Path("steps.py")
    text = STEPS.format(factor=factor, size=size, comment=comment)
    while steps.exists() and steps.stat().st_size == len(text):
        text += "\n"
    steps.write_text(text)


def ran() -> list[str]:
    """Return what has run since the last call."""
    path = Path("ran")
    names = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return names


def load_flow() -> Workflow:
    return Workflow.load("flow.yaml")


def reasons(run: Any) -> dict[str, str]:
    """Return why each command ran although reuse was asked for."""
    return {event.command: event.reason for event in facts(run, e.ReuseDeclined)}


def facts(run: Any, kind: type[e.Event]) -> list[Any]:
    return [event for event in read(run.folder / "journal.jsonl") if isinstance(event, kind)]


def states(run: Any) -> dict[str, str]:
    return {name: record.state for name, record in run.state.commands.items()}


def test_what_is_up_to_date_does_not_run_and_the_run_stands_by_itself(flow: Path) -> None:
    """Every result is there, its files are in the new run, and the old run may be deleted."""
    first = load_flow().start()
    assert ran() == ["load", "clean", "model", "publish"]
    run = load_flow().start(reuse=True)
    assert ran() == []
    assert set(states(run).values()) == {"reused"}
    assert run.result.succeeded
    assert run.result.exit_code == 0
    shutil.rmtree(first.folder)
    assert dict(attach(run.id).result.outputs) == {
        "load": {"rows": [1, 2, 3], "source": "2026-01-01"},
        "clean": bytes(7),
        "model": {"alpha": 1, "size": 7},
        "publish": "published",
    }
    assert audit_run(run.folder) == []
    again = load_flow().start(reuse=True)
    assert ran() == []
    assert {event.origin for event in facts(again, e.CommandReused)} == {first.id}


def test_without_asking_everything_runs(flow: Path) -> None:
    """Reuse is never the default."""
    load_flow().run()
    load_flow().run()
    assert ran() == ["load", "clean", "model", "publish"] * 2


def test_comments_and_layout_are_no_change_and_helpers_are(flow: Path) -> None:
    """The code is what it does: its comments do not count, a constant that it uses does."""
    load_flow().run()
    ran()
    write_steps(comment="pass  # a comment\n\n    # another")
    run = load_flow().start(reuse=True)
    assert ran() == []
    write_steps(factor=3)
    run = load_flow().start(reuse=True)
    assert ran() == ["clean", "model"]
    assert reasons(run) == {"clean": "its code changed", "model": 'the result of "clean" changed'}


def test_an_equal_result_leaves_what_follows_up_to_date(flow: Path) -> None:
    """A command that runs again and gives the same cuts off the rest."""
    load_flow().run()
    ran()
    write_steps(comment="assert True")
    run = load_flow().start(reuse=True)
    assert ran() == ["clean"]
    assert states(run) == {"load": "reused", "clean": "succeeded", "model": "reused", "publish": "reused"}
    assert [event.attempt for event in facts(run, e.CommandReused)] == [None, 1, 1]


def test_a_parameter_counts_for_those_that_see_it_and_is_shown(flow: Path) -> None:
    """What changed is said with both values, in the journal, in `why` and in the status."""
    load_flow().run()
    ran()
    run = load_flow().start(reuse=True, day="2026-01-02")
    assert ran() == ["load", "clean"]
    said = "parameters changed (day: 2026-01-01 → 2026-01-02)"
    assert reasons(run)["load"] == said
    assert said in str(run.why("load"))
    assert said in str(run.status())
    assert "reused from" in str(run.status())
    Path("flow.yaml").write_text(FLOW.replace("alpha: 1", "alpha: 5"))
    run = load_flow().start(reuse=True, day="2026-01-02")
    assert ran() == ["model", "publish"]
    assert reasons(run)["model"] == "parameters changed (alpha: 1 → 5)"


def test_going_back_finds_the_older_run(flow: Path) -> None:
    """Not only the latest run is looked at."""
    first = load_flow().start()
    load_flow().run(day="2026-01-02")
    ran()
    run = load_flow().start(reuse=True)
    assert ran() == []
    assert [event.origin for event in facts(run, e.CommandReused) if event.command == "load"] == [first.id]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: Path("clean.bin").unlink(), '"clean.bin", which it wrote, is gone'),
        (lambda: Path("clean.bin").write_bytes(b"other"), '"clean.bin" is not as it wrote it'),
    ],
    ids=["gone", "edited"],
)
def test_files_have_to_be_as_they_were_left(flow: Path, change: Any, said: str) -> None:
    """What was written is written again where it is gone or was edited."""
    load_flow().run()
    ran()
    change()
    run = load_flow().start(reuse=True)
    assert ran() == ["clean"]
    assert reasons(run) == {"clean": said}
    assert Path("clean.bin").read_bytes() == bytes([2, 4, 6])


def test_a_file_that_is_read_counts_by_its_content(project: Path) -> None:
    """Also in folders and patterns; touching a file is no change of it."""
    Path("data").mkdir()
    Path("data/one.csv").write_text("1")
    Path("steps.py").write_text(
        "from pathlib import Path\n"
        "def total():\n    return sum(int(path.read_text()) for path in Path('data').glob('*.csv'))\n"
    )
    flow = Workflow("w")
    flow.shell(["python", "-c", "import steps; print(steps.total())"], id="total", reads=["data/*.csv"])
    assert flow.run().outputs["total"]["stdout"] == "1"
    Path("data/one.csv").write_text("1")
    assert states(flow.start(reuse=True)) == {"total": "reused"}
    Path("data/two.csv").write_text("5")
    run = flow.start(reuse=True)
    assert reasons(run) == {"total": '"data/*.csv" changed'}
    assert run.result.outputs["total"]["stdout"] == "6"


def test_what_is_never_reused_says_why(project: Path) -> None:
    """Declared so, or not to be looked at."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="told", reuse=False)
    flow.command(lambda: 1, id="outside", reads=["db:sales"])

    @flow.command
    def live() -> object:
        return object()

    flow.command(lambda live: str(type(live)), id="after", parameters={})
    flow.command(lambda: 1, id="once", idempotent=False)
    flow.run()
    run = flow.start(reuse=True)
    uncomparable = 'the result of "live" is kept in the memory of its process only and cannot be compared'
    assert reasons(run) == {
        "told": "it is declared `reuse: false`",
        "outside": '"db:sales" names a resource that is no file: what is in it cannot be looked at',
        "live": "its earlier result was kept in the memory of its process only",
        "after": uncomparable,
    }
    assert states(run)["once"] == "reused"


def test_what_was_shared_is_shared_again(project: Path) -> None:
    """The changes of the shared state belong to a result."""
    Path("steps.py").write_text(
        "from orchestrator_nb import context\n"
        "def first():\n    context.shared['unit'] = 'm'\n    context.metric('rows', 3)\n    return 1\n\n"
        "def second(first, day):\n    return context.shared['unit'] + day\n"
    )
    Path("flow.yaml").write_text(
        "workflow: w\nparameters: {day: a}\ncommands: {first: {call: 'steps:first'}, second: {call: 'steps:second'}}\n"
    )
    load_flow().run()
    run = load_flow().start(reuse=True, day="b")
    assert states(run) == {"first": "reused", "second": "succeeded"}
    assert run.result.outputs["second"] == "mb"
    assert run.result.metrics == {"first": {"rows": 3.0}}


def test_a_damaged_artifact_is_not_taken_over(flow: Path) -> None:
    """A result is read whole before it is named; one that is not what it was is made again."""
    first = load_flow().start()
    ran()
    record = first.state.commands["clean"]
    path = Artifacts(first.folder / "artifacts").path(record.result.artifact)
    path.chmod(0o600)
    path.write_bytes(b"nothing")
    run = load_flow().start(reuse=True)
    assert ran() == ["clean"]
    assert "is damaged" in reasons(run)["clean"]
    assert run.result.outputs["clean"] == bytes(7)


def test_a_failed_run_goes_on_reusing_when_it_is_resumed(flow: Path) -> None:
    """What reuse was asked for holds for the whole run; what is opened anew runs."""
    load_flow().run()
    ran()
    good = Path("steps.py").read_text()
    Path("steps.py").write_text(good.replace('_ran("clean")', 'raise ValueError("no")'))
    run = load_flow().start(reuse=True, check=False)
    assert states(run)["clean"] == "failed"
    write_steps(comment="assert True")
    resumed = load_flow().resume()
    assert ran() == ["clean", "model", "publish"]
    assert states(resumed)["load"] == "reused"


def test_the_plan_says_what_would_run(flow: Path) -> None:
    """Up to date, what differs, or what it depends on; nothing runs for it."""
    first = load_flow().start()
    ran()
    write_steps(comment="assert True")
    plan = load_flow().plan(reuse=True)
    assert {name: str(verdict) for name, verdict in plan.verdicts.items()} == {
        "load": f"up to date, reused from {first.id}",
        "clean": "runs: its code changed",
        "model": 'depends on what "clean" will give',
        "publish": 'depends on what "model" will give',
    }
    assert "reuse: clean    runs: its code changed" in repr(plan)
    seconds = {"load": 100.0, "clean": 1.0, "model": 2.0, "publish": 3.0}
    assert replace(plan, seconds=seconds).predicted([1]) == {1: 6.0}, "what is up to date takes no time"
    assert ran() == []
    assert "reuse:" not in repr(load_flow().plan())


def test_a_shell_command_is_known_by_its_script(project: Path) -> None:
    """Arguments are options, scripts among them are code, and what Python scripts import from beside them is, too."""
    Path("helper.py").write_text("def value():\n    return 1\n")
    Path("job.py").write_text("import helper\nprint(helper.value())\n")
    flow = Workflow("w")
    flow.shell(["python", "job.py"], id="job")
    flow.run()
    Path("job.py").write_text("import helper  # the helper\n\nprint( helper.value() )\n")
    assert states(flow.start(reuse=True)) == {"job": "reused"}
    Path("helper.py").write_text("def value():\n    return 22\n")
    run = flow.start(reuse=True)
    assert reasons(run) == {"job": "its code changed"}
    assert run.result.outputs["job"]["stdout"] == "22"


def notebook(path: str, *cells: tuple[str, str], outputs: bool = False) -> None:
    """Write a notebook of cells given as (type, source)."""
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": kind,
                "id": f"c{number}",
                "metadata": {"collapsed": outputs} if outputs else {},
                "source": source,
                **({"outputs": [], "execution_count": 3 if outputs else None} if kind == "code" else {}),
            }
            for number, (kind, source) in enumerate(cells)
        ],
    }
    Path(path).write_text(json.dumps(document))


@pytest.mark.kernel
def test_of_a_notebook_only_what_its_code_does_counts(project: Path) -> None:
    """Text, comments, metadata and counters do not; its output notebook comes along."""
    code = "from orchestrator_nb import context\ncontext.record('rows', 3)"
    notebook("a.ipynb", ("markdown", "# Title"), ("code", code))
    flow = Workflow("w")
    flow.notebook("a.ipynb")
    first = flow.start()
    notebook("a.ipynb", ("markdown", "# Other"), ("code", f"# why\n{code}\n\n"), ("code", "# only this"), outputs=True)
    run = flow.start(reuse=True)
    assert states(run) == {"a": "reused"}
    shutil.rmtree(first.folder)
    assert run.result.outputs["a"] == {"rows": 3}
    assert run.result.notebooks["a"].is_file()
    notebook("a.ipynb", ("code", code.replace("3", "4")))
    run = flow.start(reuse=True)
    assert reasons(run) == {"a": "its code changed"}
    assert run.result.outputs["a"] == {"rows": 4}


# ── accepting ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_accepted_result_is_up_to_date_for_the_code_of_today(flow: Path) -> None:
    """The change was cosmetic, somebody says; the next change counts again."""
    run = load_flow().start()
    ran()
    write_steps(comment="assert True")
    run.accept("clean")
    accepted = facts(run, e.CommandAccepted)
    assert [event.command for event in accepted] == ["clean"]
    assert accepted[0].by["pid"]
    assert "was accepted by" in str(run.why("clean"))
    following = load_flow().start(reuse=True)
    assert ran() == []
    assert set(states(following).values()) == {"reused"}
    write_steps(comment="assert 1")
    load_flow().run(reuse=True)
    assert ran() == ["clean"]


def test_files_are_accepted_as_they_are_now(flow: Path) -> None:
    """What was edited by hand stays, and what reads it runs."""
    run = load_flow().start()
    ran()
    Path("clean.bin").write_bytes(b"by hand")
    attach(run.id).accept("clean")
    following = load_flow().start(reuse=True)
    assert ran() == ["model"]
    assert Path("clean.bin").read_bytes() == b"by hand"
    assert states(following)["clean"] == "reused"


def test_a_result_is_accepted_while_its_run_goes_on(project: Path) -> None:
    """The owner of the run records it."""
    begun, go = threading.Event(), threading.Event()
    flow = Workflow("w")
    flow.command(lambda: 1, id="first")

    def second(first: int) -> int:
        begun.set()
        assert go.wait(30)
        return first

    flow.command(second)
    run = flow.start(wait=False)
    assert begun.wait(30)
    run.accept("first")
    with pytest.raises(UsageError, match='"second" is running and has no result that could be accepted'):
        run.accept("second")
    go.set()
    run.wait()
    assert [event.command for event in facts(run, e.CommandAccepted)] == ["first"]


@pytest.mark.parametrize(
    ("command", "said"),
    [("nobody", 'the run has no command "nobody"'), ("told", "it is declared `reuse: false`")],
)
def test_what_cannot_be_accepted_is_said(project: Path, command: str, said: str) -> None:
    """There is a sentence for it, and nothing is recorded."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="told", reuse=False)
    run = flow.start()
    with pytest.raises(UsageError) as caught:
        run.accept(command)
    assert said in str(caught.value)
    assert facts(run, e.CommandAccepted) == []


def test_accepting_changes_of_a_resumed_run_is_accepting_its_results(flow: Path) -> None:
    """What `--accept-changes` keeps is up to date for later runs, too."""
    Path("steps.py").write_text(Path("steps.py").read_text().replace('_ran("publish")', 'raise ValueError("no")'))
    load_flow().run(check=False)
    ran()
    write_steps(comment="assert True")
    load_flow().resume(accept_changes=True)
    assert ran() == ["publish"]
    load_flow().run(reuse=True)
    assert ran() == []


# ── any graph, any change ───────────────────────────────────────────────────────────────────────────────────────

SIZE = 6


def _source(constants: list[int], upstream: dict[int, list[int]], reads: set[int], padding: int) -> str:
    lines = ["from pathlib import Path", "ran = []", ""]
    for number, constant in enumerate(constants):
        arguments = [*(f"c{before}" for before in upstream[number]), f"p{number}"]
        terms = [str(constant), *arguments, *([f"int(Path('in{number}.txt').read_text())"] if number in reads else [])]
        lines += [
            f"def c{number}({', '.join(arguments)}):",
            f"    ran.append('c{number}')",
            f"    value = ({' + '.join(terms)}) // 2",
            f"    Path('out{number}.txt').write_text(str(value))",
            "    return value",
            "",
        ]
    return "\n".join([*lines, "#" * padding, ""])


def _values(constants: list[int], parameters: list[int], files: dict[int, int], upstream: dict[int, list[int]]) -> Any:
    values: list[int] = []
    for number, constant in enumerate(constants):
        total = constant + parameters[number] + files.get(number, 0)
        values.append((total + sum(values[before] for before in upstream[number])) // 2)
    return values


@settings(max_examples=12)
@given(
    edges=st.sets(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)).filter(lambda pair: pair[0] < pair[1])),
    reads=st.sets(st.integers(0, SIZE - 1)),
    kind=st.sampled_from(["nothing", "comment", "code", "parameter", "file", "gone"]),
    place=st.integers(0, SIZE - 1),
    step=st.integers(1, 3),
)
def test_exactly_what_changed_runs_and_the_outputs_are_those_of_a_full_run(
    tmp_path_factory: Any, edges: Any, reads: Any, kind: str, place: int, step: int
) -> None:
    """After any single change of any graph: those commands run whose key changed, all others keep what they had."""
    folder = tmp_path_factory.mktemp("any")
    module = f"steps_{folder.name}"
    upstream = {number: sorted(before for before, after in edges if after == number) for number in range(SIZE)}
    constants, parameters, files = [1] * SIZE, [1] * SIZE, dict.fromkeys(reads, 3)
    commands = {
        f"c{number}": {
            "call": f"{module}:c{number}",
            "reads": [f"in{number}.txt"] if number in reads else [],
            "writes": [f"out{number}.txt"],
        }
        for number in range(SIZE)
    }
    declared = {f"p{number}": 1 for number in range(SIZE)}

    def run(store: str, padding: int, **options: Any) -> tuple[set[str], dict[str, Any], Any]:
        import importlib
        import os
        import sys

        (folder / f"{module}.py").write_text(_source(constants, upstream, reads, padding))
        for number, content in files.items():
            (folder / f"in{number}.txt").write_text(str(content))
        (folder / "flow.json").write_text(
            json.dumps({"workflow": "any", "parameters": declared, "commands": commands, "slots": 3})
        )
        before = os.getcwd()
        os.chdir(folder)
        try:
            importlib.invalidate_caches()
            started = Workflow.load(folder / "flow.json").start(
                store=folder / store,
                durability="process",
                parameters={f"p{number}": value for number, value in enumerate(parameters)},
                **options,
            )
            return set(sys.modules[module].ran), dict(started.result.outputs), started
        finally:
            os.chdir(before)
            sys.modules[module].ran.clear()

    run("one", 1)
    was = _values(constants, parameters, files, upstream)
    changed = {place}
    if kind == "code":
        constants[place] += step
    elif kind == "parameter":
        parameters[place] += step
    elif kind == "file" and reads:
        place = sorted(reads)[place % len(reads)]
        changed = {place}
        files[place] += step
    elif kind == "gone":
        (folder / f"out{place}.txt").unlink()
    else:
        changed = set()
    now = _values(constants, parameters, files, upstream)
    expected = {
        f"c{number}"
        for number in range(SIZE)
        if number in changed or any(was[before] != now[before] for before in upstream[number])
    }
    names, outputs, started = run("one", 2 if kind == "comment" else 1, reuse=True)
    assert names == expected, reasons(started)
    everything, full, _ = run("two", 3)
    assert len(everything) == SIZE
    assert outputs == full == {f"c{number}": value for number, value in enumerate(now)}


ROUTED = """\
workflow: routed
parameters: {least: 1}
commands:
  load: {call: 'steps:load'}
  extra: {call: 'steps:extra', after: [load], when: 'load.rows >= parameters.least'}
  report: {call: 'steps:report', after: [extra], trigger_rule: none_failed}
"""
ROUTED_STEPS = """\
def _ran(name):
    with open("ran", "a") as file:
        file.write(name + " ")

def load():
    _ran("load")
    return {"rows": 3}

def extra():
    _ran("extra")
    return "extra"

def report():
    _ran("report")
    return "report"
"""


def test_a_condition_is_asked_before_a_result_is_taken_over(project: Path) -> None:
    """A command whose condition holds no more is skipped although it is up to date; where it holds it is reused."""
    (project / "steps.py").write_text(ROUTED_STEPS)
    (project / "flow.yaml").write_text(ROUTED)
    load_flow().start()
    assert ran() == ["load", "extra", "report"]
    plan = load_flow().plan(reuse=True)
    assert {name: verdict.says for name, verdict in plan.verdicts.items()} == {
        "load": "up to date", "extra": "depends", "report": "depends",
    }  # fmt: skip
    assert str(plan.verdicts["extra"]) == "depends on its condition: load.rows >= parameters.least"
    assert set(states(load_flow().start(reuse=True)).values()) == {"reused"}
    assert ran() == []
    (project / "flow.yaml").write_text(ROUTED.replace("least: 1", "least: 9"))
    run = load_flow().start(reuse=True)
    assert states(run) == {"load": "reused", "extra": "skipped", "report": "succeeded"}
    assert reasons(run) == {"report": 'the result of "extra" changed'}
    assert run.result.succeeded


MATRIX = """\
workflow: cells
parameters: {years: [2024, 2025]}
commands:
  load: {call: 'steps:load'}
  model: {call: 'steps:model', matrix: {region: [north, south], year: '${{ parameters.years }}'}}
  report: {call: 'steps:report'}
"""
MATRIX_STEPS = """\
def _ran(name):
    with open("ran", "a") as file:
        file.write(name + " ")

def load():
    _ran("load")
    return 7

def model(region, year, load):
    _ran(f"{region}-{year}")
    return f"{region} {year} {load}"

def report(model):
    _ran("report")
    return dict(model)
"""


def test_cells_of_a_matrix_are_reused_one_by_one(project: Path) -> None:
    """A cell that is new runs, the others do not; what gathers them runs, and has the results of all."""
    (project / "steps.py").write_text(MATRIX_STEPS)
    (project / "flow.yaml").write_text(MATRIX)
    load_flow().start()
    ran()
    assert set(states(load_flow().start(reuse=True)).values()) == {"reused"}
    assert ran() == []
    run = load_flow().start(reuse=True, years=[2024, 2026])
    assert sorted(ran()) == ["north-2026", "report", "south-2026"]
    assert run.result.outputs["report"] == {
        f"{region}-{year}": f"{region} {year} 7" for region in ("north", "south") for year in (2024, 2026)
    }
    assert states(run)["model-north-2024"] == "reused"
    whole = load_flow().start(only="model")
    assert set(states(whole)) == {"load", *(f"model-{r}-{y}" for r in ("north", "south") for y in (2024, 2025))}
    assert sorted(ran()) == ["north-2024", "north-2025", "south-2024", "south-2025"]
    one = load_flow().start(only="model-south-2025+")
    assert sorted(ran()) == ["report", "south-2025"]
    assert len(one.result.outputs["report"]) == 4
