"""Order, cycles, and the fewest edges to drop."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.plan.graph import adjacency, components, cycles, feedback, reaches, shortest_cycle, topological

MANY = 20_000


def pairs(size, *, most):
    node = st.integers(0, size - 1)
    return st.lists(st.tuples(node, node).filter(lambda pair: pair[0] != pair[1]), max_size=most, unique=True)


def acyclic(size, edges):
    return len(topological(adjacency(size, edges))) == size


def smallest_feedback(size, fixed, loose):
    """Try all sets of loose edges, the small ones first; only for little graphs."""
    for count in range(len(loose) + 1):
        for dropped in combinations(loose, count):
            if acyclic(size, {*fixed, *loose} - {*dropped}):
                return count
    raise AssertionError("the fixed edges have a cycle")


@given(pairs(12, most=40))
def test_the_order_respects_every_edge(edges):
    """Edges from lower to higher numbers have no cycle: all nodes are in order, each after all before it."""
    forward = {(min(pair), max(pair)) for pair in edges}
    order = topological(adjacency(12, forward))
    assert sorted(order) == list(range(12))
    place = {node: number for number, node in enumerate(order)}
    assert all(place[source] < place[target] for source, target in forward)


@given(pairs(8, most=20), st.permutations(range(8)))
def test_the_lowest_number_comes_first_among_those_that_may_come(edges, names):
    """Whatever the shape, each next node is the lowest of those whose upstream is done."""
    edges = {(names[min(pair)], names[max(pair)]) for pair in edges}
    done: list[int] = []
    for node in topological(adjacency(8, edges)):
        ready = [
            other
            for other in range(8)
            if other not in done and all(source in done for source, target in edges if target == other)
        ]
        assert node == min(ready)
        done.append(node)
    assert len(done) == 8


@given(pairs(9, most=30))
def test_cycles_are_cycles_and_there_is_one_for_each_component(edges):
    """Every node of a named cycle leads to the next, the last to the first, and no two cycles share a component."""
    downstream = adjacency(9, edges)
    found = cycles(downstream)
    assert bool(found) == (not acyclic(9, edges))
    assert len(found) == len(components(downstream))
    for cycle in found:
        assert len(set(cycle)) == len(cycle)
        assert all(pair in edges for pair in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    assert len({node for cycle in found for node in cycle}) == sum(map(len, found))


@given(pairs(6, most=12), pairs(6, most=7))
def test_the_fewest_loose_edges_are_dropped(fixed, loose):
    """In small graphs the answer is as small as the best of all subsets, and only loose edges are dropped."""
    fixed = {(min(pair), max(pair)) for pair in fixed}
    weights = {pair: 1 for pair in loose if pair not in fixed}
    dropped = feedback(6, fixed, weights)
    assert set(dropped) <= set(weights)
    assert acyclic(6, {*fixed, *weights} - {*dropped})
    assert len(dropped) == smallest_feedback(6, fixed, sorted(weights))


@given(pairs(60, most=200), pairs(60, most=200))
def test_large_components_are_made_acyclic_too(fixed, loose):
    """Where the search is greedy no fixed edge is dropped either, and none that could have stayed."""
    fixed = {(min(pair), max(pair)) for pair in fixed}
    weights = {pair: 1 for pair in loose if pair not in fixed}
    dropped = feedback(60, fixed, weights)
    rest = {*fixed, *weights} - {*dropped}
    assert set(dropped) <= set(weights)
    assert acyclic(60, rest)
    assert all(not acyclic(60, {*rest, pair}) for pair in dropped)
    assert feedback(60, fixed, dict(reversed(weights.items()))) == dropped


def test_of_equally_many_those_of_the_lowest_weight_are_dropped():
    """A ring of three loose edges loses the one that is missed least."""
    assert feedback(3, [], {(0, 1): 2, (1, 2): 1, (2, 0): 2}) == [(1, 2)]


def test_one_edge_that_closes_two_cycles_is_dropped_rather_than_two():
    """Two rings that share an edge are both opened by it."""
    rings = {(0, 1): 1, (1, 2): 1, (2, 0): 1, (1, 3): 1, (3, 0): 1}
    assert feedback(4, [], rings) == [(0, 1)]


@given(pairs(10, most=30), st.integers(0, 9), st.integers(0, 9))
def test_reaching_follows_the_edges(edges, source, target):
    """A node is reached exactly if an edge back from it would close a cycle; a known order changes nothing."""
    forward = {(min(pair), max(pair)) for pair in edges}
    downstream = adjacency(10, forward)
    expected = source != target and bool(shortest_cycle(adjacency(10, {*forward, (target, source)}), source))
    place = [0] * 10
    for number, node in enumerate(topological(downstream)):
        place[node] = number
    assert reaches(downstream, source, target) == expected
    assert reaches(downstream, source, target, place=place) == expected


def test_a_deep_graph_needs_no_recursion():
    """A chain and a ring of many nodes are ordered, named and opened."""
    chain = [(node, node + 1) for node in range(MANY - 1)]
    assert topological(adjacency(MANY, chain)) == list(range(MANY))
    assert reaches(adjacency(MANY, chain), 0, MANY - 1)
    ring = [*chain, (MANY - 1, 0)]
    assert cycles(adjacency(MANY, ring)) == [list(range(MANY))]
    backwards = {(target, source): 1 for source, target in ring}
    assert len(feedback(MANY, [], backwards)) == 1
