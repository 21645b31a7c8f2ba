"""What a fact from outside means in the state that it comes to: late news of an attempt that is over means nothing."""

from __future__ import annotations

from orchestrator_nb import events as e
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.step_facts import STEP_ANSWERS, answers_what_is_due


def admitted(fact: e.Event, state: RunState) -> tuple[e.Event, ...]:
    """Return the facts that it comes to: as a rule itself, or nothing where nobody waits for it any more."""
    kind = type(fact)
    if kind in _DUE:
        return (fact,) if _is_due(fact, state) else ()
    attempt = getattr(fact, "attempt", None)
    if attempt is None:
        return (fact,)
    record = state.commands.get(fact.command)  # type: ignore[attr-defined]
    if record is None or record.attempt != attempt or record.state != "running":
        return ()
    if record.returned and state.run.state != "stopping":
        return ()  # a step that was ended is done once more by whoever goes on with the run
    if kind in _FAILURES and fact.failure.kind == "cancelled":  # type: ignore[attr-defined]
        interrupted = e.AttemptInterrupted(
            at=fact.at,
            command=fact.command,  # type: ignore[attr-defined]
            attempt=attempt,
            reason=state.run.reason or fact.failure.message,  # type: ignore[attr-defined]
            abandoned=kind is e.AttemptAbandoned,
        )
        return (interrupted,)
    return (fact,)


_DUE = frozenset({*STEP_ANSWERS, e.RetryDue, e.DecisionDue})
"""Facts that mean something only where they are waited for."""
_FAILURES = frozenset({e.AttemptFailed, e.AttemptAbandoned})


def _is_due(fact: e.Event, state: RunState) -> bool:
    """Tell whether what a fact answers, or what it says that its time has come for, is still waited for."""
    if isinstance(fact, e.RetryDue):
        record = state.commands.get(fact.command)
        return record is not None and record.state == "waiting" and record.due is not None
    if isinstance(fact, e.DecisionDue):
        decision = state.decisions.get(fact.number)
        return decision is not None and state.is_open(decision)
    return answers_what_is_due(state, fact)
