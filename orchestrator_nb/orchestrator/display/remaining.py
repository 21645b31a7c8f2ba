"""How long a run will still take, by what its commands were expected to take and by what they took."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator_nb.state.records import PlannedCommand
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE, FINAL

LATE = 0.1
"""A command that takes longer than expected is taken to need another tenth of what it took."""


def expected_seconds(state: RunState) -> dict[str, float]:
    """Return what each command is expected to take: what the plan expects, else what other cells of its matrix took,
    else the median of all durations that are known. Empty where nothing is known."""
    expected = _expectation(state)
    return {} if expected is None else {name: expected(item) for name, item in state.planned.items()}


def remaining_seconds(state: RunState, *, now: float) -> float | None:
    """Return the seconds until the end as they are expected at the time `now`, None where nothing is known.

    It is the longer of two: all work that is left, divided by the slots, and the longest way through what is left.
    """
    expected = _expectation(state)
    if expected is None:
        return None
    way: dict[str, float] = {}  # of what is left: nothing waits for what is final
    work = longest = 0.0
    records = state.commands
    for name, planned in state.planned.items():  # in an order in which they can run
        record = records[name]
        if record.state in FINAL:
            continue
        left = expected(planned)
        if record.state == "running" and record.started is not None:
            gone = max(0.0, now - record.started)
            left = max(left - gone, LATE * gone)
        work += left
        before = [way[other] for other in planned.upstream if other in way]
        way[name] = reached = left + max(before) if before else left
        longest = max(longest, reached)
    return max(work / max(1, state.run.slots), longest)


def _expectation(state: RunState) -> Callable[[PlannedCommand], float] | None:
    """Return what says of a planned command how long it will take, None where nothing is known."""
    took = {name: record.seconds for name, record in state.commands.items() if record.seconds and record.state in DONE}
    known = [item.seconds for item in state.planned.values() if item.seconds is not None]
    if not took and not known:
        return None
    from statistics import median

    usual = median([*took.values(), *known])
    alike: dict[str, list[float]] = {}
    for name, seconds in took.items():
        if state.planned[name].matrix:
            alike.setdefault(state.planned[name].matrix, []).append(seconds)
    of_matrix = {matrix: median(times) for matrix, times in alike.items()}
    return lambda item: of_matrix.get(item.matrix, usual) if item.seconds is None else item.seconds
