"""What a decision does: the command is tried again, left out, given up, or taken for done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.state.command_facts import RETRY
from orchestrator_nb.state.escalation import DONE_BY_HAND, FAIL, GO_ON, ROLL_BACK, SKIP, TAKEN_OVER
from orchestrator_nb.state.records import CommandRecord, DecisionRecord
from orchestrator_nb.state.run_state import RunState


class Decided:
    """The answer to a decision about a command takes effect in the turn in which it is recorded.

    An attempt that is still under way has failed by it; then the same answer says what becomes of the command.
    """

    kinds: tuple[type[e.Event], ...] = (e.DecisionMade, e.AttemptFailed)
    decides: tuple[type[e.Event], ...] = (e.AttemptFailed,)

    def __call__(self, event: Any, state: RunState) -> Iterable[e.Event]:
        """Return the effect."""
        if isinstance(event, e.AttemptFailed):
            if event.failure.kind != TAKEN_OVER:
                return ()
            return _effect(state.decisions[int(event.failure.advice)], event.command, state, event.at)
        decision = state.decisions[event.number]
        if event.command is None:
            return ()
        record = state.commands[event.command]
        if record.state == "running":
            return () if event.answer == GO_ON else (_ended(event, record),)
        return _effect(decision, event.command, state, event.at)


def _ended(event: e.DecisionMade, record: CommandRecord) -> e.AttemptFailed:
    assert event.command is not None
    failure = e.Failure(
        kind=TAKEN_OVER,
        message=f'decision {event.number} was made while it was under way: "{event.answer}"',
        stage="reported",
        advice=event.number,
    )
    seconds = max(0.0, event.at - (record.started or event.at))
    return e.AttemptFailed(at=event.at, command=event.command, attempt=record.attempt, seconds=seconds, failure=failure)


def _effect(decision: DecisionRecord, command: str, state: RunState, at: float) -> Iterable[e.Event]:
    """Yield what becomes of a command that waits."""
    record = state.commands[command]
    said = f'by decision {decision.number} ({said_by(decision)}): "{decision.answer}"'
    if decision.answer in (RETRY, GO_ON):
        retry = record.retry + (decision.answer == RETRY)
        yield e.RetryScheduled(at=at, command=command, due=at, retry=retry, retries=retry, reason=said)
        if decision.parameters:
            changed = ", ".join(f"{name} = {value!r}" for name, value in decision.parameters.items())
            yield e.DeviationRecorded(at=at, command=command, text=f"tried again {said}, with {changed}")
    elif decision.answer == SKIP:
        yield e.CommandSkipped(at=at, command=command, reason=said, cause="decision")
        yield e.DeviationRecorded(at=at, command=command, text=f"left out {said}")
    elif decision.answer == DONE_BY_HAND:
        attempt = record.attempt + 1
        result = e.Stored(form="json", value=dict(decision.parameters) or None)
        yield e.AttemptTakenOver(at=at, command=command, attempt=attempt, decision=decision.number)
        yield e.AttemptReturned(at=at, command=command, attempt=attempt, seconds=0.0, result=result)
        yield e.DeviationRecorded(at=at, command=command, text=f"done by hand {said}")
    elif decision.answer in (FAIL, ROLL_BACK):
        reason = record.failure.message if record.failure is not None else said
        yield e.CommandFailed(at=at, command=command, reason=reason)


def said_by(decision: DecisionRecord) -> str:
    """Return in words whose answer it is."""
    if decision.by_default:
        return "its default, for nobody answered"
    user = (decision.by or {}).get("user")
    note = f", {decision.note}" if decision.note else ""
    return f"{user or 'somebody'}{note}"
