"""A run played through with numbers only: what the scheduler would do, fast enough to try hundreds of orders."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from orchestrator_nb.plan.ranks import Net


class Rehearsal(NamedTuple):
    """How a run would go: its length, and when each command would start, in seconds from the beginning."""

    makespan: float
    starts: list[float]


def rehearse(net: Net, seconds: Sequence[float], places: Sequence[int], slots: int) -> Rehearsal:
    """Play a run through in which the ready command of the lowest place starts first; every place is there once.

    It decides as the scheduler does when no command needs more than a slot: whoever ends first is looked at first, and
    of several that end at once the one that was started first.
    """
    return _play(net.upstream, net.downstream, seconds, places, slots)


def rehearse_backwards(net: Net, seconds: Sequence[float], places: Sequence[int], slots: int) -> Rehearsal:
    """Play the run through from its end: each command after all that wait for it; times count from the end."""
    return _play(net.downstream, net.upstream, seconds, places, slots)


def _play(
    upstream: Sequence[Sequence[int]],
    downstream: Sequence[Sequence[int]],
    seconds: Sequence[float],
    places: Sequence[int],
    slots: int,
) -> Rehearsal:
    missing = [len(before) for before in upstream]
    command_at = [0] * len(places)
    for command, place in enumerate(places):
        command_at[place] = command
    starts = [0.0] * len(places)
    ready = [places[command] for command, count in enumerate(missing) if not count]
    heapify(ready)
    running: list[tuple[float, int, int]] = []
    now, free, begun = 0.0, slots, 0
    while True:
        while free and ready:
            command = command_at[heappop(ready)]
            starts[command] = now
            heappush(running, (now + seconds[command], begun, command))
            begun += 1
            free -= 1
        if not running:
            return Rehearsal(now, starts)
        now, _, command = heappop(running)
        free += 1
        for after in downstream[command]:
            missing[after] -= 1
            if not missing[after]:
                heappush(ready, places[after])
