"""Runs of the store, whoever began them: to look at, to steer, and to go on with."""

from __future__ import annotations

import os
from typing import Any

from orchestrator_nb.journal.store import find_run, find_store
from orchestrator_nb.orchestrator.run import Run


def attach(run: str = "latest", *, store: str | os.PathLike[str] | None = None) -> Run:
    """Return a run of the store: by its id, the beginning of its id, or "latest". Raises RunNotFound."""
    return Run(find_run(find_store(store), run), go_on=resume_run)


def resume_run(run: str = "latest", *, store: str | os.PathLike[str] | None = None, **options: Any) -> Run:
    """Go on with a run of the store, with its definition as it is now where it was read from; options as for
    `Workflow.resume`.

    Raises RunRefused when it still needs functions of the session in which it was defined, and what
    `Workflow.resume` raises.
    """
    folder = find_run(find_store(store), run)
    # Workflows and their commands are imported where a run goes on: whoever looks at one does without.
    from orchestrator_nb.orchestrator.frozen_workflow import resume_frozen

    return resume_frozen(folder, **options)
