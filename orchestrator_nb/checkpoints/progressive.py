"""Rolling back step by step, until a check passes or a person says that it is enough.

Each step is tried in a folder of its own: the user's files are touched once, when it is decided.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from orchestrator_nb.checkpoints.export import export_files
from orchestrator_nb.checkpoints.planning import RollbackPlan, back_to, plan_rollback
from orchestrator_nb.checkpoints.record import Checkpoint
from orchestrator_nb.checkpoints.rollback import Rollback, roll_back
from orchestrator_nb.checkpoints.snapshot import take
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.errors import CheckpointError

ANSWERS = ("accept", "next", "stop")


@dataclass(frozen=True, slots=True)
class Level:
    """One step of the way back: what going back to `target` would do, and what the check says about the outcome.

    `number` counts from 1, the present is 0. `passed` is None without a check; `said` is what the check raised.
    """

    number: int
    target: Checkpoint
    plan: RollbackPlan
    passed: bool | None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it went: every level that was looked at, and the rollback, None when nothing was accepted."""

    levels: tuple[Level, ...]
    rollback: Rollback | None


def roll_back_step_by_step(
    store: CheckpointStore,
    run: str,
    *,
    check: Callable[[Path], bool] | None = None,
    decide: Callable[[Level], str] | None = None,
    policy: str = "refuse",
) -> Progress:
    """Go back from a run's last command to its first, one at a time.

    `check` gets a folder with all files as they would be and says whether they are good; `decide` gets the level and
    answers accept, next or stop. Without `decide` the first level whose check passes is accepted. Raises
    CheckpointError, and what `roll_back` raises.
    """
    levels: list[Level] = []
    for level, answer in decided_levels(store, run, check=check, decide=decide):
        levels.append(level)
        if answer == "accept":
            return Progress(tuple(levels), roll_back(store, back_to(store, level.target), policy=policy))
    return Progress(tuple(levels), None)


def decided_levels(
    store: CheckpointStore,
    run: str,
    *,
    check: Callable[[Path], bool] | None = None,
    decide: Callable[[Level], str] | None = None,
    position: int = 0,
) -> Iterator[tuple[Level, str]]:
    """Yield each level with what was answered, until one is accepted or it is stopped; nothing is rolled back.

    The present is kept first, as that of this `position` of the journal. Raises CheckpointError.
    """
    if check is None and decide is None:
        raise CheckpointError("a rollback step by step needs a check or somebody who decides; give check= or decide=")
    found = store.checkpoints(run)
    targets = [before for before, each in pairwise(found) if each.is_of_command]
    if not targets:
        raise CheckpointError(f'there is nothing to step back over: no command of the run "{run}" has a checkpoint')
    present = take(store, run=run, kind="safety", workflow=found[-1].workflow, label="step by step", position=position)
    for number, target in enumerate(reversed(targets), start=1):
        level = _look(store, present, target, number, check)
        answer = decide(level) if decide is not None else ("accept" if level.passed else "next")
        if answer not in ANSWERS:
            raise CheckpointError(f"{answer!r} is no answer to a level; expected one of {', '.join(ANSWERS)}")
        yield level, answer
        if answer != "next":
            return


def _look(
    store: CheckpointStore,
    present: Checkpoint,
    target: Checkpoint,
    number: int,
    check: Callable[[Path], bool] | None,
) -> Level:
    plan = plan_rollback(back_to(store, target), store.root, policy="keep-mine")
    if check is None:
        return Level(number, target, plan, None)
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-nb-level-"))
    try:
        export_files(store, present, folder, steps=plan.steps)
        try:
            return Level(number, target, plan, bool(check(folder)))
        except Exception as error:  # noqa: BLE001 - a check is somebody else's code; that it cannot tell is an answer
            return Level(number, target, plan, passed=False, said=f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
