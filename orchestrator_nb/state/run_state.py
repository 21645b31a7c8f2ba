"""What the facts of a run add up to.

Two rules. Everything that changes what is known of a run is an event and is applied here, by `RunState.apply`, and
nowhere else. An event that the tables in `transitions` do not allow raises `IllegalTransition` and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.state.command_facts import COMMAND_FACTS
from orchestrator_nb.state.records import CommandRecord, deadline_of, planned_commands, run_record
from orchestrator_nb.state.standing import Standing
from orchestrator_nb.state.step_facts import STEP_FACTS, begin_moment, begin_steps, end_moment, forget_what_is_left
from orchestrator_nb.state.transitions import ENDED, RUN_TRANSITIONS, IllegalTransition
from orchestrator_nb.state.trigger_rules import TRIGGER_RULES


class RunState(Standing):
    """The state of one run: a fold over its events. Changed by the loop alone; its records are replaced whole."""

    def apply(self, event: e.Event) -> None:
        """Take in a fact. Raises IllegalTransition, and then nothing has changed."""
        APPLIED[type(event)](self, event)

    def copy(self) -> RunState:
        """Return a state that is equal to this one and goes its own way from now on."""
        other = RunState()
        other.__dict__ = self._held()
        other.commands, other.counts, other.lives = dict(self.commands), dict(self.counts), dict(self.lives)
        return other

    def publish(self, target: RunState, events: Iterable[e.Event]) -> None:
        """Bring `target`, which was equal before these events, up to this state; a record at a time."""
        records, shown = self.commands, target.commands
        if target.planned is not self.planned:
            shown = dict(records)
        everyday = self.due is target.due and self.versions is target.versions and self.causes is target.causes
        for event in events:
            if type(event) in _EVERYDAY:
                command: str | None = event.command  # type: ignore[attr-defined]
            else:
                command, everyday = getattr(event, "command", None), False
            if command in records:
                shown[command] = records[command]
        counts = self.counts.copy()
        if everyday:
            target.counts = counts
            return
        lives = target.lives if len(target.lives) == len(self.lives) else dict(self.lives)
        # At once, and what changes in place as a copy: others read it meanwhile.
        target.__dict__.update({**self._held(), "commands": shown, "counts": counts, "lives": lives})

    def _held(self) -> dict[str, Any]:
        """Return what is known, by name. `__dict__` is not asked for: an object that was asked for it is read more slowly
        from then on."""
        return {name: getattr(self, name) for name in _NAMES}


_NAMES = tuple(vars(RunState()))
"""What a state holds."""
_EVERYDAY = frozenset({e.AttemptStarted, e.AttemptReturned, e.CommandSucceeded})
"""The facts that come for every command where all goes well: they change its record, the counts and, seldom, what is
due, shared, or known of the causes of errors."""


def fold(events: Iterable[e.Event]) -> RunState:
    """Return the state that these events add up to. Raises IllegalTransition naming the first that does not fit."""
    state = RunState()
    for event in events:
        state.apply(event)
    return state


# ── how the facts about the run itself are applied ──────────────────────────────────────────────────────────────


def _after(state: RunState, event: e.Event, key: str | None = None) -> str:
    """Return the run's state after the event."""
    key = key or type(event).__name__
    before = state.run.state
    after = RUN_TRANSITIONS.get(key, {}).get(before)
    if after is None:
        raise IllegalTransition(f'"{key}" cannot come while the run is {before}')
    return after


def _run_started(state: RunState, event: e.RunStarted) -> None:
    state.run = run_record(event, _after(state, event))
    state.shared = dict(event.settings.get("context") or {})


def _run_planned(state: RunState, event: e.RunPlanned) -> None:
    after = _after(state, event)
    planned = planned_commands(event.commands)
    unknown = {name for item in planned.values() for name in item.upstream} - planned.keys()
    unknown.update({item.trigger_rule for item in planned.values()}.difference(TRIGGER_RULES))
    if unknown:
        raise IllegalTransition(f"the plan names commands or trigger rules that there are not: {sorted(unknown)}")
    fresh = CommandRecord()
    began = state.run.state == "initializing"
    state.run = replace(
        state.run,
        state=after,
        pools=event.pools,
        adaptive=event.adaptive,
        left_out=event.left_out,
        steps=event.steps,
        merge=event.merge,
    )
    state.planned = planned
    left = {name: record.attempt for name, record in state.commands.items() if name not in planned}
    state.left = {**state.left, **left} if left else state.left
    known = state.commands
    state.commands = {name: known.get(name, fresh) for name in planned} if known else dict.fromkeys(planned, fresh)
    for name in state.left.keys() & planned.keys():
        if state.commands[name] is fresh:  # it comes back, and counts its attempts on
            state.commands[name] = replace(fresh, attempt=state.left[name])
    state.deviations = {name: texts for name, texts in state.deviations.items() if name in planned}
    state.counts = dict(Counter(map(attrgetter("state"), state.commands.values())))
    for name in [
        name for name in state.due if name in planned
    ]:  # what is to be done is done by today's plan, all of it
        state.commands[name] = replace(state.commands[name], gates={}, merged=None)
        state.due = {other: steps for other, steps in state.due.items() if other != name}
        begin_steps(state, name, shared=state.commands[name].shared)
    begin_moment(state, "start" if began else state.run.moment)


def _run_resumed(state: RunState, event: e.RunResumed) -> None:
    ended = state.run.state in ENDED
    state.run = replace(
        state.run,
        state=_after(state, event),
        owner=event.owner or state.run.owner,
        slots=event.slots or state.run.slots,
        decide=event.decide or state.run.decide,
        settings={**state.run.settings, "recovery": event.recovery} if event.recovery else state.run.settings,
        reason="",
        leaving=False,
        ended=None,
        generation=state.run.generation + ended,
        rested=False,
        keeping=bool(event.owner) or state.run.keeping,
        until=deadline_of(state.run.settings, event.at) if event.owner else state.run.until,
        workers=None if event.owner else state.run.workers,
    )
    if event.owner:
        forget_what_is_left(state)
        # What a dead owner had begun with is done anew; the files may have changed since anybody looked at them.
        begin_moment(state, "start" if state.run.moment == "start" and "" in state.due else "recovery")


def _run_paused(state: RunState, event: e.RunPaused) -> None:
    left = event.at if event.leaving else None
    state.run = replace(state.run, state=_after(state, event), reason=event.reason, leaving=event.leaving, ended=left)


def _run_stopping(state: RunState, event: e.RunStopping) -> None:
    state.run = replace(state.run, state=_after(state, event), reason=event.reason)


def _run_completing(state: RunState, event: e.RunCompleting) -> None:
    after = _after(state, event)
    if state.unfinished():
        raise IllegalTransition(f"the run cannot complete: {state.unfinished()} commands have not ended")
    state.run = replace(state.run, state=after, gates={})
    if "" in state.deviations:
        state.deviations = {name: texts for name, texts in state.deviations.items() if name}
    if not state.bad():
        begin_moment(state, "completion")


def _run_ended(state: RunState, event: e.RunEnded) -> None:
    after = _after(state, event, f"RunEnded {event.state}{' again' if event.again else ''}")
    if after == "completed":
        if bad := state.bad():
            raise IllegalTransition(f"the run cannot be completed: {', '.join(bad[:3])} did not succeed")
        if unmet := [name for name, gate in state.run.gates.items() if not gate.holds] or state.due.get(""):
            raise IllegalTransition(f'the run cannot be completed: "{unmet[0]}" is required')
    end_moment(state)
    state.run = replace(state.run, state=after, reason=event.reason, ended=event.at)


def _unchanging(state: RunState, event: e.Event) -> None:
    """Facts for people, which change nothing."""


def _workers_changed(state: RunState, event: e.WorkersChanged) -> None:
    state.run = replace(state.run, workers=event.workers)


def _notice(state: RunState, event: e.NoticeGiven) -> None:
    state.notices = (*state.notices, event)


APPLIED: dict[type[e.Event], Callable[[RunState, Any], None]] = {
    **dict.fromkeys(
        (e.DefinitionChanged, e.JournalCut, e.RunDeleted, e.RunRated, e.StoreAudited, e.KernelStarted), _unchanging
    ),
    **dict.fromkeys((e.MemoryProbed, e.DeadlineNear, e.ModulesImported), _unchanging),
    e.WorkersChanged: _workers_changed,
    e.RunStarted: _run_started,
    e.RunPlanned: _run_planned,
    e.RunResumed: _run_resumed,
    e.RunPaused: _run_paused,
    e.RunStopping: _run_stopping,
    e.RunCompleting: _run_completing,
    e.RunEnded: _run_ended,
    e.NoticeGiven: _notice,
    **STEP_FACTS,
    **COMMAND_FACTS,
}
"""What applies the events of each kind, as `RunState.apply` does."""
