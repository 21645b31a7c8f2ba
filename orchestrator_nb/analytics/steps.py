"""Lasting steps in a series of durations: where they are, how large, and how probable by chance alone."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from orchestrator_nb.errors import UsageError

LEAST = 5
"""Values on each side of a step."""

MOST = 1_000
"""Values that are looked at, the latest."""


class Step(NamedTuple):
    """A step: `place` is that of the first value after it, `before` and `after` are the medians on both sides, of so many
    values (`earlier`, `later`), and `p` is how probable it is by chance at any of the places there are."""

    place: int
    before: float
    after: float
    earlier: int
    later: int
    p: float

    @property
    def ratio(self) -> float:
        """How many times as long it takes since."""
        return self.after / self.before


def lasting_steps(seconds: Any) -> list[Step]:
    """Return the steps of a tenth at least in durations, which are an array of numpy in the order of time.

    Where slow runs follow slow ones for a while, every while looks like a change. So what each duration owes to the one
    before it is taken off first, and the segments are those of the rest (Chakar, Lebarbier, Lévy-Leduc and Robin, "A
    robust approach for estimating change-points in the mean of an AR(1) process", Bernoulli 23, 2017); they are found
    exactly, by pruned dynamic programming (Killick, Fearnhead and Eckley, PELT, JASA 107, 2012). Of durations that are
    not above nought there are none. Raises UsageError where ruptures or scipy is not installed.
    """
    try:
        import numpy as np
        import ruptures
        from scipy.stats import mannwhitneyu
    except ImportError as error:
        raise UsageError('patterns need ruptures and scipy: pip install "orchestrator-nb[analytics]"') from error
    first = max(0, len(seconds) - MOST)
    seconds = np.asarray(seconds, dtype=float)[first:]
    if len(seconds) < 2 * LEAST or not (seconds > 0).all():
        return []
    logs = np.log(seconds)
    owed = _owed_to_the_one_before(logs)
    rest = logs[1:] - owed * logs[:-1]
    noise = float(np.median(np.abs(np.diff(rest)))) / 0.954 or 1e-3
    # A step has to be worth more than what the noise alone would give among so many places.
    segments = ruptures.KernelCPD(kernel="linear", min_size=LEAST).fit((rest / noise).reshape(-1, 1))
    places = [place + 1 for place in segments.predict(pen=4 * math.log(len(logs)))]
    found = []
    for before, place, after in zip([0, *places], places, places[1:], strict=False):
        earlier, later = seconds[before:place], seconds[place:after]
        middles = float(np.median(earlier)), float(np.median(later))
        if 0.9 < middles[1] / middles[0] < 1.1:
            continue
        # Of all places this was the best, so that its probability is that of one among so many.
        alone = float(mannwhitneyu(earlier, later).pvalue)
        p = min(1.0, _of_dependent(alone, [logs[before:place], logs[place:after]]) * len(logs))
        found.append(Step(first + int(place), *middles, len(earlier), len(later), p))
    return found


def _owed_to_the_one_before(logs: Any) -> float:
    """Return which share of a deviation is found again in the next value (from 0 to 0.95), whatever steps there are.

    It is worked out of medians of differences, which a step hardly changes (Chakar et al., 2017), and counts as far as it is
    beyond what independent values would give by chance: two standard errors are taken off.
    """
    import numpy as np

    near, far = (float(np.median(np.abs(logs[lag:] - logs[:-lag]))) for lag in (1, 2))
    share = (far / near) ** 2 - 1 if near else 0.0
    return min(0.95, max(0.0, share - 2 / math.sqrt(len(logs))))


def _of_dependent(p: float, parts: list[Any]) -> float:
    """Return a probability that was worked out for independent values as it is for such as follow on each other.

    A slow run is often followed by another slow one, for no lasting reason: so many values count for fewer. How few, the
    correlation of neighbours within each part tells, which is estimated too low of few values and therefore raised.
    """
    from scipy.stats import norm

    rests = [part - part.mean() for part in parts]
    count = sum(len(rest) for rest in rests)
    spread = sum(float((rest**2).sum()) for rest in rests)
    if not spread:
        return p
    near = sum(float((rest[1:] * rest[:-1]).sum()) for rest in rests) / spread
    near = min(0.95, max(0.0, near + 2 * (1 + 3 * max(near, 0.0)) / count))
    z = float(norm.isf(p / 2)) if p > 1e-300 else 37.0
    return float(2 * norm.sf(z * math.sqrt((1 - near) / (1 + near))))
