"""The facts with which a run goes on, and what has changed since it was left."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.definition.writing import to_plain
from orchestrator_nb.engine.outline import Outline
from orchestrator_nb.engine.resume import lost_attempts, lost_live_results, missing_parts
from orchestrator_nb.errors import RunRefused
from orchestrator_nb.journal.identity import identity
from orchestrator_nb.orchestrator.display.shown import listed
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.state.records import PlannedCommand, planned_command
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.sharing import by_function
from orchestrator_nb.state.transitions import DONE, FINAL

MANY = 10
"""So many commands are named at the most where a change is told."""


def going_on(
    state: RunState,
    plan: Plan,
    planned: Outline,
    *,
    slots: int,
    accept_changes: bool,
    again: Collection[str] = (),
    decide: str | None = None,
) -> list[e.Event]:
    """Return the facts with which a run goes on: a new owner, what its death cost, what is missing, what changed, and
    what is to run `again`.

    Raises RunRefused where what has succeeded has changed since, unless `accept_changes`.
    """
    now = time.time()
    changes, touched = _changes(state, planned, accept_changes=accept_changes, again=again)
    lost, missing = lost_attempts(state, now), missing_parts(state, now, rerouted=_rerouted(state, planned.commands))
    missing += _run_again(state, again, [*lost, *missing], now)
    live = lost_live_results(
        state,
        inputs={name: upstream for name, upstream in plan.upstream.items() if name in state.commands},
        order=[name for name in plan.order if name in state.commands],
        now=now,
        before=[*lost, *missing],
    )
    recovery = to_plain(plan.definition.recovery, defaults=True)
    resumed = e.RunResumed(
        at=now,
        owner=identity(),
        slots=slots,
        decide=decide,
        recovery=recovery if recovery != state.run.settings.get("recovery") else None,
    )
    facts: list[e.Event] = [resumed, *lost, *missing, *live]
    if state.run.steps != planned.steps:
        required = state.run.steps.get("completion", ()) != planned.steps.get("completion", ())
        what = "what is required of the run" if required else "when the files of the run are kept"
        changes.append(f"{what} has changed")
    if state.run.merge != planned.merge:
        changes.append("how changes of the shared state come together has changed")
    if changes:
        facts.append(e.DefinitionChanged(at=now, changes=tuple(changes)))
        facts.append(planned.planned(now))
        facts.extend(_nothing_left(state, planned, now))
    for name in touched:
        record = state.commands[name]
        if record.state in DONE:
            key = planned.commands[name].get("result_key", "")
            facts.append(e.CommandAccepted(at=now, command=name, key=key, reads=record.reads, writes=record.writes))
    return facts


def _nothing_left(state: RunState, planned: Outline, now: float) -> Iterator[e.CommandSucceeded]:
    """Yield the success of what has returned and about which nothing is to be done by today's plan."""
    for name in state.running():
        record, item = state.commands[name], planned.commands.get(name)
        if item is None or not record.returned:
            continue
        shared = record.shared or {}
        left = by_function(shared, planned.merge) or (shared and planned.steps.get("shared"))
        if not item.get("steps") and not left:
            yield e.CommandSucceeded(at=now, command=name, attempt=record.attempt)


def _run_again(
    state: RunState, again: Collection[str], facts: Sequence[e.Event], now: float
) -> Iterator[e.CommandReopened]:
    """Yield the reopening of what is to run again, unless these facts do that already."""
    opened = {event.command for event in facts if isinstance(event, e.CommandReopened)}
    crashed = {event.command for event in facts if isinstance(event, e.CommandCrashed)}
    for name, record in state.commands.items():
        if name in again and name not in opened and (record.state in FINAL or name in crashed):
            yield e.CommandReopened(at=now, command=name, reason="it was asked to run again")


def _changes(
    state: RunState, outline: Outline, *, accept_changes: bool, again: Collection[str]
) -> tuple[list[str], list[str]]:
    """Return in words what differs from the run's plan, and which commands have succeeded and changed since.

    Raises RunRefused where there are such, unless `accept_changes`; what runs `again` does not count.
    """
    changes, touched = [], []
    planned = outline.commands
    for name, item in planned.items():
        before = state.planned.get(name)
        if before is None:
            changes.append(f'"{name}" is new')
        elif before.fingerprint != item.get("fingerprint", ""):
            changes.append(f'"{name}" has changed')
            if state.commands[name].state in DONE and name not in again:
                touched.append(name)
        elif (
            before.result_key
            and before.result_key != item.get("result_key", "")
            and (name in again or is_left(name, state))
        ):
            changes.append(f'what "{name}" uses has changed')
        elif list(before.upstream) != item["upstream"]:
            changes.append(f'"{name}" follows {listed(item["upstream"], MANY) or "nothing"} now')
        elif _held(before) != _held(planned_command(item)) or before.priority != item.get("priority", 0):
            changes.append(f'"{name}" has other resources or another priority now')
        elif _route(before) != _route(planned_command(item)):
            changes.append(f'"{name}" has another trigger rule or condition now')
        elif _treatment(before) != _treatment(planned_command(item)):
            changes.append(f'"{name}" is treated otherwise when it fails now')
        elif list(before.steps) != list(item.get("steps", ())):
            changes.append(f'"{name}" has other gates or checkpoints now')
    changes.extend(f'"{name}" is gone' for name in state.planned if name not in planned)
    if touched and not accept_changes:
        names = ", ".join(f'"{name}"' for name in touched)
        msg = (
            f"{names} succeeded in this run and changed since; to keep what was made before, resume with "
            f"--accept-changes (accept_changes=True), to run it again with everything after it, with "
            f'--from {touched[0]} (start_from="{touched[0]}")'
        )
        raise RunRefused(msg)
    return changes, touched


def is_left(name: str, state: RunState) -> bool:
    """Whether a command has not come to a result."""
    return name not in state.commands or state.commands[name].state not in DONE


def _held(planned: PlannedCommand) -> tuple[object, ...]:
    """Return what a command holds while it runs."""
    return planned.needs, planned.retry_needs


def _route(planned: PlannedCommand) -> tuple[object, ...]:
    """Return what says whether a command runs."""
    return planned.upstream, planned.trigger_rule, planned.when


def _treatment(planned: PlannedCommand) -> tuple[object, ...]:
    """Return what says what becomes of a command that fails."""
    again = planned.retries, planned.retry_delay, planned.idempotent
    instead = planned.degraded, planned.fallback, planned.alternatives, planned.standby
    return *again, planned.optional, planned.escalation, *instead


def _rerouted(state: RunState, planned: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the commands that were there before and of which something else says now whether they run."""
    known = ((name, state.planned.get(name), planned_command(item)) for name, item in planned.items())
    return {name for name, before, item in known if before is not None and _route(before) != _route(item)}
