"""What a run cost: its times and those of its commands, read from the journal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.state import RunState


def execution_metrics(events: Iterable[e.Event], state: RunState) -> dict[str, Any]:
    """Return the figures of a run, seconds throughout.

    ``seconds`` from start to end or to the last fact, ``busy`` the attempts' durations added up, ``parallelism`` busy
    over seconds, ``attempts``, ``retries``, ``states`` (commands by state), and for each of ``commands`` its
    ``state``, ``attempts``, ``seconds`` (all its attempts), ``wait`` (from when it could have started until it did)
    and the ``metrics`` that it recorded.
    """
    begun = last = state.run.started or 0.0
    spent: dict[str, float] = {}
    ready: dict[str, float] = {}
    wait: dict[str, float] = {}
    done: dict[str, float] = {}
    retries = 0
    for event in events:
        last = max(last, event.at)
        if isinstance(event, e.AttemptStarted):
            name = event.command
            upstream = [done.get(item, begun) for item in state.planned[name].upstream if name in state.planned]
            since = ready.pop(name, max([begun, *upstream]))
            wait[name] = wait.get(name, 0.0) + max(0.0, event.at - since)
        elif isinstance(event, (e.AttemptReturned, e.AttemptFailed, e.AttemptAbandoned)):
            spent[event.command] = spent.get(event.command, 0.0) + event.seconds
        elif isinstance(
            event,
            (
                e.CommandSucceeded,
                e.CommandReused,
                e.CommandSkipped,
                e.CommandFailed,
                e.CommandCrashed,
                e.UpstreamFailed,
            ),
        ):
            done[event.command] = event.at
        elif isinstance(event, e.RetryScheduled):
            retries += 1
        elif isinstance(event, (e.RetryDue, e.AttemptInterrupted, e.CommandReopened)):
            ready[event.command] = event.at
    seconds = max(0.0, (state.run.ended or last) - begun)
    busy = sum(spent.values())
    states: dict[str, int] = {}
    for name in state.commands:
        kind = state.command_state(name)
        states[kind] = states.get(kind, 0) + 1
    return {
        "run": state.run.run,
        "workflow": state.run.workflow,
        "state": state.phase,
        "started": state.run.started,
        "ended": state.run.ended,
        "seconds": round(seconds, 6),
        "busy": round(busy, 6),
        "parallelism": round(busy / seconds, 3) if seconds else 0.0,
        "attempts": sum(record.attempt for record in state.commands.values()),
        "retries": retries,
        "states": states,
        "commands": {
            name: {
                "state": state.command_state(name),
                "attempts": record.attempt,
                "seconds": round(spent.get(name, 0.0), 6),
                "wait": round(wait.get(name, 0.0), 6),
                "metrics": dict(record.metrics),
            }
            for name, record in state.commands.items()
        },
    }
