"""How long a run will still take, by what its commands were expected to take and by what they took."""

from __future__ import annotations

from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE, FINAL

LATE = 0.1
"""A command that takes longer than expected is taken to need another tenth of what it took."""


def expected_seconds(state: RunState) -> dict[str, float]:
    """Return what each command is expected to take: what the plan expects, else what other cells of its matrix took,
    else the median of all durations that are known. Empty where nothing is known."""
    took = {name: record.seconds for name, record in state.commands.items() if record.state in DONE and record.seconds}
    known = {name: item.seconds for name, item in state.planned.items() if item.seconds is not None}
    if not took and not known:
        return {}
    from statistics import median

    usual = median([*took.values(), *known.values()])
    alike: dict[str, list[float]] = {}
    for name, seconds in took.items():
        if state.planned[name].matrix:
            alike.setdefault(state.planned[name].matrix, []).append(seconds)
    of_matrix = {matrix: median(times) for matrix, times in alike.items()}
    return {
        name: of_matrix.get(item.matrix, usual) if item.seconds is None else item.seconds
        for name, item in state.planned.items()
    }


def remaining_seconds(state: RunState, *, now: float) -> float | None:
    """Return the seconds until the end as they are expected at the time `now`, None where nothing is known.

    It is the longer of two: all work that is left, divided by the slots, and the longest way through what is left.
    """
    expected = expected_seconds(state)
    if not expected:
        return None
    way: dict[str, float] = {}
    work = longest = 0.0
    for name, planned in state.planned.items():  # in an order in which they can run
        record = state.commands[name]
        before = max([way.get(other, 0.0) for other in planned.upstream], default=0.0)
        left = 0.0
        if record.state not in FINAL:
            left = expected[name]
        if record.state == "running" and record.started is not None:
            gone = max(0.0, now - record.started)
            left = max(left - gone, LATE * gone)
        way[name] = before + left
        work += left
        longest = max(longest, way[name])
    return max(work / max(1, state.run.slots), longest)
