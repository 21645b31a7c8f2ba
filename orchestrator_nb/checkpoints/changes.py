"""Whose changes are between checkpoints: what a command, a rollback, or nobody in particular changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from orchestrator_nb.checkpoints.entries import Change, Entry, changes_between
from orchestrator_nb.checkpoints.paths import BEHIND_LINK
from orchestrator_nb.checkpoints.record import Checkpoint
from orchestrator_nb.checkpoints.store import CheckpointStore

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


class Transition(NamedTuple):
    """What changed from the checkpoint before to this one; `owner` is None when that was nobody in particular."""

    before: Checkpoint | None
    checkpoint: Checkpoint
    owner: str | None
    changes: dict[str, Change]


class Reversal(NamedTuple):
    """What is to be at a path again (`wanted`), provided that `left` is there: what its last owner left.

    `unknown` says why the earlier content was not kept, where it was not.
    """

    wanted: Entry | None
    left: Entry | None
    unknown: str | None = None


def transitions(store: CheckpointStore, checkpoints: Sequence[Checkpoint]) -> list[Transition]:
    """Return what changed from each of a run's checkpoints to the next, from nothing to the first."""
    befores = [None, *checkpoints[:-1]]
    pairs = [
        (before.tree if before else EMPTY_TREE, each.tree) for before, each in zip(befores, checkpoints, strict=True)
    ]
    found = changes_between(store.git, pairs)
    return [
        Transition(before, each, _owner(before, each), changes)
        for before, each, changes in zip(befores, checkpoints, found, strict=True)
    ]


def _owner(before: Checkpoint | None, checkpoint: Checkpoint) -> str | None:
    # Across a checkpoint that is kept no longer, the change may be anybody's.
    return checkpoint.owner if before is not None and checkpoint.previous == before.commit else None


def reversals(moves: Sequence[Transition], chosen: Callable[[Transition], bool]) -> dict[str, Reversal]:
    """Return what undoing the chosen transitions comes to, path by path.

    Where somebody else changed a path between two that are chosen, what that one left is wanted: their work is kept.
    """
    found: dict[str, Reversal] = {}
    for move in moves:
        if not chosen(move):
            continue
        skipped = {path: why for path, why in move.before.skipped if why != BEHIND_LINK} if move.before else {}
        for path, (before, after) in move.changes.items():
            earlier = found.get(path)
            if earlier is not None and earlier.left == before:
                found[path] = earlier._replace(left=after)
            else:
                found[path] = Reversal(before, after, skipped.get(path) if before is None else None)
    return found


def owners_of(moves: Sequence[Transition], path: str, *, after: Entry | None) -> tuple[str, ...]:
    """Return who changed a path after it had this content for the last time; "someone" stands for nobody known."""
    found: list[str] = []
    for move in reversed(moves):
        change = move.changes.get(path)
        if change is None:
            continue
        if change.after == after:
            break
        found.append(move.owner or "someone")
    return tuple(reversed(found))
