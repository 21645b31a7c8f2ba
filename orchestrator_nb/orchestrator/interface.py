"""The seed's control interface: a thin face over the same objects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from orchestrator_nb.orchestrator.result import RunResult
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.workflow import Workflow


class WorkflowOrchestrator:
    """A workflow given as the seed's dictionary (camelCase or not), to be executed and awaited."""

    def __init__(self, definition: Mapping[str, Any] | str | os.PathLike[str]) -> None:
        """Read the definition: a dictionary or a file. Raises DefinitionError with all mistakes."""
        self.workflow = Workflow.load(definition)

    def execute(self, **parameters: Any) -> Execution:
        """Start a run; await what is returned for its result."""
        return Execution(self.workflow.start(wait=False, parameters=parameters))


class Execution:
    """A run under way: awaiting it gives its RunResult, or raises RunFailed."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __await__(self) -> Any:
        return self.run.__await__()

    def result(self) -> RunResult:
        """Wait for it without an event loop."""
        return self.run.wait()
