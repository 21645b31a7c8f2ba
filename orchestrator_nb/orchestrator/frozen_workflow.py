"""The workflow of a run that is there: as it was frozen, and as it is now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator_nb.definition.reading import Loaded
from orchestrator_nb.errors import RunRefused
from orchestrator_nb.orchestrator.frozen import Frozen
from orchestrator_nb.orchestrator.opening import Opening
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.workflow import Workflow, read_workflow


def resume_frozen(folder: Path, **options: Any) -> Run:
    """Go on with the run in this folder; see `attaching.resume_run`."""
    frozen = Frozen.read(folder)
    if frozen.defined_in is not None:
        _refuse_session_functions(Run(folder), frozen)
    return _workflow_of(frozen).resume(folder.name, store=folder.parent, **options)


def today(folder: Path) -> Opening:
    """Return the opening of the run in this folder with its code as it is now where its definition came from."""
    return _workflow_of(Frozen.read(folder)).today(folder)


def frozen_workflow(frozen: Frozen) -> Workflow:
    """Return the workflow just as the run has it."""
    flow = Workflow._of(Loaded(definition=frozen.definition, folder=frozen.folder), None)
    flow.origin = frozen.origin
    return flow


def _refuse_session_functions(run: Run, frozen: Frozen) -> None:
    command = frozen.session_function(run.state)
    if command is not None:
        raise RunRefused(
            f'"{run.id}" cannot go on here: "{command}" is a function defined in {frozen.defined_in}; '
            f"open that, define the workflow again, and type flow.resume()"
        )


def _workflow_of(frozen: Frozen) -> Workflow:
    """Return today's workflow where the run's came from a file or folder that is still there, else the frozen one."""
    origin = frozen.origin
    if origin is not None and origin.exists():
        return read_workflow(origin)
    flow = frozen_workflow(frozen)
    flow.origin = None
    return flow
