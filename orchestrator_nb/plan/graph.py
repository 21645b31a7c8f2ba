"""Order and cycles of a directed graph whose nodes are numbers; nothing here recurses into the depth of the graph.

A graph is given as its downstream: for each node the nodes that come after it. The numbers are the order of the
definition, and wherever there is a choice the lowest number comes first, so that equal input gives equal answers.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

Pair = tuple[int, int]
Downstream = Sequence[Collection[int]]
Adjacent = Downstream | Mapping[int, Collection[int]]

SMALL = 24
"""Up to so many nodes on common cycles, the edges to drop are searched exhaustively."""
ENOUGH = 2_000_000
"""Above so many steps the greedy search does not try to put edges back."""
PATIENCE = 1000
"""After so many steps the exhaustive search settles for what the greedy one found."""


def topological(downstream: Downstream) -> list[int]:
    """Return the nodes, each after all before it and the lowest number first among those that may come.

    Nodes on a cycle and everything downstream of one are left out, so a short answer means a cycle.
    """
    missing = [0] * len(downstream)
    for targets in downstream:
        for target in targets:
            missing[target] += 1
    ready = [node for node, count in enumerate(missing) if not count]
    order = []
    while ready:
        node = heappop(ready)
        order.append(node)
        for target in downstream[node]:
            missing[target] -= 1
            if not missing[target]:
                heappush(ready, target)
    return order


def components(downstream: Downstream) -> list[list[int]]:
    """Return the sets of nodes that lie on common cycles, each in ascending order, the lowest first."""
    left = set(range(len(downstream))).difference(topological(downstream))
    if not left:
        return []
    import networkx as nx

    graph = nx.DiGraph((node, target) for node in left for target in downstream[node] if target in left)
    found = nx.strongly_connected_components(graph)
    return sorted(sorted(nodes) for nodes in found if len(nodes) > 1 or any(node in downstream[node] for node in nodes))


def cycles(downstream: Downstream) -> list[list[int]]:
    """Return a cycle for every component: the shortest one through its lowest node, which it begins with."""
    return [shortest_cycle(downstream, nodes[0], inside=frozenset(nodes)) for nodes in components(downstream)]


def shortest_cycle(downstream: Adjacent, start: int, *, inside: Collection[int] | None = None) -> list[int]:
    """Return the nodes of the shortest cycle through `start`, `start` first, or nothing; `inside` limits the search."""
    came_from: dict[int, int] = {}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        for target in sorted(downstream[node]):
            if target == start:
                path = [node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if target not in came_from and (inside is None or target in inside):
                came_from[target] = node
                waiting.append(target)
    return []


def reaches(downstream: Adjacent, source: int, target: int, *, place: Sequence[int] | None = None) -> bool:
    """Say whether there is a path from `source` to `target`.

    `place`, each node's place in a topological order, spares the search whatever comes after the target.
    """
    seen = {source}
    waiting = [source]
    while waiting:
        node = waiting.pop()
        if target in downstream[node]:
            return True
        for following in downstream[node]:
            if following not in seen and (place is None or place[following] < place[target]):
                seen.add(following)
                waiting.append(following)
    return False


def feedback(size: int, fixed: Iterable[Pair], loose: Mapping[Pair, int]) -> list[Pair]:
    """Return the loose edges to drop so that no cycle is left: the fewest, then those of the lowest weight.

    `size` is the number of nodes; the `fixed` edges have no cycle among themselves; `loose` gives each edge that may
    be dropped its weight. The fewest where no more than `SMALL` nodes lie on common cycles and the search does not
    run out of patience, few elsewhere.
    """
    if not loose:
        return []
    kept = [pair for pair in fixed if pair not in loose]
    found = components(adjacency(size, (*kept, *loose)))
    group = {node: number for number, nodes in enumerate(found) for node in nodes}
    inner: list[list[Pair]] = [[] for _ in found]
    for source, target in kept:
        if source in group and group[source] == group.get(target):
            inner[group[source]].append((source, target))
    weights: list[dict[Pair, int]] = [{} for _ in found]
    for (source, target), weight in loose.items():
        if source in group and group[source] == group.get(target):
            weights[group[source]][source, target] = weight
    dropped: list[Pair] = []
    for nodes, inside, free in zip(found, inner, weights, strict=True):
        few = _greedy(nodes, inside, free)
        fewest = _fewest(nodes, inside, free, at_most=len(few)) if len(nodes) <= SMALL else None
        dropped.extend(few if fewest is None else fewest)
    return sorted(dropped)


def adjacency(size: int, edges: Iterable[Pair]) -> list[set[int]]:
    """Return the downstream of each of `size` nodes."""
    downstream: list[set[int]] = [set() for _ in range(size)]
    for source, target in edges:
        downstream[source].add(target)
    return downstream


def _greedy(nodes: Sequence[int], fixed: Collection[Pair], loose: Mapping[Pair, int]) -> list[Pair]:
    """Lay the nodes in a row; where none is free of edges from behind, take one with the fewest loose ones."""
    blocked = dict.fromkeys(nodes, 0)
    loosely = dict.fromkeys(nodes, 0)
    after: dict[int, list[int]] = defaultdict(list)
    before: dict[int, list[int]] = defaultdict(list)
    for source, target in fixed:
        after[source].append(target)
        blocked[target] += 1
    for source, target in loose:
        after[source].append(target)
        before[target].append(source)
        loosely[target] += 1
    waiting = [(loosely[node], node) for node in nodes if not blocked[node]]
    heapify(waiting)
    placed: set[int] = set()
    dropped: list[Pair] = []
    while waiting:
        count, node = heappop(waiting)
        if node in placed or count != loosely[node]:
            continue
        placed.add(node)
        dropped.extend((source, node) for source in before[node] if source not in placed)
        for target in after[node]:
            counts = loosely if (node, target) in loose else blocked
            counts[target] -= 1
            if target not in placed and not blocked[target]:
                heappush(waiting, (loosely[target], target))
    return _restored(nodes, fixed, loose, dropped)


def _restored(
    nodes: Iterable[int], fixed: Collection[Pair], loose: Mapping[Pair, int], dropped: Collection[Pair]
) -> list[Pair]:
    """Put back, the weightiest first, what closes no cycle after all; return what stays dropped."""
    if len(dropped) * (len(fixed) + len(loose)) > ENOUGH:
        return sorted(dropped)
    downstream: dict[int, set[int]] = {node: set() for node in nodes}
    for source, target in (*fixed, *(set(loose) - set(dropped))):
        downstream[source].add(target)
    stay = []
    for source, target in sorted(dropped, key=lambda pair: (-loose[pair], pair)):
        if reaches(downstream, target, source):
            stay.append((source, target))
        else:
            downstream[source].add(target)
    return stay


def _fewest(
    nodes: Sequence[int], fixed: Collection[Pair], loose: Mapping[Pair, int], *, at_most: int
) -> list[Pair] | None:
    """Try sets of one edge, of two, and so on; None when the patience runs out before one is found."""
    downstream: dict[int, set[int]] = {node: set() for node in nodes}
    for source, target in (*fixed, *loose):
        downstream[source].add(target)
    for size in range(1, at_most + 1):
        search = _Search(downstream, frozenset(nodes), loose)
        search.look(size, ())
        if search.best is not None:
            return list(search.best[1])
        if search.patience < 0:
            return None
    return None


class _Search:
    """A search for sets of loose edges of one size whose loss leaves no cycle; depth is the number of edges."""

    def __init__(self, downstream: dict[int, set[int]], nodes: frozenset[int], loose: Mapping[Pair, int]) -> None:
        self.best: tuple[int, tuple[Pair, ...]] | None = None
        self.patience = PATIENCE
        self._downstream = downstream
        self._nodes = nodes
        self._loose = dict(loose)

    def look(self, size: int, dropped: tuple[Pair, ...]) -> None:
        """Go on from what is dropped, with at most `size` edges more; every set is looked at once."""
        self.patience -= 1
        cycle = self._cycle()
        if not cycle:
            candidate = (sum(self._loose[pair] for pair in dropped), tuple(sorted(dropped)))
            self.best = candidate if self.best is None else min(self.best, candidate)
        if not cycle or not size or self.patience < 0:
            return
        choices = [pair for pair in zip(cycle, (*cycle[1:], cycle[0]), strict=True) if pair in self._loose]
        settled: list[tuple[Pair, int]] = []
        for source, target in choices:
            self._downstream[source].discard(target)
            self.look(size - 1, (*dropped, (source, target)))
            self._downstream[source].add(target)
            # What this branch has tried with the edge dropped, the branches after it try with the edge kept.
            settled.append(((source, target), self._loose.pop((source, target))))
        self._loose.update(settled)

    def _cycle(self) -> list[int]:
        for node in sorted(self._nodes):
            if found := shortest_cycle(self._downstream, node):
                return found
        return []
