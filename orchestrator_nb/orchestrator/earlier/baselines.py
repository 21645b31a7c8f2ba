"""What commands came to in earlier runs that completed: what gates hold results against."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from orchestrator_nb.orchestrator.earlier.results import EarlierResults
from orchestrator_nb.quality.past import Earlier, Past


def completed_before(run_folder: Path, workflow: str) -> Past:
    """Return what gives the results of the runs of a workflow that completed, but for the run in that folder.

    Nothing is read until it is asked. It raises StoreError where the store cannot be read.
    """

    @lru_cache(maxsize=1)
    def earlier() -> EarlierResults:
        return EarlierResults(run_folder.parent, workflow, besides=run_folder.name)

    def past(command: str) -> Iterator[Earlier]:
        for run in earlier().runs():
            if run.state.run.state == "completed" and command in run.kept:
                yield Earlier(run=run.folder.name, folder=run.folder, record=run.kept[command].record)

    return past
