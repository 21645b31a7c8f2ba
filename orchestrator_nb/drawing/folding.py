"""Many commands alike drawn as one: the cells of a matrix, and siblings between the same neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

MOST_ALIKE = 8
"""More commands alike than these are folded into one box."""
TIMES = "\N{MULTIPLICATION SIGN}"


class Folded(NamedTuple):
    """`upstream` is the smaller graph, `members` the commands of each of its boxes that stands for several."""

    upstream: dict[str, list[str]]
    members: dict[str, list[str]]


def fold_graph(
    upstream: Mapping[str, Sequence[str]], matrices: Mapping[str, str] | None = None, *, most: int = MOST_ALIKE
) -> Folded:
    """Return the graph with more than `most` commands alike as one box: cells of one matrix, as `matrices` names it
    for them, and then commands that come after the same and before the same.

    `upstream` gives the commands in an order in which they can run; the smaller graph has such an order, too. What
    would close a cycle is not folded.
    """
    own = {name: matrix for name, matrix in (matrices or {}).items() if matrix}
    groups = _sizeable(own, most)
    home = {name: f"{group} {TIMES}{len(names)}" for group, names in groups.items() for name in names}
    graph = _ordered(_merged(upstream, home))
    if graph is None:  # the cells of two matrices wait for each other's
        home, graph = {}, {name: list(before) for name, before in upstream.items()}
    after: dict[str, list[str]] = {}
    for name, before in graph.items():
        for other in before:
            after.setdefault(other, []).append(name)
    kinds = {name: repr((sorted(before), sorted(after.get(name, ())))) for name, before in graph.items()}
    boxes = {name: home.get(name, name) for name in upstream}
    for names in _sizeable(kinds, most).values():
        label = f"{_common(names)} {TIMES}{len(names)}"
        if label in graph or label in boxes.values():
            label = f"{names[0]} … {names[-1]} {TIMES}{len(names)}"
        alike = set(names)
        boxes.update({name: label for name, box in boxes.items() if box in alike})
    folded = _ordered(_merged(upstream, boxes)) or graph
    members: dict[str, list[str]] = {}
    for name, box in boxes.items():
        if box != name:
            members.setdefault(box, []).append(name)
    return Folded(folded, members)


def _sizeable(kinds: Mapping[str, str], most: int) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        groups.setdefault(kind, []).append(name)
    return {kind: names for kind, names in groups.items() if len(names) > most}


def _common(names: Sequence[str]) -> str:
    """Return what the names begin with, without loose ends; the first name where that is nothing."""
    first, last = min(names), max(names)
    length = next(
        (place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first)
    )
    return first[:length].rstrip("-_. 0123456789(") or names[0]


def _merged(upstream: Mapping[str, Sequence[str]], home: Mapping[str, str]) -> dict[str, list[str]]:
    merged: dict[str, dict[str, None]] = {}
    for name, before in upstream.items():
        box = home.get(name, name)
        entry = merged.setdefault(box, {})
        entry.update((other, None) for other in (home.get(one, one) for one in before) if other != box)
    return {name: list(before) for name, before in merged.items()}


def _ordered(graph: Mapping[str, Sequence[str]]) -> dict[str, list[str]] | None:
    """Return the graph in an order in which it can run; None where it has a cycle."""
    waits = {name: len(before) for name, before in graph.items()}
    after: dict[str, list[str]] = {}
    for name, before in graph.items():
        for other in before:
            after.setdefault(other, []).append(name)
    ready = [name for name, number in waits.items() if not number]
    for name in ready:
        for other in after.get(name, ()):
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return {name: list(graph[name]) for name in ready} if len(ready) == len(graph) else None
