"""Asking a person in time: when recovery has come to its end without them, and when nobody has answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.recovery.classification import classified
from orchestrator_nb.state.escalation import HANDOFF, MANUAL, ask, next_level
from orchestrator_nb.state.run_state import RunState


class Escalation:
    """A failure for which nothing else is left goes to a person, where the definition wants that; each time one level
    higher, so that no answer is asked for without end. A critical error begins where a person has to act.

    A decision whose time has passed takes its default; without one the next level begins. Where defaults are to be
    taken now they are taken at once.
    """

    kinds: tuple[type[e.Event], ...] = (
        e.AttemptFailed,
        e.AttemptAbandoned,
        e.DecisionDue,
        e.DecisionRequested,
        e.RunResumed,
    )
    decides: tuple[type[e.Event], ...] = (e.AttemptFailed, e.AttemptAbandoned)

    def __call__(self, event: Any, state: RunState) -> Iterable[e.Event]:
        """Return the question, or the default answer."""
        if isinstance(event, e.DecisionDue):
            return self._overdue(event, state)
        if isinstance(event, e.DecisionRequested):
            return _by_default(event.number, state, event.at) if state.run.decide == "now" else ()
        if isinstance(event, e.RunResumed):
            numbers = [decision.number for decision in state.open_decisions()] if state.run.decide == "now" else []
            return [made for number in numbers for made in _by_default(number, state, event.at)]
        planned = state.planned[event.command]
        if planned.escalation is None or planned.optional:
            return ()
        error = classified(event.command, event.failure, state)
        level = next_level(event.command, state)
        if error.severity == "critical":
            level = max(level, MANUAL)
        told = {"error": error.kind, "severity": error.severity, "told_by": list(error.evidence)}
        return (ask(event.command, state, at=event.at, level=level, evidence=told),)

    def _overdue(self, event: e.DecisionDue, state: RunState) -> Iterable[e.Event]:
        decision = state.decisions[event.number]
        if decision.default is not None:
            return _by_default(event.number, state, event.at)
        if decision.command is None or decision.level >= HANDOFF:
            return ()
        why = str(decision.evidence.get("escalated", ""))
        return (ask(decision.command, state, at=event.at, level=decision.level + 1, why=why),)


def _by_default(number: int, state: RunState, at: float) -> tuple[e.DecisionMade, ...]:
    decision = state.decisions[number]
    if decision.default is None:
        return ()
    return (e.DecisionMade(at=at, number=number, command=decision.command, answer=decision.default, by_default=True),)
