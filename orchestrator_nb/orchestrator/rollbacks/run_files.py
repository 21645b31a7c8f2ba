"""The files of a run in the course of time: its checkpoints, and the ways back."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.engine.requests import GoBack
from orchestrator_nb.errors import CheckpointError, RollbackRefused, RunNotRunning, RunRefused, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.identity import asker
from orchestrator_nb.journal.owner import is_owned
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.control.asking import Answer
from orchestrator_nb.orchestrator.control.driver import Driver
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.values import token

LOOK_EVERY = 0.05
"""Seconds between two looks whether a rollback has come to its end."""


class GoesBack:
    """What a `Run` has that keeps files and goes back to them."""

    folder: Path
    id: str

    @property
    @abstractmethod
    def state(self) -> RunState:
        """The state as of the last durable turn."""

    @abstractmethod
    def _live_session(self) -> Driver | None:
        """The session of this process that drives it."""

    @abstractmethod
    def _ask(self, kind: str, **arguments: Any) -> Answer:
        """Ask the process that owns it."""

    def checkpoints(self) -> Any:
        """Return the run's checkpoints: a list that prints as a table, with `frame`, `find`, `changes` and `diff`.

        Raises CheckpointError where they cannot be read.
        """
        # What opens checkpoints is imported where it is needed: whoever looks at a run does without.
        from orchestrator_nb.orchestrator.frozen import Frozen
        from orchestrator_nb.orchestrator.rollbacks.checkpoint_list import Checkpoints
        from orchestrator_nb.orchestrator.rollbacks.going_back import existing_store

        state = self.state
        skipped = (event for event in read(self.folder / JOURNAL) if isinstance(event, e.CheckpointSkipped))
        try:
            store = existing_store(Frozen.read(self.folder).folder, self.folder)
        except CheckpointError as error:
            return Checkpoints(self.id, None, note=str(error))
        note = "" if state.run.steps else "no command of it declares a file that it writes, or checkpoints are off"
        note = note or next((event.reason for event in skipped), "")
        rollbacks = {event.rollback: f"rollback-{number}" for number, event in enumerate(state.rollbacks, start=1)}
        return Checkpoints(self.id, store, note=note, rollbacks=rollbacks)

    def rollback(
        self,
        *,
        to: str | None = None,
        undo: str | Iterable[str] = (),
        dry_run: bool = False,
        keep_both: bool = False,
        reason: str = "asked to",
        timeout: float | None = None,
    ) -> Any:
        """Take the run back: `to` the moment after a command's last success, to a checkpoint or to "start"; or `undo`
        commands and leave all others, or a rollback ("rollback-1", "rollback" for the last one). Files, outputs and
        shared state go back: what had its result at that moment has it again, the rest of what was undone runs again
        when the run is resumed. Returns a report that prints as text; with `dry_run` nothing is changed.

        A run that is under way is brought to rest first (its commands come to their end) and is paused afterwards. Files
        that somebody changed since are refused, or left with the earlier content put beside them (`keep_both`). The
        present is kept before, so that the rollback can be undone. Raises RollbackRefused, UsageError, CheckpointError;
        TimeoutError after `timeout` seconds, and the rollback is still carried out.
        """
        from orchestrator_nb.orchestrator.frozen import Frozen
        from orchestrator_nb.orchestrator.rollbacks.going_back import look_back, refuse
        from orchestrator_nb.orchestrator.rollbacks.moments import users_of
        from orchestrator_nb.orchestrator.rollbacks.rollback_report import preview_of, report_of

        commands = (undo,) if isinstance(undo, str) else tuple(undo)
        policy = "keep-both" if keep_both else "refuse"
        project, state = Frozen.read(self.folder).folder, self.state
        way, plan = look_back(self.folder, project, to=to, undo=commands, policy=policy)
        if dry_run:
            advice = users_of(way.course.commands, state) if commands else ()
            return preview_of(self.id, way, plan, advice=advice, driven=is_owned(self.folder))
        if not keep_both:
            refuse(way, plan, run=self.id)
        name = token(8)
        told: dict[str, Any] = {
            "rollback": name, "to": to, "undo": commands, "policy": policy, "because": reason,
        }  # fmt: skip
        session = self._live_session()
        if session is not None:
            self._accepted(session.ask(GoBack(**told)))
        elif is_owned(self.folder):
            self._accepted(self._ask("rollback", **{**told, "undo": list(commands)}))
        else:
            done = self._roll_back_here(e.RollbackAsked(at=time.time(), by=asker(), **told))
            return report_of(self.id, done, number=self._number(done))
        done = self._outcome(name, timeout)
        return report_of(self.id, done, number=self._number(done))

    def _number(self, done: e.RolledBack) -> int:
        names = [event.rollback for event in self.state.rollbacks]
        return names.index(done.rollback) + 1

    def rollback_step_by_step(
        self,
        *,
        check: Callable[[Path], bool] | None = None,
        decide: Callable[[Any], str] | None = None,
        keep_both: bool = False,
    ) -> tuple[tuple[Any, ...], Any]:
        """Step back over the run's commands, the last first, until a check passes or somebody says that it is enough.

        `check` gets a folder with all files as they would be, and says whether they are good; `decide` gets each level,
        a `LevelReport` that prints as text, and answers accept, next or stop. Without `decide` the
        first level whose check passes is accepted. Returns the levels that were looked at and the report of the
        rollback, None where nothing was accepted; until then no file of the user is touched. A run under way is paused
        first. Raises CheckpointError and what `rollback` raises.
        """
        from orchestrator_nb.checkpoints.progressive import Level, decided_levels
        from orchestrator_nb.orchestrator.frozen import Frozen
        from orchestrator_nb.orchestrator.rollbacks.going_back import existing_store, moment_of
        from orchestrator_nb.orchestrator.rollbacks.moments import Past
        from orchestrator_nb.orchestrator.rollbacks.rollback_report import LevelReport, level_of

        self._come_to_rest()
        store = existing_store(Frozen.read(self.folder).folder, self.folder)
        if store is None:
            raise CheckpointError(f'"{self.id}" has no checkpoints to step back to')
        facts = list(read(self.folder / JOURNAL))
        past = Past(facts)

        def seen(level: Level) -> LevelReport:
            return level_of(level, past.back_to(moment_of(level.target, past)))

        levels = []
        deciding = None if decide is None else lambda level: decide(seen(level))
        found = decided_levels(store, self.id, check=check, decide=deciding, position=len(facts))
        for level, answer in found:
            levels.append(seen(level))
            if answer == "accept":
                back = self.rollback(to=level.target.id, keep_both=keep_both, reason="step by step")
                return tuple(levels), back
        return tuple(levels), None

    def _come_to_rest(self) -> None:
        """Pause the run where it is under way, and wait until nothing of it runs."""
        owned = self._live_session() is not None or is_owned(self.folder)
        if owned and self.state.run.state == "executing":
            self.pause("for a rollback step by step")
        while owned and any(self.state.running()):
            time.sleep(LOOK_EVERY)
            owned = self._live_session() is not None or is_owned(self.folder)

    @abstractmethod
    def pause(self, reason: str = "asked to") -> None:
        """Start nothing new."""

    @staticmethod
    def _accepted(answer: Answer | None) -> None:
        if answer is not None and isinstance(answer.event, e.NoticeGiven):
            raise RunRefused(answer.event.text)

    def _roll_back_here(self, asked: e.RollbackAsked) -> e.RolledBack:
        from orchestrator_nb.orchestrator.frozen import Frozen
        from orchestrator_nb.orchestrator.rollbacks.unowned_rollback import roll_back_unowned

        answer = roll_back_unowned(self.folder, asked, project=Frozen.read(self.folder).folder)
        if isinstance(answer, e.RollbackFailed):
            raise _failed(answer)
        return answer

    def _outcome(self, name: str, timeout: float | None) -> e.RolledBack:
        """Wait until the owner of the run has carried out the rollback."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            running = self._live_session() is not None or is_owned(self.folder)
            state = self.state
            done = next((event for event in state.rollbacks if event.rollback == name), None)
            if done is not None:
                return done
            if state.run.rollback is None or state.run.rollback.rollback != name:
                raise _failed(next(_failures(read(self.folder / JOURNAL), name)))
            if not running:
                raise RunNotRunning(
                    f'"{self.id}" was left before it was rolled back; whoever resumes it does that first'
                )
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f'"{self.id}" has not come to rest within {timeout} seconds; it is rolled back then')
            time.sleep(LOOK_EVERY)


def _failures(events: Iterable[e.Event], name: str) -> Any:
    return (event for event in events if isinstance(event, e.RollbackFailed) and event.rollback == name)


def _failed(event: e.RollbackFailed) -> CheckpointError | UsageError:
    return RollbackRefused(event.reason, event.paths) if event.refused else CheckpointError(event.reason)
