"""Matrices as data: which cells there are, what they are called, what is filled in, and who follows whom."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.definition.matrix import MOST_CELLS, Expanded, combinations, expand
from orchestrator_nb.definition.models import WorkflowDefinition
from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.definition.writing import to_dict, to_yaml
from orchestrator_nb.errors import DefinitionError


def read(commands: dict[str, Any], **more: Any) -> WorkflowDefinition:
    return read_definition({"workflow": "w", "commands": commands, **more}).definition


def expanded(commands: dict[str, Any], parameters: dict[str, Any] | None = None) -> Expanded:
    return expand(read(commands, parameters=parameters or {}), parameters or {})


def rows(matrix: dict[str, Any]) -> list[dict[str, Any]]:
    return [values for values, _ in combinations(matrix)]


def test_cells_are_the_product_in_order_with_ids_of_their_values() -> None:
    """The first axis changes slowest; ids tell what a cell is about."""
    found = expanded({"model": {"shell": ["true"], "matrix": {"region": ["North Sea", "south"], "year": [2020, 2021]}}})
    assert [command.id for command in found.commands] == [
        "model-north-sea-2020", "model-north-sea-2021", "model-south-2020", "model-south-2021",
    ]  # fmt: skip
    assert [cell.key for cell in found.cells["model"]][1:3] == ["north-sea-2021", "south-2020"]
    assert found.cells["model"][0].cell == {"region": "North Sea", "year": 2020}


def test_values_are_filled_in_wherever_they_are_named() -> None:
    """Whole values keep their type, paths and programs get text, and other references stay for later."""
    body = {
        "notebook": "${{ matrix.region }}.ipynb",
        "parameters": {"year": "${{ matrix.year }}", "both": ["${{ matrix.region }}-${{ parameters.day }}"]},
        "environment": {"YEAR": "${{ matrix.year }}", "DEEP": "${{ matrix.deep }}"},
        "reads": ["data/${{ matrix.region }}.csv"],
        "writes": ["${{ matrix.region }}-${{ parameters.day }}.csv"],
        "cwd": "${{ matrix.region }}",
        "matrix": {"region": ["north"], "year": [2020], "deep": [True]},
        "when": "matrix.year > 2000",
    }
    (cell,) = expanded({"model": body}, {"day": "x"}).commands
    assert cell.notebook == "north.ipynb"
    assert cell.parameters == {"year": 2020, "both": ["north-${{ parameters.day }}"]}
    assert cell.environment == {"YEAR": "2020", "DEEP": "true"}
    assert cell.reads == ("data/north.csv",)
    assert cell.writes == ("north-${{ parameters.day }}.csv",)
    assert cell.cwd == "north"
    assert cell.when == "matrix.year > 2000"
    assert cell.matrix is None
    (shell,) = expanded({"a": {"shell": ["echo", "${{ matrix.n }}"], "matrix": {"n": [1]}}}).commands
    assert shell.shell == ("echo", "1")


def test_include_and_exclude_mean_what_they_do_in_github_actions() -> None:
    """Their documentation's own example, value for value."""
    found = rows({
        "fruit": ["apple", "pear"],
        "animal": ["cat", "dog"],
        "include": [
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    })  # fmt: skip
    assert found == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]
    assert rows({"a": [1, 2], "b": [1, 2], "exclude": [{"a": 1, "b": 2}, {"a": 2}]}) == [{"a": 1, "b": 1}]
    assert rows({"include": [{"a": 1}, {"b": 2}]}) == [{"a": 1}, {"b": 2}]


def test_an_axis_may_be_a_parameter_of_the_workflow() -> None:
    """The list of the run counts; what is no list is said with its place."""
    commands = {"model": {"shell": ["true"], "matrix": {"year": "${{ parameters.years }}"}}}
    definition = read(commands, parameters={"years": [2020]})
    assert [command.id for command in expand(definition, {"years": [1, 2]}).commands] == ["model-1", "model-2"]
    assert expand(definition, {"years": []}).cells == {"model": ()}
    ((name, mistake),) = expand(definition, {"years": 3}).mistakes
    assert (name, mistake.path, mistake.found) == ("model", "/matrix/year", "the number 3")
    ((_, twice),) = expand(definition, {"years": [1, 1]}).mistakes
    assert "twice" in twice.message
    ((_, large),) = expand(definition, {"years": list(range(MOST_CELLS + 1))}).mistakes
    assert large.found == "10,001 cells"


def test_ids_are_unique_short_and_nobody_elses() -> None:
    """Values that look alike as ids are numbered, long ones are cut."""
    found = expanded({
        "model": {"shell": ["true"], "matrix": {"name": ["a b", "a-b", "A/B", "é", "", "x" * 300, "x" * 301]}},
        "model-e": {"shell": ["true"]},
    })  # fmt: skip
    ids = [command.id for command in found.commands]
    assert ids[:5] == ["model-a-b", "model-a-b-2", "model-a-b-3", "model-e-2", "model-empty"]
    assert len({name.casefold() for name in ids}) == len(ids)
    assert max(map(len, ids)) <= 100
    assert len({cell.key for cell in found.cells["model"]}) == 7


VALUES = st.one_of(st.integers(-5, 5), st.text(max_size=8), st.booleans(), st.floats(0, 1))
MATRICES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.lists(VALUES, max_size=4, unique_by=lambda value: (type(value).__name__, value)),
    min_size=1,
)


@given(MATRICES, st.text("aB-", min_size=1, max_size=100).filter(lambda name: name[0] not in "-."))
def test_any_matrix_gives_as_many_cells_as_its_lists_say(matrix: dict[str, Any], name: str) -> None:
    """Each cell has an id and a key of its own that can be written in a reference."""
    definition = read({name: {"shell": ["true"], "matrix": {"a": [0]}}})
    command = definition.commands[0].model_copy(update={"matrix": matrix})
    found = expand(definition.model_copy(update={"commands": (command,)}), {})
    assert not found.mistakes
    count = 1
    for values in matrix.values():
        count *= len(values)
    ids = [cell.id for cell in found.commands]
    assert len(ids) == len({each.casefold() for each in ids}) == count
    for cell in found.cells[name]:
        assert len(cell.id) <= 100
        assert set(cell.key) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
        assert not cell.key.startswith("-")


# ── who follows whom ────────────────────────────────────────────────────────────────────────────────────────────

AXES = {"region": ["north", "south"], "year": [1, 2]}


def followed(upstream: dict[str, Any], downstream: dict[str, Any] | None) -> list[tuple[str, list[str], bool]]:
    """Of each downstream command the cells that it gathers, and whether that is the result of one."""
    body: dict[str, Any] = {"shell": ["true"], **({} if downstream is None else {"matrix": downstream})}
    found = expanded({"up": {"shell": ["true"], "matrix": upstream}, "down": body})
    consumers = [command for command in found.commands if command.base == "down"]
    fan_ins = [(command, found.fan_in(command, "up")) for command in consumers]
    return [(command.id, list(fan_in.cells), fan_in.one) for command, fan_in in fan_ins]


def test_a_plain_command_gathers_all_cells_in_order() -> None:
    """The mapping has the order of the matrix."""
    assert followed(AXES, None) == [("down", ["north-1", "north-2", "south-1", "south-2"], False)]


def test_a_cell_follows_the_cells_with_its_values() -> None:
    """The very same axes give one cell, fewer axes those that agree, none of them all."""
    assert followed({"region": ["north", "south"]}, {"region": ["north", "south"]}) == [
        ("down-north", ["north"], True), ("down-south", ["south"], True),
    ]  # fmt: skip
    assert followed(AXES, {"region": ["north"]}) == [("down-north", ["north-1", "north-2"], False)]
    assert followed({"region": ["north", "south"]}, {"region": ["south"], "depth": [3]}) == [
        ("down-south-3", ["south"], True),
    ]  # fmt: skip
    assert followed({"region": ["north", "south"]}, {"depth": [3]}) == [("down-3", ["north", "south"], False)]
    assert followed({"region": ["north", "south"]}, {"region": ["west"]}) == [("down-west", ["north", "south"], False)]
    assert followed({"a": [1, True]}, {"a": [True]}) == [("down-true", ["true"], True)]


# ── what is wrong ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"matrix": {}}, "/commands/m/matrix: the matrix has no axis"),
        ({"matrix": {"region": "north"}}, r'/commands/m/matrix/region: "region" of the matrix is no list.*parameters'),
        ({"matrix": {"region": 3}}, "matrix"),
        ({"matrix": {"a b": [1]}}, "a b"),
        ({"matrix": {"a": [1, 1]}}, "/commands/m/matrix/a/1: a value is there twice"),
        ({"matrix": {"a": [1], "exclude": [{"b": 1}]}}, 'no axis "b"'),
        ({"matrix": {"a": [1], "include": [3]}}, 'an entry of "include" cannot be read'),
        ({"matrix": {"a": list(range(200)), "b": list(range(100))}}, "20,000 cells; expected at most 10,000"),
        ({"matrix": {"a": "${{ parameters.yers }}"}}, 'no parameter "yers".*did you mean "years"'),
        ({"matrix": {"a": "${{ other.years }}"}}, "is no list"),
        ({"matrix": {"a": ["${{ m.x }}"]}}, "is no list"),
        ({"matrix": {"region": [1]}, "parameters": {"x": "${{ matrix.regon }}"}}, 'no axis "regon".*"region"'),
        ({"parameters": {"x": "${{ matrix.region }}"}}, "the command has no matrix"),
        ({"matrix": {"a": [1]}, "when": "matrix.b == 1"}, 'no axis "b"'),
        ({"matrix": {"a": [1]}, "when": "matrix == 1"}, "names nothing"),
        ({"matrix": {"a": [1]}, "cwd": "${{ parameters.years }}"}, 'references are not read in "cwd"'),
        ({"matrix": {"a": [1]}, "description": "x", "kernel": "${{ matrix.a }}"}, 'not read in "kernel"'),
    ],
)
def test_a_wrong_matrix_is_refused_with_its_place(body: dict[str, Any], message: str) -> None:
    """Everything that can be seen in the definition is said before a run is thought of."""
    with pytest.raises(DefinitionError, match=message):
        read({"m": {"notebook": "n.ipynb", **body}, "other": {"shell": ["true"]}}, parameters={"years": [1]})


def test_what_a_cell_lacks_is_said_with_the_cell() -> None:
    """An included cell of its own has only what was written for it."""
    body = {"shell": ["echo", "${{ matrix.b }}"], "matrix": {"a": [1], "include": [{"a": 2, "b": 3}]}}
    ((name, mistake),) = expanded({"m": body}).mistakes
    assert (name, mistake.path) == ("m", "/shell")
    assert 'the cell "1" has no value for "${{ matrix.b }}"' in mistake.message


def test_a_definition_comes_back_unexpanded() -> None:
    """What is written is the matrix, not its cells."""
    definition = read({"m": {"shell": ["a", "${{ matrix.a }}"], "matrix": {"a": (1, "x")}}})
    assert to_dict(definition)["commands"]["m"]["matrix"] == {"a": [1, "x"]}
    assert read_definition(to_yaml(definition)).definition == definition
