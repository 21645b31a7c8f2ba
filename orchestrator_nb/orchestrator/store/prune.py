"""Deleting runs that are no longer wanted: which ones, and how."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator_nb.data.flush import flush_folder
from orchestrator_nb.errors import OrchestratorError, RunRefused, StoreError, UsageError
from orchestrator_nb.events import RunDeleted
from orchestrator_nb.journal.identity import asker
from orchestrator_nb.journal.owner import Ownership, is_owned
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.journal.store_facts import record_facts, store_facts
from orchestrator_nb.orchestrator.frozen import Frozen
from orchestrator_nb.state.transitions import ENDED

DAY = 86_400.0
"""Seconds of a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """A run that is to be deleted, with the runs that are `parts` of it; `kept` says why it is not, where it is not.

    `started` is in seconds since the epoch, `size` in bytes, parts included, `journal` the size of its journal.
    """

    run: str
    workflow: str
    state: str
    started: float | None
    size: int
    journal: int
    parts: tuple[str, ...] = ()
    kept: str | None = None


def doomed_runs(
    store: Path,
    *,
    keep: int | None = None,
    older_than: float | None = None,
    workflow: str | None = None,
    unfinished: bool = False,
) -> list[Doomed]:
    """Return the runs beyond the latest `keep` of their workflow in which nothing has happened for `older_than` days,
    the latest first; nothing is deleted.

    A run that a process drives is kept, and one that has not ended or is damaged, unless `unfinished`. Parts go with the
    run that they are parts of. Raises UsageError when neither limit is given, and StoreError.
    """
    if keep is None and older_than is None:
        raise UsageError("nothing says which runs are to go: give how many to keep (--keep) or an age (--older-than)")
    rows = _rows(store)
    names = {row["run"] for row in rows}
    parts: dict[str, list[str]] = {}
    for row in rows:
        parts.setdefault(row["parent"], []).append(row["run"])
    seen: dict[str, int] = {}
    found: list[Doomed] = []
    for row in rows:
        if row["parent"] in names or workflow not in (None, row["workflow"]):
            continue
        seen[row["workflow"]] = seen.get(row["workflow"], 0) + 1
        if keep is not None and seen[row["workflow"]] <= keep:
            continue
        if older_than is not None and time.time() - _last_active(store, row) < older_than * DAY:
            continue
        found.append(_doomed(store, row, tuple(_below(row["run"], parts)), unfinished=unfinished))
    return found


def delete_runs(store: Path, doomed: Sequence[Doomed]) -> dict[str, str]:
    """Delete these runs with their parts, but those that are kept; each deletion is recorded in the store first.

    Return what could not be deleted, by run, with the reason: somebody drives it by now, or has gone on with it.
    """
    failed: dict[str, str] = {}
    for item in doomed:
        if item.kept is not None:
            continue
        try:
            _delete(store, item.run, item)
            for part in item.parts:
                if (store / part / JOURNAL).exists():
                    _delete(store, part)
        except OrchestratorError as error:
            failed[item.run] = str(error)
    _sweep(store)
    return failed


def _rows(store: Path) -> list[dict[str, Any]]:
    from sqlalchemy import func, select

    from orchestrator_nb.journal.index.index import Index
    from orchestrator_nb.journal.index.schema import runs

    index = Index(store)
    try:
        return index.read(select(runs).order_by(func.coalesce(runs.c.started, 0.0).desc(), runs.c.run.desc()))
    finally:
        index.close()


def _last_active(store: Path, row: dict[str, Any]) -> float:
    """Return when something last happened in the run, in seconds since the epoch."""
    times = [row[name] for name in ("started", "last_attempt_ended", "ended") if row[name] is not None]
    return float(max(times)) if times else (store / row["run"] / JOURNAL).stat().st_mtime


def _below(run: str, parts: dict[str, list[str]]) -> Iterator[str]:
    for part in parts.get(run, ()):
        yield part
        yield from _below(part, parts)


def _doomed(store: Path, row: dict[str, Any], parts: tuple[str, ...], *, unfinished: bool) -> Doomed:
    kept = None
    if any(is_owned(store / name) for name in (row["run"], *parts)):
        kept = "a process drives it"
    elif row["damaged"] and not unfinished:
        kept = "its journal is damaged, and what can be saved of it is not known; --unfinished takes it, too"
    elif row["state"] not in ENDED and not unfinished:
        kept = f"it is {row['state']} and can go on; --unfinished takes it, too"
    return Doomed(
        run=row["run"],
        workflow=row["workflow"],
        state="damaged" if row["damaged"] else row["phase"],
        started=row["started"],
        size=sum(size_of(store / name) for name in (row["run"], *parts)),
        journal=_journal_size(store / row["run"]),
        parts=parts,
        kept=kept,
    )


def _delete(store: Path, run: str, expected: Doomed | None = None) -> None:
    folder = store / run
    _forget_checkpoints(folder)
    ownership = Ownership(folder)  # nobody can go on with it from here on
    try:
        if expected is not None and _journal_size(folder) != expected.journal:
            raise RunRefused(f'"{run}" went on since it was looked at; it is not deleted')
        workflow, state = ("", "") if expected is None else (expected.workflow, expected.state)
        fact = RunDeleted(at=time.time(), run=run, workflow=workflow, state=state, bytes=size_of(folder), by=asker())
        record_facts(store, [fact])
        # Without its journal it is no run any more, so that no half of one is ever found.
        (folder / JOURNAL).unlink()
        flush_folder(folder)
    except OSError as error:
        raise StoreError(f'"{folder}" cannot be deleted: {error.strerror or error}') from error
    finally:
        ownership.release()
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(f'"{folder}" could not be removed whole: {error.strerror or error}') from error


def _forget_checkpoints(folder: Path) -> None:
    """Forget the run's checkpoints; where they cannot be reached any more they go with their age."""
    from orchestrator_nb.checkpoints.retention import forget_run
    from orchestrator_nb.orchestrator.rollbacks.going_back import existing_store

    with suppress(OrchestratorError):
        kept = existing_store(Frozen.read(folder).folder, folder)
        if kept is not None and not is_owned(folder):
            forget_run(kept, folder.name)


def _sweep(store: Path) -> None:
    """Remove what is left of runs whose deletion did not come to its end."""
    for fact in store_facts(store):
        if isinstance(fact, RunDeleted):
            folder = store / fact.run
            if folder.is_dir() and not (folder / JOURNAL).exists() and not is_owned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _journal_size(folder: Path) -> int:
    try:
        return (folder / JOURNAL).stat().st_size
    except OSError:
        return 0


def size_of(folder: Path) -> int:
    """Return how many bytes the files in a folder have."""
    size = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                size += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # gone meanwhile
                continue
    return size
