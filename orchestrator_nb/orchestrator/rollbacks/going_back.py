"""Carrying out a rollback of a run: its files, and what its journal says of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.checkpoints.differences import difference
from orchestrator_nb.checkpoints.paths import SIZE_LIMIT
from orchestrator_nb.checkpoints.place import find_place
from orchestrator_nb.checkpoints.planning import (
    Goal,
    RollbackPlan,
    back_to,
    before_rollback,
    plan_rollback,
    refusal,
    without,
)
from orchestrator_nb.checkpoints.record import Checkpoint
from orchestrator_nb.checkpoints.rollback import finish, roll_back, unfinished
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.errors import CheckpointError, OrchestratorError, RollbackRefused, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.display.evidence import evidence_of, version_of
from orchestrator_nb.orchestrator.rollbacks.moments import START, Course, Moment, Past, Rollback, undone, users_of
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import FINAL


class Way(Struct, frozen=True):
    """What a rollback comes to: in words, what becomes of the commands, its files, if any, and the rollback that it
    undoes, if any. `note` is what else is worth knowing."""

    what: str
    course: Course
    goal: Goal | None
    undid: Rollback | None = None
    note: str = ""


def way_back(past: Past, store: CheckpointStore | None, *, to: str | None, undo: Sequence[str]) -> Way:
    """Return what going back comes to; nothing is changed. Raises UsageError and CheckpointError."""
    if (to is None) == (not undo):
        raise UsageError(
            "a rollback needs either a moment to go back to (to=, --to) or what is to be undone (undo=, --undo): commands, "
            f'or "rollback" for the last one; found {"neither" if to is None else "both"}'
        )
    run = past.now.run.run
    if to is None:
        if (rollback := _rollback_meant(undo, past, store)) is not None:
            return _way_before(rollback, past, store)
        names = undone(undo, past.now)
        goal = _without(store, run, names) if store is not None else None
        return Way(f"without {', '.join(names)}", past.without(names), goal)
    named = None
    if to not in past.now.commands and to != START:
        if store is None:
            raise UsageError(f'there are no checkpoints, so "{to}" is neither one nor a command')
        named = store.find(to, run=None if "/" in to else run)
    moment = moment_of(named, past) if named is not None else past.moment(to)
    goal, note = None, ""
    if store is not None and moment.checkpoint is not None:
        checkpoint = store.find(moment.checkpoint)
        goal, note = back_to(store, checkpoint), _of_branches(checkpoint, store)
    return Way(f"to {to}", past.back_to(moment), goal, note=note)


def _of_branches(then: Checkpoint, store: CheckpointStore) -> str:
    """Return what to say where the user's repository stands elsewhere by now: nothing of it is moved."""
    head, branch = store.user_position()
    if (then.head, then.branch) == (head, branch):
        return ""
    was, now = (
        f"{(name or 'no branch').removeprefix('refs/heads/')} at {(commit or 'no commit')[:10]}"
        for name, commit in ((then.branch, then.head), (branch, head))
    )
    return f"your repository was on {was} then and is on {now}: it stays there, only files of commands go back"


def moment_of(checkpoint: Checkpoint, past: Past) -> Moment:
    """Return the moment at which a checkpoint was taken. Raises UsageError where the journal does not know it."""
    return past.moment(checkpoint.id, checkpoint=checkpoint.id, position=checkpoint.position)


def _rollback_meant(names: Sequence[str], past: Past, store: CheckpointStore | None) -> Rollback | None:
    """Return the rollback that is to be undone, None where commands are. Raises UsageError for a checkpoint of anything
    else."""
    found = []
    for name in names:
        if name in past.now.commands or any(each.matrix == name for each in past.now.planned.values()):
            continue
        rollback = past.rollback_named(name) or _rollback_of_checkpoint(name, past, store)
        if rollback is not None:
            found.append(rollback)
    if found and len(names) > 1:
        raise UsageError("rollbacks are undone one at a time, the last first, and not together with commands")
    return found[0] if found else None


def _rollback_of_checkpoint(name: str, past: Past, store: CheckpointStore | None) -> Rollback | None:
    if store is None:
        return None
    try:
        found = store.find(name, run=None if "/" in name else past.now.run.run)
    except CheckpointError:
        return None
    for each in past.rollbacks:
        if found.kind == "rollback" and each.event.rollback == found.more.get("rollback", each.event.rollback):
            if found.more or each.event.outcome == found.id:
                return each
    raise UsageError(
        f'"{name}" is a checkpoint of kind {found.kind}: undo (--undo) takes commands or a rollback; to go back to a '
        f"checkpoint, use to (--to {name})"
    )


def _way_before(rollback: Rollback, past: Past, store: CheckpointStore | None) -> Way:
    """Return the way back to before a rollback. Raises UsageError where it is undone already, and CheckpointError where
    its files are kept no longer."""
    if (by := past.undone_by(rollback)) is not None:
        raise UsageError(f"{rollback.name} was undone already; to have it again, undo {by.name}")
    goal, outcome = None, rollback.event.outcome
    if outcome:
        if store is None:
            raise CheckpointError(f"the checkpoints of {rollback.name} are gone, so its files cannot be given back")
        goal = before_rollback(store, store.find(outcome))
    return Way(f"undoing {rollback.name} ({rollback.event.what})", past.before(rollback), goal, rollback)


def _without(store: CheckpointStore, run: str, names: Sequence[str]) -> Goal | None:
    owners = {each.owner for each in store.checkpoints(run)}
    owning = [name for name in names if name in owners]
    return without(store, run, owning) if owning else None


def existing_store(project: Path, run_folder: Path, *, durable: bool = True) -> CheckpointStore | None:
    """Return the checkpoints of the project, None where none were ever taken. Raises CheckpointError without git."""
    place = find_place(project, runs=run_folder.parent)
    return CheckpointStore(place, durable=durable) if (place.folder / "ready").exists() else None


def look_back(
    run_folder: Path, project: Path, *, to: str | None, undo: Sequence[str], policy: str
) -> tuple[Way, RollbackPlan | None]:
    """Return what a rollback would come to, file by file, as things are now; nothing is changed.

    Raises UsageError, CheckpointError and StoreError.
    """
    store = existing_store(project, run_folder)
    way = way_back(Past(read(run_folder / JOURNAL)), store, to=to, undo=undo)
    if way.goal is None or store is None:
        return way, None
    return way, plan_rollback(way.goal, store.root, policy=policy)


def refuse(way: Way, plan: RollbackPlan | None, *, run: str) -> None:
    """Raise RollbackRefused where files or results are not as they were left, naming them and what can be asked instead."""
    if plan is not None and plan.conflicts:
        raise RollbackRefused(refusal(plan), tuple(conflict.path for conflict in plan.conflicts))
    if way.course.stayed and way.undid is not None:
        names = ", ".join(f'"{name}"' for name in way.course.stayed)
        undo = " ".join(f"--undo {name}" for name in way.course.stayed)
        safety = way.undid.event.safety.rpartition("/")[2]
        back = f", or go back to before it, with all since: orchestrator-nb rollback {run} --to {int(safety)}"
        raise RollbackRefused(
            f"{names} ran again since {way.undid.name} and has newer results; nothing was changed: undo that first: "
            f"orchestrator-nb rollback {run} {undo}{back if safety else ''}; or keep both (keep_both=True, --keep-both): what is newer stays"
        )


def go_back(
    asked: e.RollbackAsked,
    state: RunState,
    *,
    run_folder: Path,
    project: Path,
    durable: bool,
    clock: Callable[[], float],
    limit: int = SIZE_LIMIT,
    position: int = 0,
    ends: bool = False,
) -> e.RolledBack | e.RollbackFailed:
    """Carry out a rollback of a run of which nothing is under way; done again after it was cut, it is completed.

    With `ends` the run may have the end again that it had then; one that is driven goes on, or is paused.
    """
    try:
        done = _go_back(asked, state, run_folder, project, durable=durable, clock=clock, limit=limit, position=position)
        return done if ends or not done.ended else replace(done, ended="", reason="")
    except Exception as error:  # noqa: BLE001 - whatever it is, the run has to have its answer
        reason = str(error) if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}"
        refused = isinstance(error, RollbackRefused)
        return e.RollbackFailed(
            at=clock(),
            rollback=asked.rollback,
            reason=reason,
            paths=error.paths if isinstance(error, RollbackRefused) else (),
            refused=refused,
            because=_cause(asked),
            go_on=asked.go_on,
        )


def _go_back(
    asked: e.RollbackAsked,
    state: RunState,
    run_folder: Path,
    project: Path,
    *,
    durable: bool,
    clock: Callable[[], float],
    limit: int,
    position: int,
) -> e.RolledBack:
    store = existing_store(project, run_folder, durable=durable)
    if store is not None:
        for intent in unfinished(store):
            finish(store, intent)
    way = way_back(Past(read(run_folder / JOURNAL)), store, to=asked.to, undo=asked.undo)
    if asked.policy == "refuse":
        refuse(way, None, run=state.run.run)
    course = way.course
    files: dict[str, Any] = {}
    if way.goal is not None and store is not None:
        after = {"rollback": asked.rollback, "shared": version_of(dict(course.shared))}
        facts = {**evidence_of(state), "rollback": asked.rollback}
        done = roll_back(
            store, way.goal, policy=asked.policy, limit=limit, position=position, before=facts, after=after
        )
        safety = _first_safety(store, done.safety)
        files = {
            **(files_of(done.plan) if safety == done.safety else _files_between(store, safety, done.outcome)),
            "unowned": done.plan.unowned,
            "safety": safety.id,
            "outcome": done.outcome.id,
            "conflicts": {
                **{conflict.path: conflict.why for conflict in done.plan.conflicts},
                **dict.fromkeys(done.late, "changed in the very moment of the rollback"),
            },
        }
    opened = (name for name in state.commands if name in course.commands or name in course.results)
    return e.RolledBack(
        at=clock(),
        rollback=asked.rollback,
        what=way.what,
        commands=tuple(name for name in opened if asked.reopen and state.commands[name].state in FINAL),
        results=course.results if asked.reopen else {},
        shared=course.shared,
        advice=users_of(course.commands, state) if asked.undo and asked.reopen else (),
        undid=way.undid.event.rollback if way.undid is not None else "",
        stayed=course.stayed,
        ended=course.ended,
        reason=course.reason,
        because=_cause(asked),
        note=way.note,
        go_on=asked.go_on,
        **files,
    )


def _cause(asked: e.RollbackAsked) -> str:
    """Return why a run goes back by itself, nothing where somebody asked for it."""
    return asked.because if asked.by is None and asked.request is None else ""


def _first_safety(store: CheckpointStore, safety: Checkpoint) -> Checkpoint:
    """Return the checkpoint of the moment before a rollback that may have taken several goes."""
    name = safety.more.get("rollback")
    return next(
        each for each in store.checkpoints(safety.run) if each.kind == "safety" and each.more.get("rollback") == name
    )


def _files_between(store: CheckpointStore, safety: Checkpoint, outcome: Checkpoint) -> dict[str, tuple[str, ...]]:
    """Return what became of the files over several goes at a rollback."""
    found = difference(store, safety, outcome)
    removed = tuple(each.path for each in found if each.kind == "removed")
    return {"restored": tuple(each.path for each in found if each.kind != "removed"), "removed": removed}


def files_of(plan: RollbackPlan) -> dict[str, tuple[str, ...]]:
    """Return the files of a plan by what becomes of them: restored, removed, put beside others, changed by nobody."""
    beside = {step.path for step in plan.steps if step.now is None and step.path not in plan.owned}
    return {
        "restored": tuple(step.path for step in plan.steps if step.then is not None and step.path not in beside),
        "removed": tuple(step.path for step in plan.steps if step.then is None),
        "beside": tuple(sorted(beside)),
        "unowned": plan.unowned,
    }
