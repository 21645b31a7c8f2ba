"""Reading a definition: every mistake at once, each with its place, and the model when there is none."""

from __future__ import annotations

import datetime
import decimal
import gc
import itertools
import time
from pathlib import Path
from typing import Any

import numpy
import pytest

from orchestrator_nb.definition.checks import check
from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.definition.references import secrets_in
from orchestrator_nb.errors import DefinitionError, Mistake

CALL = {"call": "steps:run"}


def mistakes(source: Any, **options: Any) -> tuple[Mistake, ...]:
    with pytest.raises(DefinitionError) as caught:
        read_definition(source, **options)
    return caught.value.mistakes


def mistake_in(**body: Any) -> Mistake:
    """Return the only mistake that a command with these keys has."""
    (found,) = mistakes({"workflow": "w", "commands": {"a": {**CALL, **body}, "b": CALL}})
    return found


def test_every_mistake_is_told_at_once_in_the_order_of_the_document() -> None:
    """Mistakes of the text, the keys, the values and the whole come together, each once, from top to bottom."""
    found = mistakes(
        """workflow: sales report
patern: hybrid
commands:
  clean:
    notebook: clean.ipynb
    dependson: [model]
    retries: 3
    retries: 4
  model:
    notebook: model.ipynb
    after: [claen]
    timeout: 5m!
  both: {call: a:b, shell: [ls]}
""",
        file="sales.yaml",
    )
    assert [(one.line, one.column, one.path, one.nearest) for one in found] == [
        (1, 1, "/workflow", "sales-report"),
        (2, 1, "/patern", "pattern"),
        (6, 5, "/commands/clean/dependson", "depends_on"),
        (8, 5, "/commands/clean/retries", None),
        (11, 13, "/commands/model/after/0", "clean"),
        (12, 5, "/commands/model/timeout", None),
        (13, 3, "/commands/both", None),
    ]
    assert {one.file for one in found} == {"sales.yaml"}
    assert found[5].found == '"5m!"'
    assert "seconds above 0" in str(found[5].expected)
    assert found[6].found == '"call" and "shell"'


def test_a_file_gives_definition_folder_and_places(tmp_path: Path) -> None:
    """What is read from a file knows its folder, and where in it everything is."""
    (tmp_path / "sales.yaml").write_text(
        "workflow: sales\ncommands:\n  a:\n    depends_on: b\n    call: s:f\n  b: {call: s:g}\n"
    )
    for source in (tmp_path / "sales.yaml", str(tmp_path / "sales.yaml")):
        loaded = read_definition(source)
        assert loaded.definition.command("a").after == ("b",)
        assert (loaded.folder, loaded.file) == (tmp_path, tmp_path / "sales.yaml")
        assert loaded.place("/commands/a/depends_on") == (4, 5)


def test_a_mistake_found_later_gets_its_place(tmp_path: Path) -> None:
    """A mistake below a command is placed in the user's own document and words."""
    loaded = read_definition(
        "workflow: w\ncommands:\n- id: a\n  call: s:f\n  params: {day: 1}\n- {call: s:g}\n",
        file="w.yaml",
        folder=tmp_path,
    )
    placed = loaded.placed(Mistake("not taken", "/parameters/day"), command="a")
    assert (placed.file, placed.line, placed.column, placed.path) == ("w.yaml", 5, 12, "/commands/0/params/day")
    assert loaded.folder == tmp_path


def test_plain_data_has_paths_and_no_lines() -> None:
    """A mapping from Python gives mistakes with the path alone."""
    found = mistake_in(after="c")
    assert (found.path.removesuffix("/0"), found.line, found.file) == ("/commands/a/after", None, None)


def test_a_name_is_taken_where_the_document_has_none() -> None:
    """The caller's name of the workflow stands in for a missing one, and for no other."""
    assert read_definition({"commands": {"a": CALL}}, name="cell").definition.workflow == "cell"
    assert read_definition({"workflow": "own", "commands": {"a": CALL}}, name="cell").definition.workflow == "own"
    (found,) = mistakes({"commands": {"a": CALL}})
    assert found.path == "/workflow"


@pytest.mark.parametrize(
    "name", ["", "..", ".", "a/b", "-x", "a b", "a\n", "a\0", "\u202ea", "é", "e\u0301", "x" * 101, 3, True]
)
def test_ids_follow_one_rule(name: Any) -> None:
    """An id that could be taken for something else is refused, and shown with escapes."""
    (found,) = mistakes({"workflow": "w", "commands": {name: CALL}})
    assert "digits" in str(found.expected)
    assert "\u202e" not in str(found)
    assert "\0" not in str(found)


@pytest.mark.parametrize("name", ["parameters", "secrets", "matrix", "context"])
def test_reserved_ids_are_refused(name: str) -> None:
    """What references begin with cannot be the id of a command."""
    (found,) = mistakes({"workflow": "w", "commands": {name: CALL}})
    assert f'no command can have the id "{name}"' in found.message


@pytest.mark.parametrize(("ids", "words"), [(("a", "a"), "the same id"), (("clean", "Clean"), "differs in case only")])
def test_two_commands_with_one_id_name_both_places(ids: tuple[str, str], words: str) -> None:
    """Equal ids, also after folding their case, are told with the place of the first one."""
    text = "workflow: w\ncommands:\n" + "".join(f"- {{id: {name}, call: 's:f'}}\n" for name in ids)
    (found,) = mistakes(text)
    assert words in found.message
    assert (found.line, found.path) == (4, "/commands/1/id")
    assert "line 3, column 4" in str(found.found)


@pytest.mark.parametrize(
    ("after", "words", "nearest"),
    [
        (["bb"], "no command", None), (["a"], "after itself", None), (["b", "b"], "twice", None),
        ([None], "cannot be used", None), ([3], "cannot be used", None), ({"b": 1}, "cannot be used", None),
        (["B"], "no command", "b"),
    ],
)  # fmt: skip
def test_dependencies_are_checked(after: Any, words: str, nearest: str | None) -> None:
    """Unknown, repeated, own and ill-typed dependencies are one mistake each."""
    found = mistake_in(after=after)
    assert words in found.message
    assert nearest is None or found.nearest == nearest


@pytest.mark.parametrize("value", [-1, 0, "5m!", float("nan"), float("inf"), True, 10**12, [], "None"])
def test_bad_timeouts_are_refused_with_the_accepted_forms(value: Any) -> None:
    """A timeout is seconds in a range, a duration, or none."""
    found = mistake_in(timeout=value)
    assert found.path == "/commands/a/timeout"
    assert '"none"' in str(found.expected)


@pytest.mark.parametrize("value", [-1, 1.5, "3", True, 10**9])
def test_bad_retries_are_refused_with_the_range(value: Any) -> None:
    """Retries are a whole number, not a text nor a boolean, in a range."""
    found = mistake_in(retries=value)
    assert (found.path, found.expected) == ("/commands/a/retries", "a whole number from 0 to 1000")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optional", "yes"), ("exclusive", 1), ("tags", [1]), ("environment", {"PORT": 80}), ("isolation", "thraed"),
        ("parameters", ["day"]), ("description", 3), ("environment", {"A=B": "1"}), ("environment", {"A": "x\0"}),
        ("reads", ["a\0b"]), ("writes", [""]), ("cwd", ""), ("kernel", "python3"), ("kernels", "pool"), ("allow_failure_codes", [1]),
    ],
)  # fmt: skip
def test_values_that_cannot_be_used_are_refused(key: str, value: Any) -> None:
    """Each key takes what it takes, and a key that nothing would act on is a mistake."""
    assert mistake_in(**{key: value}).path.startswith(f"/commands/a/{key}")


def test_a_shell_command_is_a_list() -> None:
    """A single text is refused, with an example of what is expected."""
    (found,) = mistakes({"workflow": "w", "commands": {"a": {"shell": "rm -rf /"}}})
    assert '["python", "clean.py"]' in str(found.expected)


@pytest.mark.parametrize("name", ["x=1;import os", "class", "__x", "a-b", "", "é", "1a"])
def test_names_of_parameters_are_python_names(name: str) -> None:
    """Neither the workflow's nor a command's parameters can have a name that is no argument's name."""
    (found,) = mistakes({"workflow": "w", "commands": {"a": CALL}, "parameters": {name: 1}})
    assert "a parameter cannot have the name" in found.message
    assert "a parameter cannot have the name" in mistake_in(parameters={name: 1}).message


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((1, 2), "tuple"), ({1}, "set"), (b"x", "bytes"), (datetime.date(2026, 1, 1), "datetime.date"),
        (datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), "datetime.datetime"), (Path("x"), "Path"), (decimal.Decimal(1), "Decimal"),
        (numpy.float64(1.5), "numpy.float64"), (numpy.arange(2), "numpy.ndarray"), (object(), "object"),
        (len, "builtin_function"), (float("nan"), "nan"), (float("inf"), "inf"), (2**70, "64 bits"), ("\ud800", "surrogate"),
        ({1: 2}, "number 1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("nested", [False, True])
def test_values_that_are_not_plain_json_are_refused_by_name(value: Any, words: str, *, nested: bool) -> None:
    """No value is silently turned into text: its type is named, wherever it is."""
    found = mistake_in(parameters={"x": [0, {"y": value}] if nested else value})
    assert words in str(found.found)
    assert found.path == ("/commands/a/parameters/x/1/y" if nested else "/commands/a/parameters/x")
    (declared,) = mistakes({"workflow": "w", "commands": {"a": CALL}, "parameters": {"x": {"default": value}}})
    assert words in str(declared.found)


def test_values_without_end_are_refused() -> None:
    """A list that contains itself, and one that is nested too deep, are mistakes."""
    endless: list[Any] = []
    endless += [endless, endless]
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    (found, *_) = mistakes({"workflow": "w", "commands": {"a": {**CALL, "parameters": {"x": endless}}}})
    assert "contains itself" in found.message
    assert "nested deeper" in mistake_in(parameters={"x": deep}).message


def test_large_parameters_belong_into_a_file() -> None:
    """More than a mebibyte of parameters is refused."""
    assert "pass its path" in str(mistake_in(parameters={"x": "y" * 2**20}).expected)
    assert "pass its path" in str(mistake_in(parameters={"x": ["y" * 1000] * 1100}).expected)


@pytest.mark.parametrize(
    ("declaration", "path"),
    [
        ({"type": "integer", "default": "3"}, "default"), ({"type": "integer", "default": True}, "default"),
        ({"type": "date", "default": "2026-02-30"}, "default"), ({"type": "strng", "default": 1}, "type"),
        ({"choices": [1, 2], "default": 3}, "default"), ({"choices": []}, "choices"),
        ({"type": "integer", "choices": [1, "2"]}, "choices/1"), ({"default": 1, "required": True}, "required"),
        ({"default": "${{ parameters.y }}"}, "default"), ({"choices": 3}, "choices"),
    ],
)  # fmt: skip
def test_declarations_of_parameters_are_checked(declaration: dict[str, Any], path: str) -> None:
    """A default has to be of its type and among its choices."""
    (found,) = mistakes({"workflow": "w", "commands": {"a": CALL}, "parameters": {"n": declaration}})
    assert found.path == f"/parameters/n/{path}"


@pytest.mark.parametrize(
    ("text", "words", "nearest"),
    [
        ("${{ claen.rows }}", 'no command "claen"', "clean"), ("${{ parameters.dya }}", 'no parameter "dya"', "day"),
        ("${{ secrets.key.more }}", "one name", None), ("x ${{ matrix.n }}", "no matrix", None),
        ("${{ a.rows }}", "its own result", None), ("${{ clean.rows", "has no end", None),
        ("${{ clean.rows + 1 }}", "not a reference", None), ("${{ clean.__class__ }}", "not a reference", None),
        ("${{ }}", "not a reference", None), ("${{ parameters }}", "names nothing", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["parameters", "args", "environment"])
def test_references_are_checked(text: str, words: str, nearest: str | None, key: str) -> None:
    """A reference leads to a parameter, the context or another command, in every field that has them."""
    value = text if key == "args" else {"x": text}
    (found,) = mistakes({
        "workflow": "w", "parameters": {"day": 1}, "commands": {"clean": CALL, "a": {**CALL, key: value}},
    })  # fmt: skip
    assert words in found.message
    assert found.nearest == nearest


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"shell": ["curl", "-H", "Bearer ${{ secrets.KEY }}"]}, "every user of the machine sees them"),
        ({"workflow": "inner.yaml", "parameters": {"key": "${{ secrets.KEY }}"}}, "its run records its parameters"),
        ({**CALL, "reads": ["${{ secrets.KEY }}.csv"]}, 'not read in "reads"'),
    ],
)
def test_secrets_have_no_place_where_others_would_see_them(body: dict[str, Any], words: str) -> None:
    """Arguments of programs and parameters of runs are there for everyone to read; the message says what to do."""
    (found,) = mistakes({"workflow": "w", "commands": {"a": body}})
    assert words in found.message
    assert found.found is not None
    assert "secrets.KEY" in found.found
    if "shell" in body:
        assert found.path == "/commands/a/shell/2"
        assert found.expected is not None
        assert found.expected.startswith("environment: {KEY: ")


def test_secrets_are_referred_to_where_they_are_used() -> None:
    """Parameters, args and the environment of a command may hold them; defaults and the shared state may not."""
    command = {**CALL, "parameters": {"x": ["${{ secrets.A }}"]}, "args": "to ${{ secrets.B }}",
               "environment": {"C": "${{ secrets.C }}"}}  # fmt: skip
    definition = read_definition({"workflow": "w", "commands": {"a": command}}).definition
    assert list(secrets_in(definition.command("a"))) == [
        ("A", "/parameters/x/0"), ("B", "/args"), ("C", "/environment/C"),
    ]  # fmt: skip
    (found,) = mistakes(
        {"workflow": "w", "commands": {"a": CALL}, "parameters": {"x": {"default": "${{ secrets.A }}"}}}
    )
    assert found.message == "a default cannot hold a reference"


def test_references_by_id_and_by_argument_name_are_right() -> None:
    """A command is referred to by its id or by the name that its result has as an argument."""
    values = {"x": "${{ 01-clean.rows }}", "y": ["${{ clean.rows }}", "${{ context.k }}"], "z": "${{ parameters.day }}"}
    source = {
        "workflow": "w",
        "parameters": {"day": 1},
        "commands": {"01-clean": CALL, "b": {**CALL, "parameters": values}},
    }
    assert read_definition(source).definition.command("b").parameters == values


def test_references_ask_for_outputs_that_are_declared() -> None:
    """Where a command declares what it gives, a reference to anything else is a mistake with the nearest name."""
    source = {
        "workflow": "w",
        "commands": {
            "clean": {**CALL, "outputs": ["rows", "table"]},
            "good": {**CALL, "parameters": {"x": "${{ clean.rows }}", "y": "${{ clean }}"}},
            "bad": {**CALL, "parameters": {"x": "${{ clean.rowz }}"}},
        },
    }
    (found,) = mistakes(source)
    assert (found.path, found.nearest, found.expected) == ("/commands/bad/parameters/x", "rows", "one of rows, table")


@pytest.mark.parametrize(("name", "nearest"), [("bb", "b"), ("a", None)])
def test_a_fallback_is_another_command(name: str, nearest: str | None) -> None:
    """It has to be there, and it cannot be the command itself."""
    found = mistake_in(fallback=name)
    assert (found.path, found.nearest) == ("/commands/a/fallback", nearest)


def test_references_elsewhere_are_refused() -> None:
    """A reference in a field that has none would be taken literally, so it is a mistake."""
    assert 'not read in "cwd"' in mistake_in(cwd="out/${{ parameters.day }}").message
    assert 'not read in "writes"' in mistake_in(writes=["out/${{ clean.day }}.csv"]).message


def test_a_definition_built_in_python_can_be_checked() -> None:
    """The checks of the whole are there for models, too."""
    definition = WorkflowDefinition(
        workflow="w",
        commands=(CommandDefinition(id="a", call="s:f", after=("b",)), CommandDefinition(id="A", call="s:f")),
    )
    assert [one.path for one in check(definition)] == ["/commands/1/id", "/commands/0/after/0"]
    assert check(read_definition({"workflow": "w", "commands": {"a": CALL}}).definition) == []


def test_large_definitions_are_read_in_time_that_grows_with_them() -> None:
    """Ten times the commands, right or wrong, take about ten times as long and never a hundred times."""

    def seconds(count: int, *, right: bool) -> float:
        names = [f"command_{number}" for number in range(count)]
        commands = {
            name: {
                "call": "s:f",
                "after": [before if right else f"no_{before}"],
                "parameters": {"x": f"${{{{ {before} }}}}"},
            }
            for before, name in itertools.pairwise(names)
        }
        source = {"workflow": "w", "commands": {names[0]: CALL, **commands}}
        started = time.process_time()
        if right:
            assert len(read_definition(source).definition.commands) == count
        else:
            assert len(mistakes(source)) == count - 1
        return time.process_time() - started

    gc.collect()
    gc.disable()  # or what other tests have left is looked at again and again meanwhile
    try:
        for right in (True, False):
            small = min(seconds(500, right=right) for _ in range(3))
            assert min(seconds(5_000, right=right) for _ in range(3)) < 50 * small
    finally:
        gc.enable()
