"""What a run waits for by the clock: retries and the deadlines of decisions, the earliest first."""

from __future__ import annotations

from heapq import heappop, heappush

from orchestrator_nb import events as e
from orchestrator_nb.state.run_state import RunState


class Waiting:
    """Times in a heap; each is looked at once more when it comes, since it may have become meaningless by then.

    `due` has something in it while anything is waited for: (when, the command that is retried, its due time as it was
    recorded), or (when, "", the number of the decision).
    """

    def __init__(self) -> None:
        self.due: list[tuple[float, str, float]] = []

    def begin(self, state: RunState, now: float) -> None:
        """Take up what was waited for before.

        None waits for longer than it was told to from the start: the clock may have been put back meanwhile.
        """
        for command, record in state.commands.items():
            if record.state == "waiting" and record.due is not None:
                wait = record.due - (record.ended if record.ended is not None else now)
                heappush(self.due, (min(record.due, now + max(wait, 0.0)), command, record.due))
        for decision in state.open_decisions():
            if decision.deadline is not None:
                wait = decision.deadline - decision.asked
                heappush(self.due, (min(decision.deadline, now + max(wait, 0.0)), "", decision.number))

    def retry(self, event: e.RetryScheduled) -> None:
        """Wait for a retry."""
        heappush(self.due, (event.due, event.command, event.due))

    def decision(self, event: e.DecisionRequested) -> None:
        """Wait for the deadline of a decision, if it has one."""
        if event.deadline is not None:
            heappush(self.due, (event.deadline, "", event.number))

    def next(self) -> float | None:
        """Return when the next of them is due, None when nothing is waited for."""
        return self.due[0][0] if self.due else None

    def take(self, state: RunState, now: float) -> list[e.Event]:
        """Return the facts whose time has come, those without meaning left out."""
        facts: list[e.Event] = []
        while self.due and self.due[0][0] <= now:
            _, command, due = heappop(self.due)
            fact = _retry(command, due, state, now) if command else _deadline(int(due), state, now)
            if fact is not None:
                facts.append(fact)
        return facts


def _retry(command: str, due: float, state: RunState, now: float) -> e.Event | None:
    record = state.commands.get(command)  # the plan may be without it by now
    if record is None or record.state != "waiting" or record.due != due:
        return None
    return e.ProbeDue(at=now, command=command) if record.checks else e.RetryDue(at=now, command=command)


def _deadline(number: int, state: RunState, now: float) -> e.Event | None:
    decision = state.decisions.get(number)
    if decision is None or not state.is_open(decision):
        return None
    return e.DecisionDue(at=now, number=number, command=decision.command)
