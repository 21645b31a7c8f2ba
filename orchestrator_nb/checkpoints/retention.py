"""How long checkpoints are kept, and giving back the room of those that are not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from orchestrator_nb.checkpoints.listing import copies_of
from orchestrator_nb.checkpoints.record import Checkpoint, ref_of
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.errors import CheckpointError

COMPLETED = "completion"
"""The kind of the last checkpoint of a run that is completed."""

MANY_LOOSE = 6700
"""Loose objects above which they are packed."""


def thin(
    store: CheckpointStore,
    *,
    keep: int | None = None,
    days: float | None = None,
    run: str | None = None,
    workflow: str | None = None,
    now: float | None = None,
    spared: Callable[[Checkpoint, bool], bool] | None = None,
) -> tuple[Checkpoint, ...]:
    """Forget checkpoints, of one run, of those of a workflow or of each, and return those that are gone.

    A run keeps its last `keep` ones and those younger than `days`; whatever is given says what goes, and both do when
    both are given. Its first and its last stay in any case, for the way back to its beginning and what is next, and so
    does every one before a rollback, since that is how it is undone. A run is `spared` where that says so, asked with
    its last checkpoint and whether even that is older than `days`. The room is given back by `collect`.
    """
    oldest = None if days is None else (time.time() if now is None else now) - days * 86400
    gone: list[Checkpoint] = []
    with store.lock():
        by_run: dict[str, list[Checkpoint]] = {}
        for each in store.checkpoints(run):
            if workflow not in (None, each.workflow):
                continue
            by_run.setdefault(each.run, []).append(each)
        for of_run in by_run.values():
            idle = oldest is not None and of_run[-1].at < oldest
            if spared is not None and spared(of_run[-1], idle):
                continue
            for place, each in enumerate(of_run[1:-1], start=2):
                many = keep is not None and place <= len(of_run) - keep
                old = oldest is not None and each.at < oldest
                if (many or old) and each.kind not in {"safety", "rollback"}:
                    gone.append(each)
        _note(store, gone)
        _delete(store, gone)
    return tuple(gone)


def forget_run(store: CheckpointStore, run: str, *, stays: bool = False) -> tuple[Checkpoint, ...]:
    """Forget all checkpoints of a run, its index included, and return them.

    `stays` when the run itself does: then it is noted that they were let go of.
    """
    with store.lock():
        gone = store.checkpoints(run)
        if stays:
            _note(store, gone)
        _delete(store, gone)
        if not stays:
            _notes(store, run).unlink(missing_ok=True)
        store.index(run).unlink(missing_ok=True)
        copies_of(store.folder, ref_of(run)).unlink(missing_ok=True)
        store.remember(run, None)
    return gone


def let_go(store: CheckpointStore, run: str) -> frozenset[tuple[str, str]]:
    """Return id and commit of the checkpoints of a run that were forgotten on purpose while the run stayed."""
    try:
        lines = _notes(store, run).read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return frozenset()
    known = (line.partition(" ") for line in lines if line)
    return frozenset((f"{run}/{number}", commit) for number, _, commit in known)


def collect(store: CheckpointStore) -> None:
    """Pack what is kept and remove what nothing refers to, what others left half-written included."""
    with store.lock():
        store.git.run("pack-refs", "--all")
        store.git.run("repack", "-a", "-d", "-q", "--no-write-bitmap-index")
        store.git.run("prune", "--expire=now")
        for left in store.folder.glob("objects/pack/tmp_*"):
            with suppress(OSError):
                left.unlink()


def tidy(
    store: CheckpointStore,
    *,
    workflow: str,
    keep: int | None,
    days: float | None,
    live: Callable[[str], bool],
    now: float | None = None,
) -> None:
    """Forget what is not to be kept of a workflow's runs, and give back the room once much of it is loose.

    A run that is `live` loses nothing. One that can go on, since it was not completed or went back later, loses nothing
    before it has rested for `days`, and then not its ends, nor what it takes to undo its rollbacks. A completed one has
    none left when it has rested for so long.
    """
    now = time.time() if now is None else now

    def spared(last: Checkpoint, idle: bool) -> bool:
        return live(last.run) or not (idle or last.kind == COMPLETED)

    if keep is not None or days is not None:
        thin(store, keep=keep, days=days, workflow=workflow, now=now, spared=spared)
    if days is not None:
        last = {each.run: each for each in store.checkpoints() if each.workflow == workflow}
        for run, each in last.items():
            if each.kind == COMPLETED and each.at < now - days * 86400 and not live(run):
                forget_run(store, run, stays=True)
    # One folder of 256 is looked at, as git does.
    if len(list(store.folder.glob("objects/17/*"))) * 256 > MANY_LOOSE:
        collect(store)


def _notes(store: CheckpointStore, run: str) -> Path:
    return store.folder / "let-go" / ref_of(run).split("/")[2]


def _note(store: CheckpointStore, gone: Iterable[Checkpoint]) -> None:
    """Note what is about to be forgotten, before it is: what was lost otherwise can be told from it."""
    lines: dict[str, str] = {}
    for each in gone:
        lines[each.run] = f"{lines.get(each.run, '')}{each.number:06d} {each.commit}\n"
    for run, text in lines.items():
        path = _notes(store, run)
        try:
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as file:
                file.write(b"\n" + text.encode("ascii"))  # first the border: what was cut before does not spoil it
                file.flush()
                if store.durable:
                    os.fsync(file.fileno())
        except OSError as error:
            raise CheckpointError(f'"{path}" cannot be written: {error.strerror or error}') from error


def _delete(store: CheckpointStore, gone: Iterable[Checkpoint]) -> None:
    lines = "".join(f"delete {ref_of(each.run, each.number)} {each.commit}\n" for each in gone)
    if lines:
        store.git.run("update-ref", "--no-deref", "--stdin", stdin=lines.encode())
