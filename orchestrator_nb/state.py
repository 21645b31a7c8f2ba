"""What the facts of a run add up to.

Two rules. Everything that changes what is known of a run is an event and is applied here, by `RunState.apply`, and
nowhere else. An event that the tables in `transitions` do not allow raises `IllegalTransition` and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.records import CommandRecord, PlannedCommand, RunRecord, planned_command
from orchestrator_nb.transitions import COMMAND_TRANSITIONS, ENDED, FINAL, GOOD, RUN_TRANSITIONS, IllegalTransition
from orchestrator_nb.trigger_rules import DEFAULT, TRIGGER_RULES, Verdict, tally_of, verdict


class RunState:
    """The state of one run: a fold over its events. Changed by the loop alone; its records are replaced whole."""

    def __init__(self) -> None:
        self.run = RunRecord()
        self.planned: dict[str, PlannedCommand] = {}
        self.commands: dict[str, CommandRecord] = {}
        self.shared: Mapping[str, Any] = {}
        self.deviations: dict[str, tuple[str, ...]] = {}
        self.notices: tuple[e.NoticeGiven, ...] = ()
        self.counts: dict[str, int] = {}

    def apply(self, event: e.Event) -> None:
        """Take in a fact. Raises IllegalTransition, and then nothing has changed."""
        _APPLY[type(event)](self, event)

    def copy(self) -> RunState:
        """Return a state that is equal to this one and goes its own way from now on."""
        other = RunState()
        other.__dict__.update(self.__dict__)
        other.commands = dict(self.commands)
        other.counts = dict(self.counts)
        return other

    def publish(self, target: RunState, events: Iterable[e.Event]) -> None:
        """Bring `target`, which was equal before these events, up to this state; a record at a time."""
        target.run = self.run
        target.shared = self.shared
        target.notices = self.notices
        for event in events:
            command = getattr(event, "command", None)
            if command in self.commands:
                target.commands[command] = self.commands[command]
            elif type(event) is e.RunPlanned:
                target.planned = self.planned
                target.commands = dict(self.commands)
        target.deviations = self.deviations
        target.counts = dict(self.counts)

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

    def unfinished(self) -> int:
        """Return how many commands have not come to their end."""
        return len(self.commands) - sum(self.counts.get(state, 0) for state in FINAL)

    @property
    def phase(self) -> str:
        """The state of the run with the two derived from its commands: recovering and degraded."""
        if self.run.state == "executing":
            if self.counts.get("waiting", 0):
                return "recovering"
            if self.deviations:
                return "degraded"
        return self.run.state


def fold(events: Iterable[e.Event]) -> RunState:
    """Return the state that these events add up to. Raises IllegalTransition naming the first that does not fit."""
    state = RunState()
    for event in events:
        state.apply(event)
    return state


# ── how each kind is applied ────────────────────────────────────────────────────────────────────────────────────


def _after(state: RunState, event: e.Event, key: str | None = None) -> str:
    """Return the run's state after the event."""
    key = key or type(event).__name__
    before = state.run.state
    after = RUN_TRANSITIONS.get(key, {}).get(before)
    if after is None:
        raise IllegalTransition(f'"{key}" cannot come while the run is {before}')
    return after


def _run_started(state: RunState, event: e.RunStarted) -> None:
    state.run = RunRecord(
        run=event.run,
        workflow=event.workflow,
        state=_after(state, event),
        parameters=event.parameters,
        durability=event.durability,
        slots=event.slots,
        owner=event.owner,
        started=event.at,
        settings=event.settings,
    )
    state.shared = dict(event.settings.get("context") or {})


def _run_planned(state: RunState, event: e.RunPlanned) -> None:
    after = _after(state, event)
    planned = {name: planned_command(item) for name, item in event.commands.items()}
    unknown = {name for item in planned.values() for name in item.upstream} - planned.keys()
    unknown.update({item.trigger_rule for item in planned.values()}.difference(TRIGGER_RULES))
    if unknown:
        raise IllegalTransition(f"the plan names commands or trigger rules that there are not: {sorted(unknown)}")
    fresh = CommandRecord()
    state.run = replace(state.run, state=after, pools=event.pools, adaptive=event.adaptive)
    state.planned = planned
    state.commands = {name: state.commands.get(name, fresh) for name in planned}
    state.deviations = {name: texts for name, texts in state.deviations.items() if name in planned}
    state.counts = dict(Counter(record.state for record in state.commands.values()))


def _run_resumed(state: RunState, event: e.RunResumed) -> None:
    ended = state.run.state in ENDED
    state.run = replace(
        state.run,
        state=_after(state, event),
        owner=event.owner or state.run.owner,
        slots=event.slots or state.run.slots,
        reason="",
        leaving=False,
        ended=None,
        generation=state.run.generation + ended,
    )


def _run_paused(state: RunState, event: e.RunPaused) -> None:
    left = event.at if event.leaving else None
    state.run = replace(state.run, state=_after(state, event), reason=event.reason, leaving=event.leaving, ended=left)


def _run_stopping(state: RunState, event: e.RunStopping) -> None:
    state.run = replace(state.run, state=_after(state, event), reason=event.reason)


def _run_completing(state: RunState, event: e.RunCompleting) -> None:
    after = _after(state, event)
    if state.unfinished():
        raise IllegalTransition(f"the run cannot complete: {state.unfinished()} commands have not ended")
    state.run = replace(state.run, state=after)


def _run_ended(state: RunState, event: e.RunEnded) -> None:
    after = _after(state, event, f"RunEnded {event.state}")
    if after == "completed":
        bad = [n for n, record in state.commands.items() if record.state not in GOOD and n not in state.deviations]
        if bad:
            raise IllegalTransition(f"the run cannot be completed: {', '.join(bad[:3])} did not succeed")
    state.run = replace(state.run, state=after, reason=event.reason, ended=event.at)


def _unchanging(state: RunState, event: e.Event) -> None:
    """Facts for people, which change nothing."""


def _notice(state: RunState, event: e.NoticeGiven) -> None:
    state.notices = (*state.notices, event)


def _deviation(state: RunState, event: e.DeviationRecorded) -> None:
    _known(state, event.command)
    known = state.deviations.get(event.command, ())
    state.deviations = {**state.deviations, event.command: (*known, event.text)}


def _known(state: RunState, command: str) -> CommandRecord:
    record = state.commands.get(command)
    if record is None:
        raise IllegalTransition(f'the plan has no command "{command}"')
    return record


def _step(state: RunState, event: Any) -> tuple[CommandRecord, str]:
    """Return the command's record and its state after the event."""
    record = state.commands.get(event.command) or _known(state, event.command)
    after = COMMAND_TRANSITIONS[type(event).__name__].get(record.state)
    if after is None:
        raise IllegalTransition(f'"{type(event).__name__}" cannot come while "{event.command}" is {record.state}')
    return record, after


def _current(state: RunState, event: Any) -> tuple[CommandRecord, str]:
    """Return what `_step` does, for an event that has to be about the attempt under way."""
    record, after = _step(state, event)
    if event.attempt != record.attempt:
        raise IllegalTransition(
            f'"{type(event).__name__}" is about attempt {event.attempt} of "{event.command}", not {record.attempt}'
        )
    return record, after


def _put(state: RunState, command: str, before: CommandRecord, after: CommandRecord) -> None:
    state.commands[command] = after
    if before.state != after.state:
        counts = state.counts
        counts[before.state] -= 1
        counts[after.state] = counts.get(after.state, 0) + 1


def _attempt_started(state: RunState, event: e.AttemptStarted) -> None:
    record, after = _step(state, event)
    if event.attempt != record.attempt + 1:
        raise IllegalTransition(f'attempt {event.attempt} of "{event.command}" cannot follow attempt {record.attempt}')
    planned = state.planned[event.command]
    if planned.trigger_rule == DEFAULT:  # the usual, without a tally
        for name in planned.upstream:
            if (its := state.commands[name].state) != "succeeded":
                raise IllegalTransition(f'"{event.command}" cannot start: "{name}" is {its}')
    elif state.verdict(event.command) != "start":
        raise IllegalTransition(f'"{event.command}" cannot start: {planned.trigger_rule} does not hold')
    begun = CommandRecord(after, record.generation, event.attempt, record.retry, started=event.at)
    if record.recorded or record.partial or record.deaths or record.preserved:
        partial = {**record.partial, **record.recorded}
        begun = replace(begun, partial=partial, deaths=record.deaths, preserved=record.preserved)
    _put(state, event.command, record, begun)


def _attempt_returned(state: RunState, event: e.AttemptReturned) -> None:
    record, _ = _current(state, event)
    if record.returned:
        raise IllegalTransition(f'attempt {event.attempt} of "{event.command}" has returned already')
    state.commands[event.command] = replace(
        record,
        returned=True,
        result=event.result,
        ended=event.at,
        seconds=event.seconds,
        shared=event.shared,
        notebook=event.notebook,
        log=event.log,
    )


def _attempt_failed(state: RunState, event: e.AttemptFailed) -> None:
    record, after = _current(state, event)
    failed = replace(
        record,
        state=after,
        returned=False,
        failure=event.failure,
        ended=event.at,
        seconds=event.seconds,
        notebook=event.notebook,
        log=event.log,
    )
    _put(state, event.command, record, failed)


def _attempt_abandoned(state: RunState, event: e.AttemptAbandoned) -> None:
    record, after = _current(state, event)
    left = replace(record, state=after, failure=event.failure, ended=event.at, seconds=event.seconds)
    _put(state, event.command, record, left)


def _attempt_interrupted(state: RunState, event: e.AttemptInterrupted) -> None:
    record, after = _current(state, event)
    deaths = record.deaths + event.lost
    left = replace(record, state=after, returned=False, result=None, reason=event.reason, deaths=deaths)
    _put(state, event.command, record, left)


def _cell_started(state: RunState, event: e.CellStarted) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, cell=(event.number, event.of))


def _under_way(state: RunState, event: Any) -> CommandRecord:
    """Return the record of the command whose attempt under way the event is about."""
    record = _known(state, event.command)
    if record.state != "running" or record.attempt != event.attempt or record.returned:
        raise IllegalTransition(
            f'"{type(event).__name__}" is about attempt {event.attempt} of "{event.command}", which is not under way'
        )
    return record


def _cell_finished(state: RunState, event: e.CellFinished) -> None:
    _under_way(state, event)


def _output_recorded(state: RunState, event: e.OutputRecorded) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, recorded={**record.recorded, event.name: event.value})


def _metric_recorded(state: RunState, event: e.MetricRecorded) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, metrics={**record.metrics, event.name: event.value})


def _artifact_recorded(state: RunState, event: e.ArtifactRecorded) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, artifacts={**record.artifacts, event.name: event.value})


def _state_preserved(state: RunState, event: e.StatePreserved) -> None:
    record = _under_way(state, event)
    state.commands[event.command] = replace(record, preserved=event.value)


def _retry_scheduled(state: RunState, event: e.RetryScheduled) -> None:
    record, after = _step(state, event)
    _put(state, event.command, record, replace(record, state=after, retry=event.retry, due=event.due))


def _retry_due(state: RunState, event: e.RetryDue) -> None:
    record, after = _step(state, event)
    if record.due is None:
        raise IllegalTransition(f'no retry of "{event.command}" was scheduled')
    _put(state, event.command, record, replace(record, state=after, due=None))


def _command_succeeded(state: RunState, event: e.CommandSucceeded) -> None:
    record, after = _current(state, event)
    if not record.returned:
        raise IllegalTransition(f'"{event.command}" cannot succeed before its attempt has returned')
    if record.shared:
        state.shared = {**state.shared, **record.shared}
    _put(state, event.command, record, replace(record, state=after))


def _command_ended(state: RunState, event: Any) -> None:
    record, after = _step(state, event)
    upstream = getattr(event, "upstream", None)
    reason = f"{', '.join(upstream)} did not succeed" if upstream else getattr(event, "reason", "")
    failure = getattr(event, "failure", None) or record.failure
    _put(state, event.command, record, replace(record, state=after, due=None, reason=reason, failure=failure))


def _command_reopened(state: RunState, event: e.CommandReopened) -> None:
    record, after = _step(state, event)
    fresh = CommandRecord(after, record.generation + 1, record.attempt, reason=event.reason)
    if record.state not in GOOD:  # it goes on from where it came to
        fresh = replace(fresh, partial={**record.partial, **record.recorded}, preserved=record.preserved)
    _put(state, event.command, record, fresh)
    if event.command in state.deviations:
        state.deviations = {name: text for name, text in state.deviations.items() if name != event.command}


_APPLY: dict[type[e.Event], Callable[[RunState, Any], None]] = {
    **dict.fromkeys((e.DefinitionChanged, e.JournalCut, e.RunDeleted, e.KernelStarted), _unchanging),
    e.RunStarted: _run_started,
    e.RunPlanned: _run_planned,
    e.RunResumed: _run_resumed,
    e.RunPaused: _run_paused,
    e.RunStopping: _run_stopping,
    e.RunCompleting: _run_completing,
    e.RunEnded: _run_ended,
    e.NoticeGiven: _notice,
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
    e.RetryDue: _retry_due,
    e.CommandSucceeded: _command_succeeded,
    e.CommandFailed: _command_ended,
    e.CommandCrashed: _command_ended,
    e.CommandSkipped: _command_ended,
    e.UpstreamFailed: _command_ended,
    e.CommandCancelled: _command_ended,
    e.DeviationRecorded: _deviation,
    e.CommandReopened: _command_reopened,
}
