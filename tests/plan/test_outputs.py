"""Declared outputs against the parameters that take them, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import nbformat
import pytest

from orchestrator_nb.commands.notebooks.command import NotebookCommand
from orchestrator_nb.errors import DefinitionError


def takes(x: int):
    return x


def takes_number(x: float | None):
    return x


def takes_path(x: Path):
    return x


def takes_choice(x: Literal["a", "b"]):
    return x


def takes_anything(x, **more):
    return x


def commands(type_name, reference="${{ clean.out }}"):
    return {"clean": {"outputs": {"out": type_name}}, "use": {"parameters": {"x": reference}}}


@pytest.mark.parametrize(
    ("type_name", "function", "expected"),
    [
        ("string", takes, "integer"), ("number", takes, "integer"), ("table", takes, "integer"), ("list", takes_path, "path"),
        ("object", takes_number, "null or number"),
    ],
)  # fmt: skip
def test_an_output_of_another_type_is_a_mistake(planned, type_name, function, expected):
    """The parameter, the reference, and both types are named."""
    with pytest.raises(DefinitionError) as caught:
        planned(commands(type_name), functions={"use": function})
    (mistake,) = caught.value.mistakes
    assert (mistake.path, mistake.found, mistake.expected) == ("/commands/use/parameters/x", type_name, expected)
    assert "${{ clean.out }}" in mistake.message


@pytest.mark.parametrize(
    ("type_name", "function"),
    [
        ("integer", takes), ("integer", takes_number), ("file", takes_path), ("string", takes_choice), ("any", takes),
        ("table", takes_anything),
    ],
)  # fmt: skip
def test_an_output_that_may_fit_is_right(planned, type_name, function):
    """What the types leave open is seen when the command runs."""
    assert planned(commands(type_name), functions={"use": function}).upstream["use"] == ("clean",)


def test_inside_a_text_and_deeper_in_a_value_any_type_is_right(planned):
    """A reference that is not the whole value, or asks for a part of the output, has another type than the output."""
    assert planned(commands("object", "${{ clean.out.rows }}"), functions={"use": takes})
    assert planned(commands("integer", "rows: ${{ clean.out }}"), functions={"use": takes_anything})


def test_a_notebook_says_in_its_parameters_cell_what_it_takes(planned, tmp_path):
    """Its annotation, comment or default is compared in the same way."""
    cell = nbformat.v4.new_code_cell("x: int = 1", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "use.ipynb")
    bodies = commands("table")
    bodies["use"]["notebook"] = "use.ipynb"
    bodies["clean"]["notebook"] = "use.ipynb"
    with pytest.raises(DefinitionError, match=r"found table[,;] expected integer"):
        planned(bodies, types={"notebook": NotebookCommand()})


def test_a_whole_result_with_declared_outputs_is_a_mapping(planned):
    """An argument named like the command that says that it is something else is a mistake."""

    def use(clean: int):
        return clean

    def fits(clean: dict):
        return clean

    body = {"clean": {"outputs": {"rows": "integer"}}, "use": {}}
    with pytest.raises(
        DefinitionError, match=r'"clean" is the result of "clean", a mapping with the outputs .*\(rows\)'
    ):
        planned(body, functions={"use": use})
    assert planned(body, functions={"use": fits}).upstream["use"] == ("clean",)
