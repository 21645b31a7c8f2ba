"""Where the boxes of a graph go: in columns from left to right, few crossings, long edges led around boxes.

The method of Sugiyama, Tagawa and Toda (1981): a column for each level, an invisible box wherever an edge passes a
column, the boxes of a column in the order of the mean of their neighbours, swept to and fro.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

SWEEPS = 8
"""So often the columns are put in order, and so often the boxes are pulled towards their neighbours."""


class Layout(NamedTuple):
    """`rows` gives each box its (column, row), the row a number with a fraction; `ways` gives each edge the rows at
    which it passes the columns between its ends."""

    columns: list[list[str]]
    rows: dict[str, tuple[int, float]]
    ways: dict[tuple[str, str], list[float]]


Box = str | tuple[str, str, int]
"""A command, or an edge where it passes a column: upstream, downstream, column."""


def lay_out(upstream: Mapping[str, Sequence[str]]) -> Layout:
    """Return the places of the boxes; commands are given with their upstream, each after all that it waits for."""
    level: dict[str, int] = {}
    for name, before in upstream.items():
        level[name] = 1 + max((level[other] for other in before), default=-1)
    columns: list[list[Box]] = [[] for _ in range(1 + max(level.values(), default=-1))]
    left: dict[Box, list[Box]] = {}
    right: dict[Box, list[Box]] = {}
    for name, before in upstream.items():
        columns[level[name]].append(name)
        for other in before:
            way: list[Box] = [other, *((other, name, column) for column in range(level[other] + 1, level[name])), name]
            for one, two in pairwise(way):
                right.setdefault(one, []).append(two)
                left.setdefault(two, []).append(one)
            for column, passing in enumerate(way[1:-1], start=level[other] + 1):
                columns[column].append(passing)
    row = _ordered(columns, left, right)
    row = _pulled(columns, left, right, row)
    top = min(row.values(), default=0.0)
    ways: dict[tuple[str, str], list[float]] = {}
    for name, before in upstream.items():
        for other in before:
            between = range(level[other] + 1, level[name])
            ways[other, name] = [row[other, name, column] - top for column in between]
    return Layout(
        columns=[[box for box in column if isinstance(box, str)] for column in columns],
        rows={name: (column, row[name] - top) for name, column in level.items()},
        ways=ways,
    )


def _ordered(
    columns: list[list[Box]], left: Mapping[Box, list[Box]], right: Mapping[Box, list[Box]]
) -> dict[Box, float]:
    """Put the boxes of each column in an order with few crossings; return each box's place in its column."""
    row: dict[Box, float] = {box: float(place) for column in columns for place, box in enumerate(column)}
    for sweep in range(SWEEPS):
        neighbours = left if sweep % 2 == 0 else right
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = {box: _mean([row[other] for other in neighbours.get(box, ())], row[box]) for box in column}
            column.sort(key=lambda box: (wanted[box], row[box]))
            row.update((box, float(place)) for place, box in enumerate(column))
    return row


def _pulled(
    columns: list[list[Box]], left: Mapping[Box, list[Box]], right: Mapping[Box, list[Box]], row: dict[Box, float]
) -> dict[Box, float]:
    """Pull boxes towards their neighbours, at least a row apart and in their order."""
    tallest = max(map(len, columns), default=0)
    for column in columns:
        lead = (tallest - len(column)) / 2
        row.update((box, lead + number) for number, box in enumerate(column))
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = [
                _mean([row[other] for other in (*left.get(box, ()), *right.get(box, ()))], row[box]) for box in column
            ]
            row.update(zip(column, _spread(wanted), strict=True))
    return row


def _spread(wanted: Sequence[float]) -> list[float]:
    """Return places at least 1 apart, in this order, as near to the wanted ones as can be (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []  # the sum of what a block wants for its first box, and its size
    for number, place in enumerate(wanted):
        total, size = place - number, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / size:
            before, more = blocks.pop()
            total, size = total + before, size + more
        blocks.append((total, size))
    places: list[float] = []
    for total, size in blocks:
        first = total / size + len(places)
        places.extend(first + offset for offset in range(size))
    return places


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
