"""Ranks, levels, the critical path and the lower bound of graphs."""

from __future__ import annotations

import time
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.engine.rehearsal import rehearse
from orchestrator_nb.errors import UsageError
from orchestrator_nb.plan.ranks import (
    Net,
    batches,
    critical_path,
    earliest_starts,
    expected_seconds,
    lower_bound,
    make_net,
    upward_ranks,
)

DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


@st.composite
def timed_graphs(draw: st.DrawFn, most: int = 12) -> tuple[Net, list[float]]:
    """Graphs of a few commands, each after some of those before it, with durations."""
    size = draw(st.integers(1, most))
    upstream = {
        f"c{number}": [f"c{earlier}" for earlier in range(number) if draw(st.integers(0, 3)) == 0]
        for number in range(size)
    }
    return make_net(upstream), draw(st.lists(st.integers(1, 9).map(float), min_size=size, max_size=size))


def paths(net: Net, seconds: list[float], place: int) -> list[float]:
    """The lengths of all ways from a command to the end."""
    after = net.downstream[place]
    return [seconds[place] + rest for other in after for rest in paths(net, seconds, other)] or [seconds[place]]


def test_the_ranks_of_a_diamond() -> None:
    """The rank is the longest way to the end, the command itself included."""
    net = make_net(DIAMOND)
    assert upward_ranks(net, [1.0, 5.0, 2.0, 1.0]) == [7.0, 6.0, 3.0, 1.0]
    assert earliest_starts(net, [1.0, 5.0, 2.0, 1.0]) == [0.0, 1.0, 1.0, 6.0]
    assert critical_path(net, [1.0, 5.0, 2.0, 1.0]) == [0, 1, 3]
    assert batches(net) == [[0], [1, 2], [3]]


def test_an_order_that_is_none_is_refused() -> None:
    """A command cannot come before what it waits for, nor wait for what is not there."""
    with pytest.raises(UsageError, match='"a" waits for "b"'):
        make_net({"a": ["b"], "b": []})
    with pytest.raises(UsageError, match='"a" waits for "x"'):
        make_net({"a": ["x"]})


def test_unknown_durations_are_the_usual_ones() -> None:
    """The median of what is known stands in; a second where nothing is known."""
    assert expected_seconds(["a", "b", "c", "d"], {"a": 1.0, "b": 5.0, "c": 6.0}) == [1.0, 5.0, 6.0, 5.0]
    assert expected_seconds(["a", "b"], {}) == [1.0, 1.0]


@given(timed_graphs(8))
def test_a_rank_is_the_longest_of_all_ways(graph: tuple[Net, list[float]]) -> None:
    """Compared with every way there is."""
    net, seconds = graph
    assert upward_ranks(net, seconds) == [max(paths(net, seconds, place)) for place in range(len(seconds))]
    path = critical_path(net, seconds)
    assert sum(seconds[place] for place in path) == max(upward_ranks(net, seconds))
    assert all(one in net.upstream[two] for one, two in pairwise(path))


@given(timed_graphs(5), st.integers(1, 3))
def test_no_order_beats_the_bound(graph: tuple[Net, list[float]], slots: int) -> None:
    """The bound is below the best of all orders, and at least the critical path and the work divided."""
    net, seconds = graph
    bound = lower_bound(net, seconds, slots)
    best = min(rehearse(net, seconds, list(places), slots).makespan for places in permutations(range(len(seconds))))
    assert max(*upward_ranks(net, seconds), sum(seconds) / slots) - 1e-9 <= bound <= best + 1e-9


@given(timed_graphs())
def test_a_batch_waits_for_earlier_ones_only(graph: tuple[Net, list[float]]) -> None:
    """Every command is in one batch, right behind the last of what it waits for."""
    net, _ = graph
    found = batches(net)
    level = {place: number for number, batch in enumerate(found) for place in batch}
    assert sorted(level) == list(range(len(net.names)))
    for place, before in enumerate(net.upstream):
        assert level[place] == 1 + max((level[other] for other in before), default=-1)


def test_a_hundred_thousand_commands_are_ranked_at_once() -> None:
    """Linear, and without recursion: a chain of that depth."""
    size = 100_000
    net = make_net({f"c{number}": [f"c{number - 1}"] if number else [] for number in range(size)})
    before = time.process_time()
    ranks = upward_ranks(net, [1.0] * size)
    assert time.process_time() - before < 1.0
    assert ranks[0] == size
