"""What a run waits for by the clock: retries and the deadlines of decisions, the earliest first."""

from __future__ import annotations

from heapq import heappop, heappush

from orchestrator_nb import events as e
from orchestrator_nb.state.run_state import RunState


class Waiting:
    """Times in a heap; each is looked at once more when it comes, since it may have become meaningless by then."""

    def __init__(self) -> None:
        self._due: list[tuple[float, str, float]] = []
        self._deadlines: list[tuple[float, int]] = []

    def __bool__(self) -> bool:
        """True while anything is waited for."""
        return bool(self._due or self._deadlines)

    def begin(self, state: RunState, now: float) -> None:
        """Take up what was waited for before.

        None waits for longer than it was told to from the start: the clock may have been put back meanwhile.
        """
        for command, record in state.commands.items():
            if record.state == "waiting" and record.due is not None:
                wait = record.due - (record.ended if record.ended is not None else now)
                heappush(self._due, (min(record.due, now + max(wait, 0.0)), command, record.due))
        for decision in state.open_decisions():
            if decision.deadline is not None:
                wait = decision.deadline - decision.asked
                heappush(self._deadlines, (min(decision.deadline, now + max(wait, 0.0)), decision.number))

    def retry(self, event: e.RetryScheduled) -> None:
        """Wait for a retry."""
        heappush(self._due, (event.due, event.command, event.due))

    def decision(self, event: e.DecisionRequested) -> None:
        """Wait for the deadline of a decision, if it has one."""
        if event.deadline is not None:
            heappush(self._deadlines, (event.deadline, event.number))

    def next(self) -> float | None:
        """Return when the next of them is due, None when nothing is waited for."""
        times = [self._due[0][0]] if self._due else []
        if self._deadlines:
            times.append(self._deadlines[0][0])
        return min(times, default=None)

    def take(self, state: RunState, now: float) -> list[e.Event]:
        """Return the facts whose time has come, those without meaning left out."""
        facts: list[e.Event] = []
        while self._due and self._due[0][0] <= now:
            _, command, due = heappop(self._due)
            record = state.commands.get(command)  # the plan may be without it by now
            if record is not None and record.state == "waiting" and record.due == due:
                facts.append(
                    e.ProbeDue(at=now, command=command) if record.checks else e.RetryDue(at=now, command=command)
                )
        while self._deadlines and self._deadlines[0][0] <= now:
            _, number = heappop(self._deadlines)
            decision = state.decisions.get(number)
            if decision is not None and state.is_open(decision):
                facts.append(e.DecisionDue(at=now, number=number, command=decision.command))
        return facts
