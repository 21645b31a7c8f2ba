"""What the durations measured in a run say about those that were expected, and the order that follows from it.

A plan's order is made for the expected durations. While they hold, it stands. Where they turn out to be wrong, an
expected duration is worth only as much as expectations were found to be: it is drawn towards what similar commands
take (empirical Bayes, on logarithms), and the ready commands start by the upward rank of these better estimates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log

from orchestrator_nb.plan.ranks import Net, batches, expected_seconds, make_net, upward_ranks
from orchestrator_nb.state.records import PlannedCommand
from orchestrator_nb.state.run_state import RunState

FLOOR = 0.01
"""Seconds below which durations are not told apart: starting and recording take their time too."""
TRUSTED = 0.1
"""The mean deviation, as a logarithm, up to which expectations are taken to hold: a tenth of a duration."""
ALIKE = 3
"""So many commands make a group of similar ones."""


class Estimates:
    """The expected durations of a run and what became of them. Equal facts in equal order give equal answers."""

    def __init__(self, planned: Mapping[str, PlannedCommand], order: Sequence[str]) -> None:
        self._planned = planned
        self._order = order
        self._known = {name: item.seconds for name, item in planned.items() if item.seconds is not None}
        self._measured: dict[str, float] = {}
        self._squares = 0.0
        self._looks_at = self._first = max(4, len(order) // 100)
        self._net: Net | None = None
        self._groups: list[list[int]] = []

    def begin(self, state: RunState) -> dict[str, int] | None:
        """Begin with what has been measured up to this state; return the new ranks if there are reasons for them."""
        self._measured, self._squares, self._looks_at = {}, 0.0, self._first
        ranks = None
        for command in self._order:
            record = state.commands[command]
            if record.returned and self.returned(command, record.seconds):
                ranks = self.ranks()
        return ranks

    def returned(self, command: str, seconds: float) -> bool:
        """Take in how long a command took; say whether it is time to look at the ranks again."""
        expected = self._known.get(command)
        if expected is not None:
            self._measured[command] = seconds
            self._squares += log(max(seconds, FLOOR) / max(expected, FLOOR)) ** 2
        if len(self._measured) < self._looks_at:
            return False
        self._looks_at = 2 * len(self._measured)
        return True

    def ranks(self) -> dict[str, int] | None:
        """Return the rank of each command, the lowest first to start; None while the expectations hold."""
        spread = self._squares / len(self._measured)
        if spread <= TRUSTED**2:
            return None
        net = self._net or self._prepare()
        urgency = upward_ranks(net, self._estimates(spread))
        planned = self._planned
        keys = [(-planned[name].priority, -urgency[place], place) for place, name in enumerate(net.names)]
        return {net.names[place]: rank for rank, (_, _, place) in enumerate(sorted(keys))}

    def _prepare(self) -> Net:
        self._net = net = make_net({name: self._planned[name].upstream for name in self._order})
        self._groups = _similar(net, [self._planned[name].program for name in self._order])
        return net

    def _estimates(self, spread: float) -> list[float]:
        """Return a better duration for each command; `spread` is the mean square of the deviations so far."""
        measured = [self._measured.get(name) for name in self._order]
        expected = [log(max(seconds, FLOOR)) for seconds in expected_seconds(self._order, self._known)]
        found = list(expected)
        for group in self._groups:
            usual = _mean([expected[place] for place in group])
            own = max(0.0, _variance([expected[place] for place in group]) - spread)
            done = [log(max(seconds, FLOOR)) for place in group if (seconds := measured[place]) is not None]
            # Not their mean: the short ones are done first, so that it would be too low for those that are left.
            if len(done) >= 2 * ALIKE:
                own = _variance(done)
            for place in group:
                found[place] = usual + own / (own + spread) * (expected[place] - usual)
        return [exp(seconds) for seconds in found]


def _similar(net: Net, programs: Sequence[str]) -> list[list[int]]:
    """Return groups of commands that run the same program, else of those that have the same place in the graph."""
    by_program: dict[str, list[int]] = {}
    for place, program in enumerate(programs):
        if program:
            by_program.setdefault(program, []).append(place)
    groups = [group for group in by_program.values() if len(group) >= ALIKE]
    left = set(range(len(programs))).difference(*groups)
    level = [0] * len(programs)
    for number, batch in enumerate(batches(net)):
        for place in batch:
            level[place] = number
    height = upward_ranks(net, [1.0] * len(programs))
    by_place: dict[tuple[int, float], list[int]] = {}
    for place in sorted(left):
        by_place.setdefault((level[place], height[place]), []).append(place)
    return groups + [group for group in by_place.values() if len(group) >= ALIKE]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return sum((value - mean) ** 2 for value in values) / len(values)
