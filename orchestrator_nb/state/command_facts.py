"""What the facts about a command make of its record: each checked against the tables, then applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.state.breaker import mended, once_more
from orchestrator_nb.state.records import (
    ACCEPTED,
    CommandRecord,
    Life,
    asked,
    begun,
    failed,
    reopened,
    restored,
    returned,
    reused,
)
from orchestrator_nb.state.standing import Standing
from orchestrator_nb.state.step_facts import begin_steps, keep_what_is_left, look_before_retry
from orchestrator_nb.state.transitions import COMMAND_TRANSITIONS, DONE, IllegalTransition
from orchestrator_nb.state.trigger_rules import DEFAULT
from orchestrator_nb.values import Classified

_AFTER = {e.KINDS[name]: states for name, states in COMMAND_TRANSITIONS.items() if " " not in name}
"""The table of the transitions, by class instead of by name."""

RETRY = "retry"
"""The answer by which a command is tried again, with other parameters where these come with it."""


def _known(state: Standing, command: str) -> CommandRecord:
    record = state.commands.get(command)
    if record is None:
        raise IllegalTransition(f'the plan has no command "{command}"')
    return record


def _step(state: Standing, event: Any) -> tuple[CommandRecord, str]:
    """Return the command's record and its state after the event."""
    record = state.commands.get(event.command) or _known(state, event.command)
    after = _AFTER[type(event)].get(record.state)
    if after is None:
        raise IllegalTransition(f'"{type(event).__name__}" cannot come while "{event.command}" is {record.state}')
    return record, after


def _current(state: Standing, event: Any) -> tuple[CommandRecord, str]:
    """Return what `_step` does, for an event that has to be about the attempt under way."""
    record = state.commands.get(event.command)
    if record is not None and event.attempt == record.attempt:
        after = _AFTER[type(event)].get(record.state)
        if after is not None:
            return record, after
    record, _ = _step(state, event)
    raise IllegalTransition(
        f'"{type(event).__name__}" is about attempt {event.attempt} of "{event.command}", not {record.attempt}'
    )


def _put(state: Standing, command: str, before: CommandRecord, after: CommandRecord) -> None:
    state.commands[command] = after
    was, now = before.state, after.state
    if was != now:
        counts = state.counts
        counts[was] -= 1
        counts[now] = counts.get(now, 0) + 1
        due = state.due
        if due and command in due:
            state.due = {name: steps for name, steps in due.items() if name != command}


def _attempt_started(state: Standing, event: e.AttemptStarted) -> None:
    record, after = _step(state, event)
    if event.attempt != record.attempt + 1:
        raise IllegalTransition(f'attempt {event.attempt} of "{event.command}" cannot follow attempt {record.attempt}')
    command, commands = event.command, state.commands
    planned = state.planned[command]
    if planned.trigger_rule == DEFAULT:  # the usual, without a tally
        for name in planned.upstream:
            if commands[name].state not in DONE:
                raise IllegalTransition(f'"{command}" cannot start: "{name}" is {commands[name].state}')
    elif state.verdict(command) != "start":
        raise IllegalTransition(f'"{command}" cannot start: {planned.trigger_rule} does not hold')
    fresh = begun(record, after, event)
    _put(state, command, record, replace(fresh, seen=len(state.versions)) if state.versions else fresh)


def _attempt_returned(state: Standing, event: e.AttemptReturned) -> None:
    record, _ = _current(state, event)
    if record.returned:
        raise IllegalTransition(f'attempt {event.attempt} of "{event.command}" has returned already')
    state.commands[event.command] = returned(record, event)
    if state.planned[event.command].steps or event.shared:
        begin_steps(state, event.command, shared=event.shared)


def _attempt_failed(state: Standing, event: e.AttemptFailed) -> None:
    record, after = _current(state, event)
    host = str(state.run.owner.get("host") or "")
    _put(state, event.command, record, failed(record, after, event, host=host))


def _attempt_abandoned(state: Standing, event: e.AttemptAbandoned) -> None:
    record, after = _current(state, event)
    left = replace(record, state=after, failure=event.failure, ended=event.at, seconds=event.seconds)
    _put(state, event.command, record, left)


def _attempt_interrupted(state: Standing, event: e.AttemptInterrupted) -> None:
    record, after = _current(state, event)
    deaths = record.deaths + event.lost
    left = replace(record, state=after, returned=False, result=None, reason=event.reason, deaths=deaths)
    _put(state, event.command, record, left)


def _cell_started(state: Standing, event: e.CellStarted) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, cell=(event.number, event.of))


def _under_way(state: Standing, event: Any) -> CommandRecord:
    """Return the record of the command whose attempt under way the event is about."""
    record = _known(state, event.command)
    if record.state != "running" or record.attempt != event.attempt or record.returned:
        raise IllegalTransition(
            f'"{type(event).__name__}" is about attempt {event.attempt} of "{event.command}", which is not under way'
        )
    return record


def _cell_finished(state: Standing, event: e.CellFinished) -> None:
    _under_way(state, event)


def _output_recorded(state: Standing, event: e.OutputRecorded) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, recorded={**record.recorded, event.name: event.value})


def _metric_recorded(state: Standing, event: e.MetricRecorded) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, metrics={**record.metrics, event.name: event.value})


def _artifact_recorded(state: Standing, event: e.ArtifactRecorded) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, artifacts={**record.artifacts, event.name: event.value})


def _state_preserved(state: Standing, event: e.StatePreserved) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, preserved=event.value)


def _retry_scheduled(state: Standing, event: e.RetryScheduled) -> None:
    record, after = _step(state, event)
    if event.retry > record.retry:
        state.retried += 1
    scheduled = replace(
        record, state=after, retry=event.retry, due=event.due, checks=event.checks, put_off=event.put_off
    )
    _put(state, event.command, record, scheduled)


def _probe_due(state: Standing, event: e.ProbeDue) -> None:
    record, _ = _step(state, event)
    if record.due is None:
        raise IllegalTransition(f'no retry of "{event.command}" was scheduled')
    look_before_retry(state, event.command)


def _retry_due(state: Standing, event: e.RetryDue) -> None:
    record, after = _step(state, event)
    if record.due is None:
        raise IllegalTransition(f'no retry of "{event.command}" was scheduled')
    _put(state, event.command, record, replace(record, state=after, due=None))


def _command_succeeded(state: Standing, event: e.CommandSucceeded) -> None:
    record, after = _current(state, event)
    if not record.returned:
        raise IllegalTransition(f'"{event.command}" cannot succeed before its attempt has returned')
    if event.command in state.due:
        raise IllegalTransition(f'"{event.command}" cannot succeed before {state.due[event.command][0]}')
    if record.gates and not all(gate.holds for gate in record.gates.values()):
        raise IllegalTransition(f'"{event.command}" cannot succeed: a blocking gate does not hold')
    if record.shared:
        _share(state, event, record.shared, seen=record.seen, made=record.merged)
    if state.causes and record.retry:
        state.causes = mended(state.causes, event.command)
    _put(state, event.command, record, replace(record, state=after))


def _share(
    state: Standing,
    event: e.CommandSucceeded | e.CommandReused,
    changes: Mapping[str, Any],
    *,
    seen: int | None = None,
    made: Mapping[str, Any] | None = None,
) -> None:
    try:
        state.share(event.command, event.attempt or 0, event.at, changes, seen=seen, made=made)
    except ValueError as error:
        raise IllegalTransition(str(error)) from None


def _reuse_declined(state: Standing, event: e.ReuseDeclined) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, reason=event.reason)


def _command_reused(state: Standing, event: e.CommandReused) -> None:
    record, after = _step(state, event) if event.attempt is None else _current(state, event)
    if (record.state == "running") != (event.attempt is not None):
        raise IllegalTransition(f'"{event.command}" is {record.state}, so it cannot be reused by {event.attempt}')
    if event.shared:
        _share(state, event, event.shared, made=event.merged)
    _put(state, event.command, record, reused(record, after, event))


def _command_accepted(state: Standing, event: e.CommandAccepted) -> None:
    record = _known(state, event.command)
    if record.state not in DONE:
        raise IllegalTransition(f'"{event.command}" is {record.state}: it has no result that could be accepted')
    state.commands[event.command] = replace(record, reads=event.reads, writes=event.writes, reason=ACCEPTED)


def _command_ended(state: Standing, event: Any) -> None:
    record, after = _step(state, event)
    upstream = getattr(event, "upstream", None)
    reason = f"{', '.join(upstream)} did not succeed" if upstream else getattr(event, "reason", "")
    failure = getattr(event, "failure", None) or record.failure
    _put(state, event.command, record, replace(record, state=after, due=None, reason=reason, failure=failure))
    if type(event) in _FAILURES:
        keep_what_is_left(state, event.command)


_FAILURES = frozenset({e.CommandFailed, e.CommandCrashed})


def _command_reopened(state: Standing, event: e.CommandReopened) -> None:
    record, after = _step(state, event)
    state.lives[event.command, record.generation] = Life(record, state.deviations.get(event.command, ()))
    _put(state, event.command, record, reopened(record, after, event))
    if event.command in state.deviations:
        state.deviations = {name: text for name, text in state.deviations.items() if name != event.command}


def _command_restored(state: Standing, event: e.CommandRestored) -> None:
    record, life = _known(state, event.command), state.lives.get((event.command, event.generation))
    table = COMMAND_TRANSITIONS.get(f"CommandRestored {event.state}", {})
    if record.state not in table:
        raise IllegalTransition(f'"{event.command}" cannot become {event.state} again: it is {record.state}')
    if life is None or life.record.state != event.state:
        raise IllegalTransition(f'generation {event.generation} of "{event.command}" did not end as {event.state}')
    _put(state, event.command, record, restored(record, life))
    if life.deviations:
        state.deviations = {**state.deviations, event.command: life.deviations}


def _deviation(state: Standing, event: e.DeviationRecorded) -> None:
    if event.command:
        _known(state, event.command)
    known = state.deviations.get(event.command, ())
    state.deviations = {**state.deviations, event.command: (*known, event.text)}


def _error_classified(state: Standing, event: e.ErrorClassified) -> None:
    record = _known(state, event.command)
    if event.attempt != record.attempt:
        raise IllegalTransition(f'the error of attempt {event.attempt} of "{event.command}" is classified too late')
    error = Classified(
        category=event.category,
        kind=event.error,
        severity=event.severity,
        transient=event.transient,
        evidence=event.evidence,
    )
    state.commands[event.command] = replace(record, error=error)
    if event.cause and event.transient:
        known = state.causes.get(event.cause)
        state.causes = {**state.causes, event.cause: once_more(known, event, state.counts.get("succeeded", 0))}
    if event.severity == "critical":
        keep_what_is_left(state, event.command)


def _command_adapted(state: Standing, event: e.CommandAdapted) -> None:
    record, after = _step(state, event)
    parameters = {**record.parameters, **event.parameters}
    adapted = replace(record, state=after, parameters=parameters, substitute=event.substitute or record.substitute)
    state.commands[event.command] = adapted


# ── what people are asked ───────────────────────────────────────────────────────────────────────────────────────


def _decision_requested(state: Standing, event: e.DecisionRequested) -> None:
    if event.number != len(state.decisions) + 1:
        raise IllegalTransition(f"decision {event.number} cannot follow decision {len(state.decisions)}")
    decisions, generation = dict(state.decisions), 1
    if event.command is not None:
        record, after = _step(state, event)
        generation = record.generation
        earlier = state.open_decision(event.command)
        if earlier is not None:
            decisions[earlier.number] = replace(earlier, closed=True)
        if record.state != "running":
            _put(state, event.command, record, replace(record, state=after, due=None))
            if (
                earlier is None and event.request is None
            ):  # it has just failed; its files may be edited before the answer
                keep_what_is_left(state, event.command)
    state.decisions = {**decisions, event.number: asked(event, generation)}


def _decision_due(state: Standing, event: e.DecisionDue) -> None:
    decision = state.decisions.get(event.number)
    if decision is None or not state.is_open(decision):
        raise IllegalTransition(f"there is no decision {event.number} to be made")


def _decision_made(state: Standing, event: e.DecisionMade) -> None:
    decision = state.decisions.get(event.number)
    if decision is None or not state.is_open(decision):
        raise IllegalTransition(f"there is no decision {event.number} to be made")
    if event.command != decision.command or event.answer not in decision.options:
        raise IllegalTransition(f'"{event.answer}" is no answer to decision {event.number}')
    answered = replace(
        decision,
        answer=event.answer,
        answered=event.at,
        parameters=event.parameters,
        note=event.note,
        by_default=event.by_default,
        by=event.by,
    )
    if event.command is not None and event.parameters and event.answer == RETRY:
        record = state.commands[event.command]
        changed = {**record.parameters, **event.parameters}
        state.commands[event.command] = replace(record, parameters=changed)
    state.decisions = {**state.decisions, event.number: answered}


def _attempt_taken_over(state: Standing, event: e.AttemptTakenOver) -> None:
    record, after = _step(state, event)
    if event.attempt != record.attempt + 1:
        raise IllegalTransition(f'attempt {event.attempt} of "{event.command}" cannot follow attempt {record.attempt}')
    _put(state, event.command, record, replace(begun(record, after, event), parameters={}, by_hand=True))


COMMAND_FACTS: dict[type[e.Event], Callable[[Standing, Any], None]] = {
    e.AttemptStarted: _attempt_started,
    e.CellStarted: _cell_started,
    e.CellFinished: _cell_finished,
    e.OutputRecorded: _output_recorded,
    e.MetricRecorded: _metric_recorded,
    e.ArtifactRecorded: _artifact_recorded,
    e.StatePreserved: _state_preserved,
    e.AttemptReturned: _attempt_returned,
    e.AttemptFailed: _attempt_failed,
    e.AttemptAbandoned: _attempt_abandoned,
    e.AttemptInterrupted: _attempt_interrupted,
    e.RetryScheduled: _retry_scheduled,
    e.ProbeDue: _probe_due,
    e.RetryDue: _retry_due,
    e.CommandSucceeded: _command_succeeded,
    e.ReuseDeclined: _reuse_declined,
    e.CommandReused: _command_reused,
    e.CommandAccepted: _command_accepted,
    e.CommandFailed: _command_ended,
    e.CommandCrashed: _command_ended,
    e.CommandSkipped: _command_ended,
    e.UpstreamFailed: _command_ended,
    e.CommandCancelled: _command_ended,
    e.DeviationRecorded: _deviation,
    e.CommandReopened: _command_reopened,
    e.CommandRestored: _command_restored,
    e.ErrorClassified: _error_classified,
    e.CommandAdapted: _command_adapted,
    e.DecisionRequested: _decision_requested,
    e.DecisionDue: _decision_due,
    e.DecisionMade: _decision_made,
    e.AttemptTakenOver: _attempt_taken_over,
}
"""How each kind of fact about a command is applied. They raise IllegalTransition, and then nothing has changed."""
