"""What to do next: state and plan in, events out; a completion costs its out-degree, not the size of the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import chain
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.engine.allotment import Allotment
from orchestrator_nb.engine.estimates import Estimates
from orchestrator_nb.engine.parking import parked
from orchestrator_nb.state.records import PlannedCommand
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE, FINAL, GOOD
from orchestrator_nb.state.trigger_rules import DEFAULT, Tally, tally_of, verdict, why_skipped

STANDBY = "it stands by for a command that may fail"
"""Why a fallback does not run by itself."""


class Scheduler:
    """Decides which commands start, which cannot start any more, and when the run is over.

    It holds nothing that could not be made again of the state: `observers` keep its index of ready commands up to
    date, event by event. Ready commands start by the ranks of the recorded plan, while the durations it was made for
    hold; where commands need more than a slot, an `Allotment` says which can start.

    A command without a trigger rule or a condition of its own is ready when nothing is missing any more, which is one
    subtraction for each command before it. The others have a tally of how those before them have ended.
    """

    def __init__(
        self,
        *,
        order: Sequence[str],
        upstream: Mapping[str, Sequence[str]],
        downstream: Mapping[str, Sequence[str]],
        slots: int,
    ) -> None:
        self._order = order
        self._place = {command: place for place, command in enumerate(order)}
        self._rank: Mapping[str, int] = self._place
        self._upstream = upstream
        self._downstream = downstream
        self._slots = slots
        self._missing: dict[str, int] = {}
        self._ready: list[tuple[int, str]] = []
        self._unjudged: list[str] = []
        self._tallies: dict[str, Tally] = {}
        self._tallying: dict[str, list[str]] = {}
        self._waiting: set[str] = set()
        self._again: set[str] = set()
        self._abandoned = 0
        self._stale = True
        self._planned: Mapping[str, PlannedCommand] | None = None
        self._estimates: Estimates | None = None
        self._unmet: Callable[[str, RunState, float], e.Event | None] | None = None
        self._allotment: Allotment | None = None
        self.observers: dict[type[e.Event], Callable[[Any], None]] = {
            e.CommandSucceeded: self._succeeded,
            e.CommandReused: self._succeeded,
            **dict.fromkeys(_OTHER_ENDS, self._ended_otherwise),
            **dict.fromkeys(_UPHEAVALS, self._forget),
            e.AttemptReturned: self._returned,
            e.AttemptAbandoned: self._abandon,
            e.AttemptInterrupted: self._interrupted,
            e.RetryScheduled: self._put_off,
            e.RetryDue: self._try_again,
        }
        """What takes in an event of a kind that has just been applied to the state; there is nothing to do with others."""

    def _succeeded(self, event: e.CommandSucceeded | e.CommandReused) -> None:
        if self._stale:
            return  # the index is made again before the next step, perhaps by another plan
        missing = self._missing
        for command in self._downstream.get(event.command, ()):
            left = missing[command] = missing[command] - 1
            if not left and command not in self._waiting:
                heappush(self._ready, (self._rank[command], command))
        if self._tallying:
            self._count(event.command, "succeeded")

    def _ended_otherwise(self, event: Any) -> None:
        if not self._stale:
            self._unjudged.extend(self._downstream.get(event.command, ()))
            if self._tallying:
                self._count(event.command, _OTHER_ENDS[type(event)])

    def _returned(self, event: e.AttemptReturned) -> None:
        if self._estimates is not None and not self._stale and self._estimates.returned(event.command, event.seconds):
            self._reorder(self._estimates.ranks())

    def _abandon(self, event: e.AttemptAbandoned | e.AttemptInterrupted) -> None:
        self._abandoned += 1
        if self._allotment is not None:
            self._allotment.abandon(event.command, event.attempt)

    def _interrupted(self, event: e.AttemptInterrupted) -> None:
        if event.abandoned:
            self._abandon(event)
        self._try_again(event)

    def _put_off(self, event: e.RetryScheduled) -> None:
        if not self._stale:
            self._waiting.add(event.command)

    def _try_again(self, event: e.RetryDue | e.AttemptInterrupted) -> None:
        if self._stale:
            return
        command = event.command
        self._waiting.discard(command)
        if not self._missing[command]:
            heappush(self._ready, (self._rank[command], command))
        else:  # what it follows may not be what it followed when it was tried before
            self._again.add(command)
            self._unjudged.append(command)

    def _forget(self, event: e.Event) -> None:  # noqa: ARG002 - as all of these
        self._stale = True

    def next(self, state: RunState, now: float) -> list[e.Event]:
        """Return the events that follow from where the run stands, or nothing. `now` is their time."""
        if self._stale:
            self._rebuild(state)
        record = state.run
        run = record.state
        if run == "executing":
            ends = self._judge(state, now) if self._unjudged else None
            if "" in state.due or record.rollback is not None:
                return ends or self._rest(state, now)
            return ends or self._start(state, now) or self._complete(state, now)
        if run == "paused":
            return self._judge(state, now) or self._rest(state, now)
        if run == "stopping":
            return self._stop(state, now)
        return []

    def _count(self, ended: str, how: str) -> None:
        """Tell those that keep a tally of their upstream how one of it has ended."""
        for command in self._tallying.get(ended, ()):
            if command in self._tallies:
                self._tallies[command].add(how)
                self._unjudged.append(command)

    def _judge(self, state: RunState, now: float) -> list[e.Event]:
        """Return the ends of commands that will not run, as their upstream has ended; let those start that may."""
        if not self._unjudged:
            return []
        unjudged, self._unjudged = self._unjudged, []
        ends: list[e.Event] = []
        # In the order of the plan: a replay, which judges only where something came of it, has to find the same.
        for command in sorted(set(unjudged), key=self._place.__getitem__):
            if state.commands[command].state == "pending":
                if command in self._again and self._missing[command] < 0:
                    self._tallies[command] = tally_of(state.commands[name].state for name in self._upstream[command])
                self._again.discard(command)
                if state.planned[command].standby:
                    ends.append(e.CommandSkipped(at=now, command=command, reason=STANDBY, cause="fallback"))
                    continue
                tally = self._tallies.get(command)
                rule = state.planned[command].trigger_rule
                found = state.verdict(command) if tally is None else verdict(rule, tally)
                if found == "fail":
                    ends.append(e.UpstreamFailed(at=now, command=command, upstream=self._bad_upstream(command, state)))
                elif found == "skip":
                    reason = why_skipped(rule, self._ended_upstream(command, state))
                    ends.append(e.CommandSkipped(at=now, command=command, reason=reason, cause="trigger_rule"))
                elif found == "start" and tally is not None:
                    del self._tallies[command]  # no rule takes back that a command may start
                    end = self._unmet(command, state, now) if self._unmet is not None else None
                    if end is None:
                        heappush(self._ready, (self._rank[command], command))
                    else:
                        ends.append(end)
        return ends

    def _bad_upstream(self, command: str, state: RunState) -> tuple[str, ...]:
        return tuple(name for name, its in self._ended_upstream(command, state).items() if its not in GOOD)

    def _ended_upstream(self, command: str, state: RunState) -> dict[str, str]:
        states = ((name, state.commands[name].state) for name in self._upstream[command])
        return {name: its for name, its in states if its in FINAL}

    def _start(self, state: RunState, now: float) -> list[e.Event]:
        """Start ready commands, the first in rank first, while slots are free."""
        if state.run.workers is not None:
            return self._start_few(state.run.workers - state.counts.get("running", 0), state, now)
        return self._start_ready(state, now) if self._ready or self._allotment is not None else []

    def _start_few(self, most: int, state: RunState, now: float) -> list[e.Event]:
        """Start so many at the most; what may be left for later waits while anything else is under way or ready."""
        if most <= 0:
            return []
        later = state.deferrable()
        others = chain(
            state.running(), (name for _, name in self._ready), self._allotment.waiting() if self._allotment else ()
        )
        held = (
            [entry for entry in self._ready if entry[1] in later] if any(name not in later for name in others) else []
        )
        if held:
            self._ready = [entry for entry in self._ready if entry[1] not in later]
            heapify(self._ready)
        started = self._start_ready(state, now, most=most)
        for entry in held:
            heappush(self._ready, entry)
        return started

    def _start_ready(self, state: RunState, now: float, *, most: int | None = None) -> list[e.Event]:
        if self._allotment is not None:
            return self._start_allotted(self._allotment, state, now, most)
        free = self._slots - state.counts.get("running", 0) - self._abandoned
        if most is not None:
            free = min(free, most)
        started: list[e.Event] = []
        ready, records, last = self._ready, state.commands, ""
        while free > 0 and ready:
            command = heappop(ready)[1]
            record = records[command]
            # One that was put off may be there twice, and then one after the other.
            if record.state == "pending" and command != last:
                started.append(e.AttemptStarted(at=now, command=command, attempt=record.attempt + 1))
                free, last = free - 1, command
        return started

    def _start_allotted(self, allotment: Allotment, state: RunState, now: float, most: int | None) -> list[e.Event]:
        """Start the ready commands for which there is all that they need."""
        allotment.offer(self._ready, state)
        self._ready = []
        started: list[e.Event] = []
        for command in allotment.start(state, most=most):
            record = state.commands[command]
            holds = (state.planned[command].retry_needs or {}) if record.retry else {}
            started.append(e.AttemptStarted(at=now, command=command, attempt=record.attempt + 1, holds=holds))
        return started

    def _complete(self, state: RunState, now: float) -> list[e.Event]:
        counts = state.counts
        if counts.get("running"):
            return []
        if counts.get("waiting"):
            pause = parked(state, now)
            return [] if pause is None else [pause]
        if counts.get("pending") or state.unfinished() or state.due:
            return []
        return [e.RunCompleting(at=now)]

    @staticmethod
    def _rest(state: RunState, now: float) -> list[e.Event]:
        """Say what is due once nothing runs any more, of a run that waits for a rollback or is paused."""
        run = state.run
        if state.counts.get("running") or state.due or run.leaving:
            return []
        if run.rollback is not None:
            return [e.StepsDue(at=now, moment="rollback")]
        resting = run.state == "paused" and not run.rested and run.keeping and run.steps.get("pause")
        return [e.StepsDue(at=now, moment="pause")] if resting else []

    def _stop(self, state: RunState, now: float) -> list[e.Event]:
        """Cancel what is left once nothing runs any more, and end the run."""
        if state.counts.get("running", 0) or (state.run.moment == "rollback" and "" in state.due):
            return []
        reason = state.run.reason
        left = [name for name in self._order if state.commands[name].state not in FINAL]
        cancelled: list[e.Event] = [e.CommandCancelled(at=now, command=name, reason=reason) for name in left]
        return [*cancelled, e.RunEnded(at=now, state="stopped", reason=reason)]

    def _rebuild(self, state: RunState) -> None:
        self._stale = False
        commands = state.commands
        if state.planned is not self._planned:
            self._take_plan(state)
        if self._allotment is not None:
            self._allotment.begin(state)
        if self._estimates is not None:
            self._rank = self._planned_ranks(state)
            self._reorder(self._estimates.begin(state))
        done = _among(DONE, state)
        upstream = self._upstream
        self._missing = {command: len(upstream[command]) for command in self._order}
        if done:
            for command in self._order:
                self._missing[command] -= len(done.intersection(upstream[command]))
        self._begin_tallies(state)
        free = [command for command in self._order if not self._missing[command]]
        self._ready = [(self._rank[command], command) for command in free if commands[command].state == "pending"]
        heapify(self._ready)
        self._waiting = _among(_WAITING, state)
        self._again = set()
        self._unjudged = []
        ended = _among(_OTHER_END_STATES, state)
        if ended or self._tallies:
            pending = (command for command in self._order if commands[command].state == "pending")
            self._unjudged = [
                command for command in pending if command in self._tallies or not ended.isdisjoint(upstream[command])
            ]

    def _begin_tallies(self, state: RunState) -> None:
        """Begin a tally for each command that has a rule or a condition of its own and that may still come to start."""
        self._tallies, self._tallying = {}, {}
        for command, planned in state.planned.items():
            if planned.trigger_rule == DEFAULT and not planned.when and not planned.standby:
                continue
            self._missing[command] = -1  # never nothing: it is ready when it is judged to be
            if state.commands[command].state in FINAL:
                continue
            if state.commands[command].state == "pending":
                self._tallies[command] = tally_of(state.commands[name].state for name in self._upstream[command])
            for name in self._upstream[command]:
                self._tallying.setdefault(name, []).append(command)

    def _take_plan(self, state: RunState) -> None:
        """Take what the recorded plan says of ranks, durations and needs."""
        planned = self._planned = state.planned
        self._rank = self._planned_ranks(state)
        needing = state.run.pools or any(
            item.needs is not None or item.retry_needs is not None for item in planned.values()
        )
        self._allotment = Allotment(planned, state.run.pools, slots=self._slots) if needing else None
        timed = state.run.adaptive and any(item.seconds is not None for item in planned.values())
        self._estimates = Estimates(planned, self._order) if timed else None
        if any(item.when for item in planned.values()):
            # Not for nothing, and not with the first condition: by then commands may have opened all files there may be.
            from orchestrator_nb.engine.conditions import unmet

            self._unmet = unmet

    def _planned_ranks(self, state: RunState) -> Mapping[str, int]:
        """Return for each command its planned rank, else its place in the order; the lowest starts first."""
        ranked = {name: item.rank for name, item in state.planned.items() if item.rank is not None}
        return {**self._place, **ranked} if ranked else self._place

    def _reorder(self, ranks: Mapping[str, int] | None) -> None:
        """Let these ranks count from now on, for those too that are ready already."""
        if ranks is None:
            return
        self._rank = ranks
        self._ready = [(ranks[command], command) for _, command in self._ready]
        heapify(self._ready)
        if self._allotment is not None:
            self._allotment.rank(ranks)


_OTHER_ENDS: dict[type[e.Event], str] = {
    e.CommandFailed: "failed",
    e.CommandCrashed: "crashed",
    e.UpstreamFailed: "upstream_failed",
    e.CommandSkipped: "skipped",
    e.CommandCancelled: "cancelled",
}
"""The ends of a command besides its success, and the states that they leave it in."""
_OTHER_END_STATES = frozenset(_OTHER_ENDS.values())
_WAITING = frozenset({"waiting"})
_UPHEAVALS = (e.RunPlanned, e.RunResumed, e.CommandReopened, e.CommandRestored, e.DecisionRequested, e.WorkersChanged)
"""After these the index is made again."""


def _among(wanted: frozenset[str], state: RunState) -> set[str]:
    """Return the commands in one of these states; none is looked at where no command has ever been in one."""
    if wanted.isdisjoint(state.counts):
        return set()
    return {name for name, record in state.commands.items() if record.state in wanted}
