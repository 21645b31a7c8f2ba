"""The look at the machine before a retry: imported when there is one, and answered also where nothing can be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator_nb.events import ResourcesProbed
from orchestrator_nb.orchestrator.late_import import NO_MORE_FILES, late_import
from orchestrator_nb.ports import Step


def probe(step: Step, *, clock: Callable[[], float]) -> ResourcesProbed:
    """Return what the retry of a command would find, as `executors.probing` does; nothing where no file can be opened to
    look, for a step without an answer would keep the run waiting for ever."""
    assert step.command is not None
    assert step.attempt is not None
    try:
        probing: Any = late_import("orchestrator_nb.executors.probing")
        found: ResourcesProbed = probing.probe(step, clock=clock)
    except OSError as error:
        files = 0 if error.errno in NO_MORE_FILES else None
        return ResourcesProbed(at=clock(), command=step.command, attempt=step.attempt, files=files)
    return found
