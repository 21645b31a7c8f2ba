"""Rolling back: safety first, then file by file under a record of the intent, then verified; and finishing one that was cut.

The order is: a checkpoint of the present, the plan, everything staged, the intent on disk, the files, the check, a
checkpoint of the outcome, the intent away. A death before the intent leaves the files as they were; after it, the next
one to open the store completes the rollback or undoes it.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator_nb.checkpoints.applying import apply, rescue, stage, stage_folder
from orchestrator_nb.checkpoints.entries import Entry, entry_on_disk, tree_of
from orchestrator_nb.checkpoints.paths import SIZE_LIMIT
from orchestrator_nb.checkpoints.planning import Goal, RollbackPlan, Step, plan_rollback, refusal
from orchestrator_nb.checkpoints.record import Checkpoint
from orchestrator_nb.checkpoints.snapshot import take_locked
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.data.flush import flush_file, flush_folder
from orchestrator_nb.errors import CheckpointError, RollbackRefused
from orchestrator_nb.values import token


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback that was carried out: `safety` is the checkpoint before it, `outcome` the one after, by which it can
    be undone. `late` are files that somebody changed in that very moment and that were left as they are, `rescued`
    the names under which the last words of such a one were put."""

    plan: RollbackPlan
    safety: Checkpoint
    outcome: Checkpoint
    late: tuple[str, ...] = ()
    rescued: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Intent:
    """A rollback that was begun and not finished, as its record says."""

    name: str
    run: str
    workflow: str
    label: str
    safety: str
    steps: tuple[Step, ...]
    folder: Path
    facts: Mapping[str, Any]


def roll_back(
    store: CheckpointStore,
    goal: Goal,
    *,
    policy: str = "refuse",
    position: int = 0,
    limit: int = SIZE_LIMIT,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Rollback:
    """Carry out a rollback.

    `before` and `after` are facts that the checkpoints of the moments before and after it hold; those that have the same
    "rollback" in `after` are goes at the same one, and undone together. Files that are not as the run left them are treated as `policy` says: refuse (the default), keep-both, keep-mine.
    Raises RollbackRefused, and then no file was touched, and CheckpointError.
    """
    with store.lock():
        if cut := _records(store):
            raise RollbackRefused(f"a rollback was cut ({_read(cut[0]).label}); finish or undo it first, with finish()")
        asked = _asked(goal.run, goal.workflow, "safety", goal.label, position, before or {})
        safety = take_locked(store, asked, declared=sorted(goal.wanted), limit=limit)
        saved = tree_of(store.git, safety.commit)
        plan = plan_rollback(goal, store.root, policy=policy, kept=saved.get)
        if plan.conflicts and policy == "refuse":
            raise RollbackRefused(refusal(plan), tuple(conflict.path for conflict in plan.conflicts))
        name = f"{int(time.time())}-{token(4)}"
        folder = stage_folder(store, name)
        intent = Intent(name, goal.run, goal.workflow, goal.label, safety.commit, plan.steps, folder, after or {})
        with _staged(store, intent):
            _record(store, intent)
            late, rescued = _carry_out(store, intent)
            outcome = _conclude(store, intent, late, position, limit)
        return Rollback(plan, safety, outcome, tuple(late), tuple(rescued))


def unfinished(store: CheckpointStore) -> tuple[Intent, ...]:
    """Return the rollbacks that were cut by the death of their process, or by an error in the middle."""
    return tuple(_read(record) for record in _records(store))


def finish(store: CheckpointStore, intent: Intent, *, undo: bool = False) -> Rollback:
    """Complete a rollback that was cut, or take back what it had done. Files changed since are left, and named.

    Raises CheckpointError; then it can be tried again.
    """
    with store.lock():
        if not (store.folder / "rollbacks" / f"{intent.name}.json").exists():
            raise CheckpointError(f"the rollback {intent.label} is finished already")
        rescued = rescue(store, intent.steps, intent.folder) if intent.folder.exists() else []
        shutil.rmtree(intent.folder, ignore_errors=True)
        steps = _backwards(intent.steps) if undo else intent.steps
        todo, late = [], []
        for step in steps:
            now = entry_on_disk(store.root, step.path)
            if now == step.now or (step.now is None and now is not None and now.mode == "040000"):
                todo.append(step)
            elif now != step.then:
                late.append(step.path)
        label = f"{intent.label}, {'taken back' if undo else 'completed'} after it was cut"
        again = replace(intent, label=label, steps=tuple(todo))
        with _staged(store, again):
            more, words = _carry_out(store, again)
            outcome = _conclude(store, again, [*late, *more], 0, SIZE_LIMIT)
        safety = next(each for each in store.checkpoints(intent.run) if each.commit == intent.safety)
        paths = tuple(step.path for step in steps)
        plan = RollbackPlan(intent.run, label, tuple(todo), (), (), (), paths)
        return Rollback(plan, safety, outcome, (*late, *more), (*rescued, *words))


def _backwards(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    turned = [Step(step.path, step.then, step.now) for step in steps]
    return tuple(sorted(turned, key=lambda step: (step.then is not None, -step.path.count("/"))))


def _carry_out(store: CheckpointStore, intent: Intent) -> tuple[list[str], list[str]]:
    first = next((each for each in store.checkpoints(intent.run) if each.empty), None)
    late = apply(store, intent.steps, intent.folder, empty=frozenset(first.empty if first else ()))
    return late, rescue(store, intent.steps, intent.folder)


def _conclude(store: CheckpointStore, intent: Intent, late: list[str], position: int, limit: int) -> Checkpoint:
    """Verify that every file is as planned, on disk and in a new checkpoint, and take the record away."""
    asked = _asked(intent.run, intent.workflow, "rollback", intent.label, position, intent.facts)
    paths = [step.path for step in intent.steps]
    outcome = take_locked(store, asked, declared=paths, limit=limit)
    after = tree_of(store.git, outcome.commit)
    for step in intent.steps:
        if step.path not in late and after.get(step.path) != step.then:
            raise CheckpointError(
                f'after the rollback "{step.path}" is not as planned: something else writes to it; the state before is '
                f"kept in the checkpoint {intent.safety[:12]}, and the rollback can be finished or undone"
            )
    (store.folder / "rollbacks" / f"{intent.name}.json").unlink()
    return outcome


def _asked(run: str, workflow: str, kind: str, label: str, position: int, facts: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(
        run=run, number=0, kind=kind, workflow=workflow, at=time.time(), label=label, position=position, more=facts
    )


# ── the record ──────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _staged(store: CheckpointStore, intent: Intent) -> Iterator[None]:
    """Have what will be written lie ready, and clean up when all is done or nothing was begun."""
    recorded = store.folder / "rollbacks" / f"{intent.name}.json"
    try:
        stage(store, intent.steps, intent.folder)
        yield
    finally:
        # With a record left, what was put aside may be somebody's last words: whoever finishes it looks through them.
        if not recorded.exists() or not any(intent.folder.glob("old-*")):
            shutil.rmtree(intent.folder, ignore_errors=True)


def _record(store: CheckpointStore, intent: Intent) -> None:
    path = store.folder / "rollbacks" / f"{intent.name}.json"
    part = path.with_suffix(".part")
    facts = {
        "run": intent.run, "workflow": intent.workflow, "label": intent.label, "safety": intent.safety,
        "steps": intent.steps, "folder": os.fspath(intent.folder), "facts": intent.facts,
    }  # fmt: skip
    with open(part, "w", encoding="ascii") as file:
        json.dump(facts, file)
        file.flush()
        flush_file(file.fileno())
    os.replace(part, path)
    flush_folder(path.parent)


def _records(store: CheckpointStore) -> list[Path]:
    return sorted((store.folder / "rollbacks").glob("*.json"))


def _read(record: Path) -> Intent:
    try:
        facts: dict[str, Any] = json.loads(record.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f'the record of a rollback, "{record}", cannot be read: {error}') from error
    steps = tuple(Step(path, _entry(now), _entry(then)) for path, now, then in facts["steps"])
    run, workflow, label, safety = (str(facts[name]) for name in ("run", "workflow", "label", "safety"))
    folder, more = Path(facts["folder"]), facts.get("facts", {})
    return Intent(record.stem, run, workflow, label, safety, steps, folder, more)


def _entry(found: list[str] | None) -> Entry | None:
    return None if found is None else Entry(*found)
