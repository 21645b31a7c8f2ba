"""Plain statistics: control limits, Pareto fronts, intervals, corrections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

ENOUGH = 8
"""Values that there have to be for limits to mean something."""


class Limits(NamedTuple):
    """Within which values lie that vary as they did so far."""

    centre: float
    low: float
    high: float


def control_limits(values: Sequence[float]) -> Limits | None:
    """Return the limits of an individuals chart: three standard deviations, from the median moving range, about the
    median, so that single outliers do not widen them. None for fewer than `ENOUGH` values."""
    if len(values) < ENOUGH:
        return None
    centre = median(values)
    moving = [abs(after - before) for before, after in pairwise(values)]
    spread = 3 * median(moving) / 0.954
    return Limits(centre, max(0.0, centre - spread) if min(values) >= 0 else centre - spread, centre + spread)


def pareto_front(points: Sequence[tuple[float, float]], *, higher_is_better: bool) -> list[int]:
    """Return the places of the points that no other one beats: quicker (first number lower) and no worse in the
    second. They are in order of the first number."""
    sign = -1.0 if higher_is_better else 1.0
    found: list[int] = []
    best = math.inf
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], sign * points[place][1])):
        value = sign * points[place][1]
        if value < best:
            found.append(place)
            best = value
    return found


def wilson(successes: int, trials: int, *, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share that so many successes in so many trials speak for (95 % by default)."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for having asked several questions at once (Holm)."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    found = [0.0] * len(p_values)
    worst = 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        found[place] = worst
    return found
