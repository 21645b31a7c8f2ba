"""What a rollback came to, or would come to, as people read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from orchestrator_nb.checkpoints.planning import RollbackPlan
from orchestrator_nb.checkpoints.progressive import Level
from orchestrator_nb.checkpoints.record import Checkpoint
from orchestrator_nb.events import RolledBack
from orchestrator_nb.orchestrator.display.shown import as_text, listed
from orchestrator_nb.orchestrator.rollbacks.going_back import Way, files_of
from orchestrator_nb.orchestrator.rollbacks.moments import Course

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackReport:
    """A rollback of a run: `done`, or only looked at. Prints as text.

    `what` says it in words, `commands` run again, `results` names those that have once more what they had come to before,
    `stayed` those that keep something newer. `restored`, `removed` and `beside` are files, relative to the project:
    with their earlier content again, taken away, put beside one that was left. `conflicts` are files that are left as
    they are, with the reason, `unowned` those that changed since without anybody known to have done it: they stay, too.
    `advice` names commands that had used what is gone and are not run again by themselves. `safety` is the checkpoint of
    the moment before, `undo` the name by which it is undone. `ended` is the end that the run has again, if any, `note` what
    else is worth knowing.
    """

    run: str
    what: str
    done: bool
    commands: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    stayed: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    conflicts: dict[str, str] = field(default_factory=dict)
    unowned: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    safety: str = ""
    undo: str = ""
    ended: str = ""
    note: str = ""

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lead = "rolled back" if self.done else "nothing was changed; this would roll back"
        lines = [f"{self.run}: {lead} {self.what}"]
        for word, names in (
            ("runs again", self.commands), ("has its result again", self.results),
            ("keeps its newer result", self.stayed), ("restored", self.restored), ("removed", self.removed),
            ("earlier content put beside", self.beside), ("changed by nobody known, left", self.unowned),
        ):  # fmt: skip
            if names:
                lines.append(f"  {word}: {listed(names, _SHOWN)}")
        lines += [f"  left as it is: {path}: {why}" for path, why in self.conflicts.items()]
        if self.advice:
            lines.append(f"  used what is gone, and is not run again by itself: {listed(self.advice, _SHOWN)}")
        if not (self.commands or self.results or self.restored or self.removed or self.beside):
            lines.append("  nothing has to change" if not self.done else "  nothing had to change")
        if self.ended:
            lines.append(f"  the run {'is' if self.done else 'would be'} {self.ended} again")
        lines += [f"  {self.note}"] if self.note else []
        if self.undo:
            lines.append(f"  to undo it: orchestrator-nb rollback {self.run} --undo {self.undo}")
        return as_text("\n".join(lines))

    __repr__ = __str__


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelReport:
    """A step of the way back, and what it would come to. Prints as text.

    `number` counts from 1, `target` is the checkpoint, `plan` what becomes of the files, `commands` run again, `results`
    have theirs of then. `passed` is what the check says of the files, None without one, `said` what it raised.
    """

    number: int
    target: Checkpoint
    plan: RollbackPlan
    commands: tuple[str, ...]
    results: tuple[str, ...]
    passed: bool | None
    said: str = ""

    def __str__(self) -> str:
        files = files_of(self.plan)
        verdict = {True: "passes", False: "does not pass", None: "not checked"}[self.passed]
        lines = [f"{self.number}. back to {self.target.name} ({self.target.id}): {verdict}"]
        lines += [f"  the check raised: {self.said}"] if self.said else []
        for word, names in (
            ("runs again", self.commands), ("has its result again", self.results), ("restored", files["restored"]),
            ("removed", files["removed"]), ("changed by nobody known, left", files["unowned"]),
        ):  # fmt: skip
            if names:
                lines.append(f"  {word}: {listed(names, _SHOWN)}")
        lines += [f"  left as it is: {conflict.path}: {conflict.why}" for conflict in self.plan.conflicts]
        return as_text("\n".join(lines))

    __repr__ = __str__


def level_of(level: Level, course: Course) -> LevelReport:
    """Return a step of the way back with what becomes of the commands."""
    return LevelReport(
        number=level.number, target=level.target, plan=level.plan, commands=course.commands,
        results=tuple(course.results), passed=level.passed, said=level.said,
    )  # fmt: skip


def report_of(run: str, event: RolledBack, *, number: int) -> RollbackReport:
    """Return what a rollback came to, the run's `number`-th."""
    again = tuple(name for name in event.commands if name not in event.results)
    return RollbackReport(
        run=run, what=event.what, done=True, commands=again, results=tuple(event.results), stayed=event.stayed,
        restored=event.restored, removed=event.removed,
        beside=event.beside, conflicts=dict(event.conflicts), unowned=event.unowned, advice=event.advice,
        safety=event.safety, undo=f"rollback-{number}", ended=event.ended, note=event.note,
    )  # fmt: skip


def preview_of(
    run: str, way: Way, plan: RollbackPlan | None, *, advice: tuple[str, ...] = (), driven: bool = False
) -> RollbackReport:
    """Return what a rollback would come to, of a run that somebody drives or not."""
    files: dict[str, Any] = {} if plan is None else files_of(plan)
    conflicts = {} if plan is None else {conflict.path: conflict.why for conflict in plan.conflicts}
    course = way.course
    return RollbackReport(
        run=run, what=way.what, done=False, commands=course.commands, results=tuple(course.results),
        stayed=course.stayed, conflicts=conflicts, advice=advice, ended="" if driven else course.ended, note=way.note, **files,
    )  # fmt: skip
