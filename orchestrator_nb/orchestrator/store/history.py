"""The runs of a store, in short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator_nb.journal.owner import is_owned


def summaries(
    store: Path,
    *,
    workflow: str | None = None,
    limit: int | None = None,
    said: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Return a row a run, the latest first: ``run``, ``workflow``, ``state``, ``owned`` (a living process drives it),
    ``started`` (seconds since the epoch), ``seconds``, ``commands``, ``succeeded`` and ``reason``.

    A run whose journal cannot be read is of state ``damaged``, the rest of its row is from before that place. Only runs
    of `workflow`, if one is named, and at most `limit`. `said` is called where the index of the store is of no use.
    Raises StoreError when the store cannot be read.
    """
    from sqlalchemy import func, select

    from orchestrator_nb.journal.index.index import Index
    from orchestrator_nb.journal.index.schema import runs

    query = select(runs).order_by(func.coalesce(runs.c.started, 0.0).desc(), runs.c.run.desc()).limit(limit)
    if workflow is not None:
        query = query.where(runs.c.workflow == workflow)
    index = Index(store)
    try:
        rows = index.read(query)
    finally:
        index.close()
    if index.note is not None and said is not None:
        said(index.note)
    return [_summary(store, row) for row in rows]


def _summary(store: Path, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": row["run"],
        "workflow": row["workflow"],
        "owned": is_owned(store / row["run"]),
        "state": "damaged" if row["damaged"] else row["phase"],
        "started": row["started"],
        "seconds": round(_seconds(row), 3),
        "commands": row["commands"],
        "succeeded": row["succeeded"] + row["reused"],
        "reason": row["damaged"] or row["reason"],
    }


def _seconds(row: dict[str, Any]) -> float:
    """Return the seconds from the start to the end, or to the end of the last attempt of a run that has none."""
    if row["started"] is None:
        return 0.0
    return max(0.0, float(row["ended"] or row["last_attempt_ended"] or 0.0) - float(row["started"]))
