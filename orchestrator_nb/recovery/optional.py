"""Optional commands: their bad end is a deviation of the run, not its failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.state.run_state import RunState


class Optional:
    """The bad end of an optional command is recorded as a deviation, so that the run may complete without it."""

    kinds: tuple[type[e.Event], ...] = (e.CommandFailed, e.CommandCrashed, e.UpstreamFailed)
    decides: tuple[type[e.Event], ...] = ()

    def __call__(self, event: Any, state: RunState) -> Iterable[e.Event]:
        """Return the deviation, if the command is optional."""
        if not state.planned[event.command].optional:
            return ()
        record = state.commands[event.command]
        text = f"optional, and it is {record.state}: {record.reason}"
        return (e.DeviationRecorded(at=event.at, command=event.command, text=text),)
