"""What the context of an attempt knows, by the names that it is asked for; values are loaded when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator_nb.context import Lazy
from orchestrator_nb.data.command_result import previous_results
from orchestrator_nb.data.shared_values import shared_view
from orchestrator_nb.events import Stored
from orchestrator_nb.ports import Work


def known(name: str, work: Work, changes: Mapping[str, Any], load: Callable[[Stored], Any]) -> Any:
    """Return what a command may read under that name, None for what there is not; `changes` are its own of the shared
    state so far."""
    match name:
        case "upstream":
            return Lazy(work.inputs, load)
        case "previous_results":
            return previous_results(
                inputs=work.inputs, recorded=work.recorded, changes=work.changes, metrics=work.metrics, load=load
            )
        case "partial":
            return Lazy(work.partial, load)
        case "shared":
            return shared_view({**work.shared, **changes}, load)
        case "parameters":
            return work.parameters
        case "workflow_id":
            return work.workflow
        case "run_id":
            return work.run
        case "command" | "attempt":
            return getattr(work, name)
        case "execution_phase":
            return "executing"
        case "args" | "agent" | "scope":
            return getattr(work.definition, name)
    return None
