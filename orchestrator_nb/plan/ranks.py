"""How urgent each command of a graph is, and how fast the whole could be done at best.

A graph is given as a `Net`: its commands numbered so that each comes after all that it waits for. Durations are in
seconds, by those numbers. Nothing here recurses, and everything but the bound is linear in commands and edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from orchestrator_nb.errors import UsageError

SAMPLED = 2_000_000
"""Above so many steps the bound looks at some of the instants only; it is a bound all the same."""


class Net(NamedTuple):
    """A graph of numbered commands: names in the order of the numbers, and who waits for whom."""

    names: tuple[str, ...]
    upstream: Sequence[Sequence[int]]
    downstream: Sequence[Sequence[int]]


def make_net(upstream: Mapping[str, Sequence[str]]) -> Net:
    """Return the net of a graph given as each command's upstream, commands in topological order.

    Raises UsageError where a command waits for one that is not there or that comes after it.
    """
    number = {name: place for place, name in enumerate(upstream)}
    before: list[Sequence[int]] = [()] * len(number)
    after: list[list[int]] = [[] for _ in number]
    for place, (name, others) in enumerate(upstream.items()):
        if others:
            before[place] = numbers = [number.get(other, place) for other in others]
            if max(numbers) >= place:
                late = next(other for other in others if number.get(other, place) >= place)
                raise UsageError(f'"{name}" waits for "{late}", which does not come before it in the order')
            for other in numbers:
                after[other].append(place)
    return Net(tuple(upstream), before, after)


def expected_seconds(names: Iterable[str], known: Mapping[str, float]) -> list[float]:
    """Return a duration for every command: the known one, else the median of the known ones, 1 where there is none."""
    if not known:
        return [1.0 for _ in names]
    from statistics import median

    usual = median(known.values())
    return [known.get(name, usual) for name in names]


def upward_ranks(net: Net, seconds: Sequence[float]) -> list[float]:
    """Return for each command the longest way from its start to the end of the run.

    The priority of HEFT (Topcuoglu, Hariri and Wu, 2002), on machines that are all alike.
    """
    ranks = list(seconds)
    for place in range(len(ranks) - 1, -1, -1):
        after = net.downstream[place]
        if after:
            ranks[place] += max([ranks[other] for other in after])
    return ranks


def earliest_starts(net: Net, seconds: Sequence[float]) -> list[float]:
    """Return for each command when it could start with slots without end, seconds from the beginning."""
    starts = [0.0] * len(seconds)
    for place, before in enumerate(net.upstream):
        if before:
            starts[place] = max([starts[other] + seconds[other] for other in before])
    return starts


def critical_path(net: Net, seconds: Sequence[float]) -> list[int]:
    """Return the commands of the longest way through the graph, from the beginning to the end."""
    if not net.names:
        return []
    ranks = upward_ranks(net, seconds)
    path = [max(range(len(ranks)), key=lambda place: (ranks[place], -place))]
    while after := net.downstream[path[-1]]:
        path.append(max(after, key=lambda place: (ranks[place], -place)))
    return path


def batches(net: Net) -> list[list[int]]:
    """Return the commands by level: those of one level wait only for levels before it."""
    level = [0] * len(net.names)
    found: list[list[int]] = []
    for place, before in enumerate(net.upstream):
        if before:
            level[place] = 1 + max([level[other] for other in before])
        if level[place] == len(found):
            found.append([])
        found[level[place]].append(place)
    return found


def lower_bound(net: Net, seconds: Sequence[float], slots: int) -> float:
    """Return a makespan that no order can beat on so many slots.

    It is the greatest of the critical path and of ``a + work / slots + b``, for any a and b and the work of all
    commands that can start no earlier than a and have at least b after them.
    """
    ranks = upward_ranks(net, seconds)
    starts = earliest_starts(net, seconds)
    best = max(ranks, default=0.0)
    by_tail = sorted(range(len(ranks)), key=lambda place: seconds[place] - ranks[place])
    instants = sorted(set(starts))
    stride = 1 + len(instants) * len(ranks) // SAMPLED
    for instant in instants[::stride]:
        work = 0.0
        kept = []
        for place in by_tail:
            if starts[place] >= instant:
                kept.append(place)
                work += seconds[place]
                best = max(best, instant + work / slots + ranks[place] - seconds[place])
        by_tail = kept
    return best
