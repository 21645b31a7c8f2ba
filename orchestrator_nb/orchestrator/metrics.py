"""What a run cost: its times and those of its commands, read from the journal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.orchestrator.display.run_metrics import RunMetrics
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.timing import Span, timing


def execution_metrics(events: Iterable[e.Event], state: RunState) -> RunMetrics:
    """Return the figures of a run, seconds throughout.

    ``seconds`` for which it was driven, ``busy`` the attempts' durations added up, ``parallelism`` and ``speed_up``
    busy over seconds, ``efficiency`` the part of its slots' time in which attempts ran, ``idle`` the rest in
    slot-seconds, ``wait`` the queue waits, ``waste`` what attempts cost that came to nothing, ``coordination`` the time
    in which nothing ran and ``overhead`` the part of its time that this is, ``cpu``, ``peak_memory_bytes``,
    ``critical_path`` as it really was, ``attempts``, ``retries``, ``states`` (commands by state), and for each of
    ``commands`` its ``state``, ``attempts``, ``seconds`` (all its attempts), ``wait`` (from when it could have started
    until it did), ``kernel`` (starts of kernels), ``cpu``, ``peak_memory_bytes`` and the ``metrics`` that it recorded.
    """
    found = timing(events)
    spans: dict[str, list[Span]] = {}
    for span in found.spans:
        spans.setdefault(span.command, []).append(span)
    states: dict[str, int] = {}
    for name in state.commands:
        kind = state.command_state(name)
        states[kind] = states.get(kind, 0) + 1
    return RunMetrics({
        "run": state.run.run,
        "workflow": state.run.workflow,
        "state": state.phase,
        "started": state.run.started,
        "ended": state.run.ended,
        **found.figures(),
        "parallelism": round(found.speed_up or 0.0, 3),
        "attempts": sum(record.attempt for record in state.commands.values()),
        "retries": found.retries,
        "states": states,
        "commands": {
            name: {
                "state": state.command_state(name),
                "attempts": record.attempt,
                **_of_command(spans.get(name, [])),
                "metrics": dict(record.metrics),
            }
            for name, record in state.commands.items()
        },
    })  # fmt: skip


def _of_command(spans: list[Span]) -> dict[str, Any]:
    used = [span.used for span in spans if span.used is not None]
    cpu = [item.cpu for item in used if item.cpu is not None]
    return {
        "seconds": round(sum(span.seconds for span in spans if span.outcome != "running"), 6),
        "wait": round(sum(span.waited for span in spans), 6),
        "kernel": round(sum(span.kernel for span in spans), 6),
        "cpu": round(sum(cpu), 6) if cpu else None,
        "peak_memory_bytes": max((item.memory for item in used if item.memory is not None), default=None),
    }
