"""What a person types to name a workflow: the path of a definition, of a folder of notebooks, or of one notebook."""

from __future__ import annotations

from pathlib import Path

from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.values import escaped
from orchestrator_nb.errors import UsageError
from orchestrator_nb.orchestrator.workflow import Workflow


def workflow_of(target: str) -> Workflow:
    """Return the workflow that a definition, a folder or a notebook is. Raises UsageError, DefinitionError."""
    path = Path(target)
    try:
        if path.is_dir():
            return Workflow.from_folder(path)
        there = path.exists()
    except OSError as error:
        raise UsageError(f"{escaped(target)} cannot be looked at: {error.strerror}") from error
    if not there:
        raise UsageError(f"there is no {escaped(target)}; {_expected(path)}")
    return Workflow.from_notebook(path) if path.suffix == ".ipynb" else Workflow.load(path)


def _expected(path: Path) -> str:
    try:
        near = nearest(path.name, [item.name for item in path.parent.iterdir()])
    except OSError:
        near = None
    if near is not None:
        return f'did you mean "{path.parent / near}"?'
    return "expected a definition (.yaml, .json), a folder of notebooks, or one notebook"
