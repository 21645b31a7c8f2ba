"""Which of the ready commands starts first: an order, searched for before the run with a bounded effort.

The upward rank is the beginning. It is improved by playing the run forwards and backwards in turn (the justification
of project scheduling, Li and Willis 1992; Valls, Ballestín and Quintanilla 2005), from the upward rank, from the order
of the plan, and from orders that are a little disturbed at random. What comes first in the best run becomes the
order. Equal input gives the equal order: the effort is counted in steps, not in time, and the draws are seeded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator_nb.plan.ranks import Net, lower_bound, upward_ranks

EFFORT = 250_000
"""Starts of commands that are played through at the most: about a second."""
SHARE = 0.005
"""Of the predicted length of the run, so much may be spent on the search."""
STEP = 4e-6
"""Seconds that one start takes in a rehearsal, roughly."""
DISTURBANCE = 0.1
"""By how much of itself a time is changed at random when an order is disturbed."""


def best_places(
    net: Net,
    seconds: Sequence[float],
    slots: int,
    *,
    priorities: Sequence[int] = (),
    search: bool = True,
) -> list[int]:
    """Return for each command its place in the order in which ready commands start.

    `priorities`, where given, come first: a higher one always starts before a lower one. Without `search` it is the
    upward rank, and in the order of the plan among equals.
    """
    lead = [-priority for priority in priorities]
    places = _placed([-rank for rank in upward_ranks(net, seconds)], lead)
    budget = _budget(seconds, slots) if search else 0
    if budget < 4 * len(seconds):
        return places
    return _Search(net, seconds, slots, lead).best(places, budget)


def places_by_height(upstream: Mapping[str, Sequence[str]]) -> list[int]:
    """Return the same as the upward rank of commands that all take equally long, at a fraction of its cost.

    A plan of very many commands mostly has no durations.
    """
    height = dict.fromkeys(upstream, 0)
    for name, before in reversed(list(upstream.items())):
        above = height[name] + 1
        for other in before:
            height[other] = max(height[other], above)
    return _placed([-value for value in height.values()])


def _budget(seconds: Sequence[float], slots: int) -> int:
    """Return how many starts may be played through: none where the run is over before the search could pay."""
    if not 2 < len(seconds) <= EFFORT // 4 or slots >= len(seconds):
        return 0
    return min(EFFORT, int(SHARE * sum(seconds) / slots / STEP))


def _placed(keys: Sequence[float], lead: Sequence[int] = ()) -> list[int]:
    """Return the place of each command when they are put in order, the lowest lead and then the lowest key first."""
    order = sorted(range(len(keys)), key=keys.__getitem__)
    if lead:
        order.sort(key=lead.__getitem__)
    places = [0] * len(keys)
    for place, command in enumerate(order):
        places[command] = place
    return places


class _Search:
    """A search for the order with the shortest run."""

    def __init__(self, net: Net, seconds: Sequence[float], slots: int, lead: Sequence[int]) -> None:
        self._net = net
        self._seconds = seconds
        self._slots = slots
        self._lead = lead
        self._bound = lower_bound(net, seconds, slots)
        self._left = 0
        self._makespan = float("inf")
        self._places: list[int] = []
        self._starts: list[float] = []

    def best(self, places: list[int], budget: int) -> list[int]:
        """Return the best order that is found from this one on, playing through at most `budget` starts."""
        self._left = budget
        self._improve(places)
        self._improve(_placed([0.0] * len(places), self._lead))
        from random import Random

        random = Random(len(places))  # noqa: S311 - no secret
        size = len(places)
        while self._left > 2 * size and not self._is_best():
            scale = DISTURBANCE * self._makespan
            keys = [start + scale * random.random() * random.random() for start in self._starts]
            self._improve(_placed(keys, self._lead))
        return self._places

    def _is_best(self) -> bool:
        return self._makespan <= self._bound * (1 + 1e-9)

    def _improve(self, places: list[int]) -> None:
        """Play the run forwards and backwards from these places on, for as long as it gets shorter."""
        from orchestrator_nb.engine.rehearsal import rehearse, rehearse_backwards

        shortest = float("inf")
        while self._left > 0 and not self._is_best():
            run = rehearse(self._net, self._seconds, places, self._slots)
            self._left -= len(places)
            if run.makespan < self._makespan:
                self._makespan, self._places, self._starts = run.makespan, places, run.starts
            if run.makespan >= shortest * (1 - 1e-9):
                return
            shortest = run.makespan
            # What ended last begins the way back; what ends last on the way back has to begin first.
            back = rehearse_backwards(self._net, self._seconds, _placed(self._latest(run.starts)), self._slots)
            self._left -= len(places)
            places = _placed(self._latest(back.starts), self._lead)

    def _latest(self, starts: Sequence[float]) -> list[float]:
        """Return keys by which the command that ends last comes first."""
        return [-(start + spent) for start, spent in zip(starts, self._seconds, strict=True)]
