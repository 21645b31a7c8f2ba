"""Carrying out a rollback of a run: its files, and what its journal says of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.checkpoints.paths import SIZE_LIMIT
from orchestrator_nb.checkpoints.place import find_place
from orchestrator_nb.checkpoints.planning import Goal, RollbackPlan, back_to, before_rollback, plan_rollback, without
from orchestrator_nb.checkpoints.record import Checkpoint
from orchestrator_nb.checkpoints.rollback import finish, roll_back, unfinished
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.errors import CheckpointError, OrchestratorError, RollbackRefused, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.moments import START, Past, undone, users_of
from orchestrator_nb.state import RunState
from orchestrator_nb.transitions import FINAL


@dataclass(frozen=True, slots=True)
class Way:
    """What a rollback comes to: in words, the commands that run again, the shared state, and its files, if any."""

    what: str
    commands: tuple[str, ...]
    shared: dict[str, object]
    goal: Goal | None


def way_back(
    state: RunState,
    past: Past,
    store: CheckpointStore | None,
    *,
    to: str | None,
    undo: Sequence[str],
) -> Way:
    """Return what going back comes to; nothing is changed. Raises UsageError and CheckpointError."""
    if (to is None) == (not undo):
        raise UsageError("a rollback needs either a moment to go back to (to=) or commands to undo (undo=)")
    run = state.run.run
    if to is None and store is not None and len(undo) == 1 and undo[0] not in state.commands:
        rollback = _rollback_named(undo[0], store, run)
        if rollback is not None:
            return Way(f"undoing {rollback.id}", (), dict(state.shared), before_rollback(store, rollback))
    if to is None:
        names = undone(undo, state)
        goal = _without(store, run, names) if store is not None else None
        return _way(f"without {', '.join(names)}", names, state, past, goal)
    checkpoint = None
    if to not in state.commands and to != START:
        if store is None:
            raise UsageError(f'there are no checkpoints, so "{to}" is neither one nor a command')
        checkpoint = store.find(to, run=None if "/" in to else run).id
    moment = past.moment(to, state, checkpoint=checkpoint)
    goal = None
    if store is not None and moment.checkpoint is not None:
        goal = back_to(store, store.find(moment.checkpoint))
    return _way(f"to {to}", moment.commands, state, past, goal)


def _way(what: str, commands: tuple[str, ...], state: RunState, past: Past, goal: Goal | None) -> Way:
    return Way(what, commands, past.shared_without(state, commands), goal)


def _rollback_named(name: str, store: CheckpointStore, run: str) -> Checkpoint | None:
    try:
        found = store.find(name, run=None if "/" in name else run)
    except CheckpointError:
        return None
    return found if found.kind == "rollback" else None


def _without(store: CheckpointStore, run: str, names: Sequence[str]) -> Goal | None:
    owners = {each.owner for each in store.checkpoints(run)}
    owning = [name for name in names if name in owners]
    return without(store, run, owning) if owning else None


def existing_store(project: Path, run_folder: Path, *, durable: bool = True) -> CheckpointStore | None:
    """Return the checkpoints of the project, None where none were ever taken. Raises CheckpointError without git."""
    place = find_place(project, runs=run_folder.parent)
    return CheckpointStore(place, durable=durable) if (place.folder / "ready").exists() else None


def look_back(
    state: RunState, run_folder: Path, project: Path, *, to: str | None, undo: Sequence[str], policy: str
) -> tuple[Way, RollbackPlan | None]:
    """Return what a rollback would come to, file by file, as things are now; nothing is changed.

    Raises RollbackRefused where files are not as the run left them and the policy is to refuse, UsageError,
    CheckpointError and StoreError.
    """
    store = existing_store(project, run_folder)
    way = way_back(state, Past(read(run_folder / JOURNAL)), store, to=to, undo=undo)
    if way.goal is None or store is None:
        return way, None
    return way, plan_rollback(way.goal, store.root, policy=policy)


def go_back(
    asked: e.RollbackAsked,
    state: RunState,
    *,
    run_folder: Path,
    project: Path,
    durable: bool,
    clock: Callable[[], float],
    limit: int = SIZE_LIMIT,
) -> e.RolledBack | e.RollbackFailed:
    """Carry out a rollback of a run of which nothing is under way; done again after it was cut, it is completed."""
    try:
        return _go_back(asked, state, run_folder, project, durable=durable, clock=clock, limit=limit)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run has to have its answer
        reason = str(error) if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}"
        paths = error.paths if isinstance(error, RollbackRefused) else ()
        return e.RollbackFailed(at=clock(), rollback=asked.rollback, reason=reason, paths=paths, go_on=asked.go_on)


def _go_back(
    asked: e.RollbackAsked,
    state: RunState,
    run_folder: Path,
    project: Path,
    *,
    durable: bool,
    clock: Callable[[], float],
    limit: int,
) -> e.RolledBack:
    store = existing_store(project, run_folder, durable=durable)
    if store is not None:
        for intent in unfinished(store):
            finish(store, intent)
    way = way_back(state, Past(read(run_folder / JOURNAL)), store, to=asked.to, undo=asked.undo)
    files: dict[str, Any] = {}
    if way.goal is not None and store is not None:
        done = roll_back(store, way.goal, policy=asked.policy, limit=limit)
        files = {
            **files_of(done.plan),
            "safety": done.safety.id,
            "outcome": done.outcome.id,
            "conflicts": {
                **{conflict.path: conflict.why for conflict in done.plan.conflicts},
                **dict.fromkeys(done.late, "changed in the very moment of the rollback"),
            },
        }
    return e.RolledBack(
        at=clock(),
        rollback=asked.rollback,
        what=way.what,
        commands=tuple(name for name in way.commands if asked.reopen and state.commands[name].state in FINAL),
        shared=way.shared,
        advice=users_of(way.commands, state) if asked.undo and asked.reopen else (),
        go_on=asked.go_on,
        **files,
    )


def files_of(plan: RollbackPlan) -> dict[str, tuple[str, ...]]:
    """Return the files of a plan by what becomes of them: restored, removed, put beside others, changed by nobody."""
    beside = {step.path for step in plan.steps if step.now is None and step.path not in plan.owned}
    return {
        "restored": tuple(step.path for step in plan.steps if step.then is not None and step.path not in beside),
        "removed": tuple(step.path for step in plan.steps if step.then is None),
        "beside": tuple(sorted(beside)),
        "unowned": plan.unowned,
    }
