"""The runs of a store, in short."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.follow import Follower
from orchestrator_nb.journal.owner import is_owned
from orchestrator_nb.journal.store import JOURNAL, list_runs
from orchestrator_nb.state import RunState


def summaries(store: Path, *, workflow: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield a row a run, the latest first: ``run``, ``workflow``, ``state``, ``owned`` (a living process drives it),
    ``started`` (seconds since the epoch), ``seconds``, ``commands``, ``succeeded`` and ``reason``.

    A journal that cannot be read is a row of state ``damaged``. Only runs of `workflow`, if one is named, and at most
    `limit`. Raises StoreError when the store cannot be read.
    """
    count = 0
    for folder in list_runs(store):
        if limit is not None and count >= limit:
            return
        row = _row(folder)
        if workflow is None or row["workflow"] == workflow:
            count += 1
            yield row


def _row(folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"run": folder.name, "workflow": "", "owned": is_owned(folder)}
    try:
        state = Follower(folder / JOURNAL).catch_up()
    except StoreError as error:
        return {
            **row,
            "state": "damaged",
            "started": None,
            "seconds": 0.0,
            "commands": 0,
            "succeeded": 0,
            "reason": str(error),
        }
    return {
        **row,
        "workflow": state.run.workflow,
        "state": state.phase,
        "started": state.run.started,
        "seconds": round(_seconds(state), 3),
        "commands": len(state.commands),
        "succeeded": state.counts.get("succeeded", 0),
        "reason": state.run.reason,
    }


def _seconds(state: RunState) -> float:
    """Return the seconds from the start to the end, or to the end of the last attempt of a run that has none."""
    run = state.run
    if run.started is None:
        return 0.0
    end = run.ended or max((record.ended or 0.0 for record in state.commands.values()), default=0.0)
    return max(0.0, end - run.started)
