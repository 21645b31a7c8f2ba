"""Where a run stands: what is known of it and of its commands, and what can be said of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator_nb.events import CheckpointTaken, NoticeGiven, RolledBack
from orchestrator_nb.state.records import CauseRecord, CommandRecord, DecisionRecord, Life, PlannedCommand, RunRecord
from orchestrator_nb.state.sharing import SharedVersion, contested_by, merged
from orchestrator_nb.state.transitions import DONE, FINAL, GOOD
from orchestrator_nb.state.trigger_rules import Verdict, tally_of, verdict


class Standing:
    """What a run came to so far. Its records are replaced whole; `counts` are the commands by state.

    `due` are the steps that have to be answered before something goes on: by command, whose attempt has returned and
    which succeeds when none is left; under "" those of the run's current moment.
    """

    def __init__(self) -> None:
        self.run = RunRecord()
        self.planned: dict[str, PlannedCommand] = {}
        self.commands: dict[str, CommandRecord] = {}
        self.left: dict[str, int] = {}
        """How many attempts each of the commands had that are in the plan no more."""
        self.shared: Mapping[str, Any] = {}
        self.deviations: dict[str, tuple[str, ...]] = {}
        self.notices: tuple[NoticeGiven, ...] = ()
        self.versions: tuple[SharedVersion, ...] = ()
        self.counts: dict[str, int] = {}
        self.decisions: Mapping[int, DecisionRecord] = {}
        self.causes: Mapping[str, CauseRecord] = {}
        self.retried = 0
        self.due: Mapping[str, tuple[str, ...]] = {}
        self.checkpoints: tuple[CheckpointTaken, ...] = ()
        self.rollbacks: tuple[RolledBack, ...] = ()
        self.lives: dict[tuple[str, int], Life] = {}
        """The generations of commands that are over, by command and number."""

    def share(
        self,
        command: str,
        attempt: int,
        at: float,
        changes: Mapping[str, Any],
        *,
        seen: int | None = None,
        made: Mapping[str, Any] | None = None,
    ) -> None:
        """Take in what a command changed in the shared state, of which it had seen that version (all of it, if None);
        `made` is what functions made of it.

        Raises ValueError where it cannot be combined; then nothing has changed.
        """
        known = len(self.versions) if seen is None else seen
        contested = contested_by(known, self.versions, command, changes)
        self.shared = merged(self.shared, changes, self.run.merge, contested, made)
        version = SharedVersion(len(self.versions) + 1, command, attempt, at, changes, contested, made or {})
        self.versions = (*self.versions, version)

    def command_state(self, command: str) -> str:
        """Return the state of a command as people see it: a pending one that its trigger rule lets start is ready."""
        state = self.commands[command].state
        return "ready" if state == "pending" and self.verdict(command) == "start" else state

    def verdict(self, command: str) -> Verdict:
        """Return what the trigger rule of a command says, as its upstream stands."""
        planned = self.planned[command]
        return verdict(planned.trigger_rule, tally_of(self.commands[name].state for name in planned.upstream))

    def running(self) -> Iterator[str]:
        """Yield the ids of the commands that have an attempt under way."""
        return (name for name, record in self.commands.items() if record.state == "running")

    def is_open(self, decision: DecisionRecord) -> bool:
        """Tell whether a decision is still to be made: it is not, where its command has come to its end without it."""
        if decision.answer is not None or decision.closed:
            return False
        record = None if decision.command is None else self.commands.get(decision.command)
        if record is None:
            return decision.command is None
        return record.generation == decision.generation and record.state not in FINAL and not record.returned

    def open_decisions(self) -> Iterator[DecisionRecord]:
        """Yield the decisions that are still to be made, in the order of their numbers."""
        return (decision for decision in self.decisions.values() if self.is_open(decision))

    def open_decision(self, command: str) -> DecisionRecord | None:
        """Return the decision about a command that is still to be made, None where there is none."""
        return next((decision for decision in self.open_decisions() if decision.command == command), None)

    def is_excused(self, command: str) -> bool:
        """Tell whether the run may complete without a command that did not succeed: it is optional, and that is told."""
        return command in self.deviations and self.planned[command].optional

    def deferrable(self) -> frozenset[str]:
        """Return the commands that may be left for later: optional ones that nothing but such commands comes after."""
        wanted: set[str] = set()
        for name, planned in reversed(self.planned.items()):  # downstream first
            if name in wanted or not (planned.optional or planned.standby):
                wanted.update((name, *planned.upstream))
        return frozenset(name for name, planned in self.planned.items() if planned.optional and name not in wanted)

    def unfinished(self) -> int:
        """Return how many commands have not come to their end."""
        return len(self.commands) - sum(self.counts.get(state, 0) for state in FINAL)

    def milestones(self) -> dict[str, bool]:
        """Return for each command whose success is worth delivering by itself whether it has succeeded."""
        marked = (name for name, planned in self.planned.items() if planned.milestone)
        return {name: self.commands[name].state in DONE for name in marked}

    def bad(self) -> list[str]:
        """Return the commands that keep the run from being completed: no success, and not excused by a deviation."""
        if sum(self.counts.get(state, 0) for state in GOOD) == len(self.commands):  # the usual, without a look at each
            return []
        return [
            name for name, record in self.commands.items() if record.state not in GOOD and not self.is_excused(name)
        ]

    @property
    def phase(self) -> str:
        """The state of the run with the two derived from its commands: recovering and degraded."""
        if self.run.state == "executing":
            if self.counts.get("waiting", 0):
                return "recovering"
            if self.deviations:
                return "degraded"
        return self.run.state


def told_of_milestones(milestones: Mapping[str, bool]) -> str:
    """Return in a line which milestones are reached and which are not, nothing where there are none."""
    there = ", ".join(name for name, reached in milestones.items() if reached)
    missing = ", ".join(name for name, reached in milestones.items() if not reached)
    told = (f"can be delivered: {there}" if there else "", f"not yet: {missing}" if missing else "")
    return f"milestones: {'; '.join(filter(None, told))}" if milestones else ""
