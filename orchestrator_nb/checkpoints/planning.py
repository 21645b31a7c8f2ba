"""What a rollback will do, file by file, before anything is done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from orchestrator_nb.checkpoints.changes import Reversal, Transition, owners_of, reversals, transitions
from orchestrator_nb.checkpoints.entries import FOLDER, Entry, entry_on_disk
from orchestrator_nb.checkpoints.record import Checkpoint
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.errors import CheckpointError

POLICIES = ("refuse", "keep-both", "keep-mine")
"""What becomes of a file that was changed since: nothing is done at all, the earlier content is put beside it, or it
stays as it is."""


class Step(NamedTuple):
    """One file: what is at the path now and what will be; None for nothing."""

    path: str
    now: Entry | None
    then: Entry | None


class Conflict(NamedTuple):
    """One file that is not touched: what would have been put there, and why it is not."""

    path: str
    wanted: Entry | None
    why: str


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What a rollback comes to: `steps` are carried out; `conflicts` are left; `unowned` changed since without an
    owner and stay, too. `label` says it in words, `commands` are those whose changes are undone, in the files `owned`.
    """

    run: str
    label: str
    steps: tuple[Step, ...]
    conflicts: tuple[Conflict, ...]
    unowned: tuple[str, ...]
    commands: tuple[str, ...]
    paths: tuple[str, ...]
    owned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be undone: the chosen transitions of a run's checkpoints, and what that means path by path."""

    run: str
    workflow: str
    label: str
    moves: tuple[Transition, ...]
    wanted: dict[str, Reversal]
    commands: tuple[str, ...]
    unowned: tuple[str, ...]


def back_to(store: CheckpointStore, target: Checkpoint, *, everything: bool = False) -> Goal:
    """Undo what commands changed after this checkpoint; with `everything` also what nobody in particular did."""
    found = store.checkpoints(target.run)
    moves = transitions(store, found)
    return _goal(
        f"to {target.name} ({target.id})",
        moves,
        lambda move: move.checkpoint.number > target.number and (everything or move.owner is not None),
        since=target.number,
    )


def without(store: CheckpointStore, run: str, commands: Iterable[str]) -> Goal:
    """Undo what these commands changed, and nothing else. Raises CheckpointError for one without a checkpoint."""
    names = tuple(dict.fromkeys(commands))
    moves = transitions(store, store.checkpoints(run))
    owned = {move.owner for move in moves if move.checkpoint.is_of_command}
    if missing := [name for name in names if name not in owned]:
        raise CheckpointError(
            f'there is no checkpoint of the command "{missing[0]}" in the run "{run}": it changed nothing that it '
            f"declares, or its checkpoint is kept no longer"
        )
    return _goal(
        f"without {', '.join(names)}",
        moves,
        lambda move: move.checkpoint.is_of_command and move.owner in names,
        since=min(move.checkpoint.number for move in moves if move.owner in names) - 1,
    )


def before_rollback(store: CheckpointStore, rollback: Checkpoint) -> Goal:
    """Undo a rollback, also one that took several goes since it was cut. Raises CheckpointError for a checkpoint that
    is none."""
    if rollback.kind != "rollback":
        raise CheckpointError(f'"{rollback.id}" is a checkpoint of kind {rollback.kind}; only a rollback can be undone')
    moves = transitions(store, store.checkpoints(rollback.run))
    return _goal(f"undoing {rollback.id}", moves, lambda move: _is_of(move.checkpoint, rollback), since=rollback.number)


def _is_of(checkpoint: Checkpoint, rollback: Checkpoint) -> bool:
    """Whether a checkpoint is the outcome of this rollback, or of a go at it."""
    name = rollback.more.get("rollback")
    same = name is not None and checkpoint.kind == "rollback" and checkpoint.more.get("rollback") == name
    return same or checkpoint.commit == rollback.commit


def _goal(label: str, moves: list[Transition], chosen: Callable[[Transition], bool], *, since: int) -> Goal:
    wanted = reversals(moves, chosen)
    picked = [move for move in moves if chosen(move)]
    unowned = {
        path
        for move in moves
        if move.checkpoint.number > since and move.owner is None and not chosen(move)
        for path in move.changes
    }
    commands = dict.fromkeys(move.owner for move in picked if move.checkpoint.is_of_command and move.owner)
    last = moves[-1].checkpoint
    return Goal(
        run=last.run,
        workflow=last.workflow,
        label=label,
        moves=tuple(moves),
        wanted=wanted,
        commands=tuple(commands),
        unowned=tuple(sorted(unowned)),
    )


def plan_rollback(
    goal: Goal, root: Path, *, policy: str = "refuse", kept: Callable[[str], Entry | None] | None = None
) -> RollbackPlan:
    """Say what becomes of every file. Only those that are as their last owner left them are touched.

    `kept` gives what the safety checkpoint has of a path; what is not in it is never touched. Without, nothing is
    going to be touched and the files themselves are looked at.
    """
    if policy not in POLICIES:
        raise CheckpointError(f'"{policy}" is no way to treat changed files; expected one of {", ".join(POLICIES)}')
    steps: dict[str, Step] = {}
    conflicts: dict[str, Conflict] = {}
    for path, (wanted, left, unknown) in sorted(goal.wanted.items()):
        now = entry_on_disk(root, path)
        if now == wanted and unknown is None:
            continue
        here = None if now is not None and now.mode == FOLDER else now
        if unknown is not None:
            conflicts[path] = Conflict(path, None, f"its earlier content was not kept: {unknown}")
        elif kept is not None and kept(path) != here:
            conflicts[path] = Conflict(path, wanted, "what is there now could not be kept first")
        elif here != left:
            who = [name for name in owners_of(goal.moves, path, after=left) if name != "someone"]
            why = f"changed since by {', '.join(who)}" if who else "changed since"
            conflicts[path] = Conflict(path, wanted, why)
        elif here != wanted:
            steps[path] = Step(path, here, wanted)
    _clear_ways(root, steps, conflicts)
    if policy == "keep-both":
        for conflict in list(conflicts.values()):
            if conflict.wanted is not None and (name := _beside(root, conflict, steps)):
                steps[name] = Step(name, None, conflict.wanted)
    return RollbackPlan(
        run=goal.run,
        label=goal.label,
        steps=tuple(sorted(steps.values(), key=_order)),
        conflicts=tuple(conflicts.values()),
        unowned=goal.unowned,
        commands=goal.commands,
        paths=tuple(sorted({*goal.wanted, *steps})),
        owned=frozenset(goal.wanted),
    )


def _order(step: Step) -> tuple[bool, int, str]:
    """Deletions first, the deepest first, so that a file can take the place of a folder and the reverse."""
    return (step.then is not None, -step.path.count("/") if step.then is None else 0, step.path)


def _clear_ways(root: Path, steps: dict[str, Step], conflicts: dict[str, Conflict]) -> None:
    """Turn steps whose place is taken by what nobody asked to remove into conflicts, until none is left."""
    blocked = True
    while blocked:
        blocked = False
        removed = {path for path, step in steps.items() if step.then is None}
        for path, step in list(steps.items()):
            if step.then is not None and (why := _in_the_way(root, path, removed)):
                conflicts[path] = Conflict(path, step.then, why)
                del steps[path]
                blocked = True


def _in_the_way(root: Path, path: str, removed: set[str]) -> str | None:
    full = os.path.join(root, path)
    if os.path.isdir(full) and not os.path.islink(full):
        for folder, folders, files in os.walk(full):
            for name in (*files, *(name for name in folders if os.path.islink(os.path.join(folder, name)))):
                inside = os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")
                if inside not in removed:
                    return f'it is a folder now, with "{inside}" in it'
    return _no_folder(root, path, removed)


def _no_folder(root: Path, path: str, removed: Iterable[str]) -> str | None:
    """Return why the path cannot be reached: one of its folders is something else by now."""
    parent = os.path.dirname(path)
    while parent:
        there = os.path.join(root, parent)
        if (os.path.islink(there) or os.path.isfile(there)) and parent not in removed:
            return f'"{parent}" is no folder now'
        parent = os.path.dirname(parent)
    return None


def _beside(root: Path, conflict: Conflict, taken: Iterable[str]) -> str | None:
    """Return a free name beside the file, its ending kept, or None when the same content lies there already."""
    stem, ending = os.path.splitext(conflict.path)
    while _no_folder(root, stem, ()) and "/" in stem:  # put it where its folder was
        folder, _, name = stem.rpartition("/")
        stem = f"{os.path.dirname(folder)}/{name}".lstrip("/")
    for number in range(1, 1000):
        name = f"{stem}.rollback-{number}{ending}"
        there = entry_on_disk(root, name)
        if there == conflict.wanted:
            return None
        if there is None and name not in set(taken):
            return name
    return None


def refusal(plan: RollbackPlan) -> str:
    """Return what to say when a rollback is refused: which files, why, and what can be asked instead."""
    shown: Sequence[Conflict] = plan.conflicts[:5]
    lines = [f'  "{conflict.path}": {conflict.why}' for conflict in shown]
    more = len(plan.conflicts) - len(shown)
    return "\n".join(
        [
            f"the rollback {plan.label} would touch files that are not as the run left them; nothing was changed:",
            *lines,
            *([f"  and {more} more"] if more else []),
            "to leave yours and have the earlier content put beside them, keep both (keep_both=True, --keep-both)",
        ]
    )
