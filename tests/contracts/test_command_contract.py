"""What every type of command keeps: a name, mistakes with a place below the command, the same source for the same text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.orchestrator.command_types import command_types
from orchestrator_nb.orchestrator.inner_workflow import WorkflowCommand
from orchestrator_nb.orchestrator.workflow import read_workflow
from orchestrator_nb.ports import Command


def _write(project: Path) -> None:
    (project / "steps.py").write_text("def work(n=1):\n    return n\n")
    (project / "inner.yaml").write_text("workflow: inner\ncommands:\n  a: {call: 'steps:work'}\n")
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell("n = 1", metadata={"tags": ["parameters"]})]
    nbformat.write(notebook, project / "work.ipynb")


RIGHT: dict[str, dict[str, Any]] = {
    "notebook": {"notebook": "work.ipynb"},
    "call": {"call": "steps:work"},
    "shell": {"shell": ["echo", "hello"]},
    "workflow": {"workflow": "inner.yaml"},
}
WRONG: dict[str, dict[str, Any]] = {
    "notebook": {"notebook": "absent.ipynb"},
    "call": {"call": "steps:absent"},
    "shell": {"shell": ["no-such-program-anywhere"]},
    "workflow": {"workflow": "absent.yaml"},
}


@pytest.fixture(name="type_of")
def _type_of(project: Path) -> Callable[[str], Command]:
    _write(project)
    inner = WorkflowCommand(read_workflow, within=(), accept_changes=False)
    return lambda kind: command_types({}, {kind}, inner=lambda: inner)[kind]


@pytest.mark.parametrize("kind", RIGHT)
def test_what_is_right_has_no_mistakes_and_a_source(
    kind: str, type_of: Callable[[str], Command], project: Path
) -> None:
    """A command whose file or program is there passes, and its source is a text that does not change by itself."""
    command = CommandDefinition(id="a", **RIGHT[kind])
    of_kind = type_of(kind)
    assert of_kind.name == kind == command.kind
    assert of_kind.check(command, folder=project, upstream={}, parameters=()) == []
    assert of_kind.source(command, folder=project) == type_of(kind).source(command, folder=project) != ""
    assert isinstance(of_kind.wants(command, folder=project), tuple)
    assert isinstance(of_kind.notes(command, folder=project), list)


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_a_mistake_with_a_place(kind: str, type_of: Callable[[str], Command], project: Path) -> None:
    """Nothing is raised for what the user wrote: it is a mistake below the command, before anything runs."""
    (mistake,) = type_of(kind).check(
        CommandDefinition(id="a", **WRONG[kind]), folder=project, upstream={}, parameters=()
    )
    assert mistake.path.startswith(f"/{kind}") or mistake.file is not None
    assert mistake.message
