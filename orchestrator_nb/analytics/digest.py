"""What the attempts of many runs come to: few rows, whatever their number, from which figures and patterns are made.

Of a million attempts nothing is left out but single durations: sums are by command and by group of runs, where a group
is one run or, of many runs, those of one workflow with the same tags that began on one day, or in one week.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from orchestrator_nb.analytics.ledger import Ledger, Rows

MOST_COMMANDS = 18
"""Commands that are told apart in a figure, those that take most time; all others are one."""

MOST_ROWS = 6_000
"""Rows of sums, and of single durations."""

OTHERS = "all other commands"

TROUBLE_COLUMNS = (
    "run", "workflow", "command", "attempt", "generation", "outcome", "seconds", "failure_type", "failure_message",
)  # fmt: skip
"""What patterns need of attempts, one by one."""

_GOOD, _LOST, _FAILED, _ENDED_BADLY = (
    ("returned", "reused"),
    ("failed", "crashed", "abandoned", "interrupted"),
    ("failed", "crashed"),
    ("failed", "crashed", "abandoned"),
)
_PERIODS = ((1, "day"), (7, "week"), (28, "four weeks"), (364, "year"))


class Series(NamedTuple):
    """How long a command took in one run after the other: `started` (microseconds since the epoch) and `seconds` are arrays
    of numpy, of the last attempt that returned in each run."""

    command: str
    started: Any
    seconds: Any


class Digest:
    """What the attempts of runs come to; each part is worked out when it is asked for."""

    def __init__(self, attempts: Ledger, runs: pd.DataFrame, tags: Mapping[str, Sequence[str]] | None = None) -> None:
        """`runs` has ``run``, ``workflow`` and ``started`` of each, `tags` are those of each run that has any."""
        self._rows = _Attempts(attempts, list(runs["run"].astype(str)))
        self._runs, self._tags = runs, tags or {}

    @property
    def by(self) -> str:
        """What a group of runs is: run, day, week …"""
        return self._groups[1]

    @cached_property
    def spent(self) -> pd.DataFrame:
        """For each group of runs and command the seconds that it `ran`, its `kernel` was started, it `waited`, and that came
        to nothing (`lost`); `run` is one of the group. The commands that take most time are told apart."""
        rows = self._rows
        leading = np.argsort(-rows.by_command(rows.took + rows.waited), kind="stable")[:MOST_COMMANDS]
        return _spent(rows, self._groups[0], leading)

    @property
    def returned(self) -> pd.DataFrame:
        """The latest attempts that returned, with their `seconds`, of the commands that take most time."""
        return self._returned[0]

    @property
    def many(self) -> int:
        """How many attempts these commands have that returned, in all."""
        return self._returned[1]

    @cached_property
    def commands(self) -> int:
        """How many commands returned."""
        return int(np.count_nonzero(self._rows.by_command(self._rows.returned())))

    @cached_property
    def failed(self) -> pd.DataFrame:
        """How often (`count`) each command failed with each `cause`, by groups of runs, of each of which `run` is one."""
        return _failed(self._rows, self._groups[0])

    @cached_property
    def trouble(self) -> pd.DataFrame:
        """The attempts, one by one, of commands in those runs in which one of their attempts failed."""
        return _trouble(self._rows)

    @cached_property
    def tried(self) -> dict[tuple[str, str], int]:
        """In how many runs each command of each workflow was tried."""
        return _tried(self._rows)

    @cached_property
    def waste(self) -> dict[str, float]:
        """Seconds of each run that came to nothing, where there are any."""
        return _waste(self._rows)

    def series(self, workflow: str) -> list[Series]:
        """Return how long the commands of a workflow took over time, of those `MOST_COMMANDS` that take most of it."""
        rows = self._rows
        if workflow not in rows.flows:
            return []
        of = np.flatnonzero(rows.flow == rows.flows.index(workflow))
        good, began = rows.returned() & rows.ended, rows.numbers("started")
        spans = [slice(first, first + size) for first, size in zip(rows.starts[of], rows.lengths[of], strict=True)]
        spent = np.array([rows.took[span][good[span]].sum() for span in spans])
        found = []
        for place in np.argsort(-spent, kind="stable")[:MOST_COMMANDS].tolist():
            there = spans[place].start + np.flatnonzero(good[spans[place]])
            _, back = np.unique(rows.run[there][::-1], return_index=True)
            last = there[np.sort(len(there) - 1 - back)]
            command = rows.commands[rows.command[of[place]]]
            found.append(Series(command, began[last], rows.took[last]))
        return found

    @cached_property
    def _groups(self) -> tuple[Any, str]:
        return _groups(self._runs, self._tags, len(self._rows.commands))

    @cached_property
    def _returned(self) -> tuple[pd.DataFrame, int]:
        return _returned(self._rows)


class _Attempts(Rows):
    """The attempts of some runs: `took` and `waited` are seconds, 0 for what has not ended, `ended` says what has, `good`
    what came to something, and `rest` are the places of all others."""

    def __init__(self, of: Ledger, runs: Sequence[str]) -> None:
        super().__init__(of, runs)
        self._outcome, self._outcomes = self.codes("outcome")
        self.took, self.waited = self.numbers("seconds"), self.numbers("waited")
        self.ended = ~np.isnan(self.took)
        if not self.ended.all():
            self.took, self.waited = np.where(self.ended, self.took, 0.0), np.where(self.ended, self.waited, 0.0)
        self.good = self._which(_GOOD)[self._outcome] & self.ended
        self.rest = np.flatnonzero(~self.good)

    def rest_of(self, *outcomes: str) -> Any:
        """Return the places of the rows, of the rest, that came to one of these ends."""
        return self.rest[self._which(outcomes)[self._outcome[self.rest]]]

    def returned(self) -> Any:
        """Return which rows returned, those whose end nobody saw included."""
        return self._which(("returned",))[self._outcome]

    def _which(self, outcomes: Collection[str]) -> Any:
        return np.array([name in outcomes for name in self._outcomes], dtype=bool)


def _groups(runs: pd.DataFrame, tags: Mapping[str, Sequence[str]], commands: int) -> tuple[Any, str]:
    """Return for each run the place of the first run of its group, and what a group is."""
    names, most = list(runs["run"].astype(str)), MOST_ROWS // (min(commands, MOST_COMMANDS) + 1)
    alone = np.arange(len(names))
    if len(names) <= most:
        return alone, "run"
    zone = datetime.now().astimezone().tzinfo
    began = runs["started"].dt.tz_convert(zone).dt.tz_localize(None)
    days = (began - pd.Timestamp(0)).dt.days.fillna(-1).astype(int).to_numpy()
    alike = [(str(flow), tuple(tags.get(name, ()))) for flow, name in zip(runs["workflow"], names, strict=True)]
    found: list[int] = []
    said = ""
    for period, said in _PERIODS:  # noqa: B007 - what the last one is called is what is returned
        first: dict[Any, int] = {}
        keys = zip(alike, days // period, strict=True)
        found = [first.setdefault(key, place) for place, key in enumerate(keys)]
        if len(first) <= most:
            break
    return np.array(found), said


def _spent(rows: _Attempts, groups: Any, leading: Any) -> pd.DataFrame:
    rank = np.full(len(rows.commands), len(leading))
    rank[leading] = np.arange(len(leading))
    width = len(leading) + 1
    key = rows.of_rows(rank[rows.command])
    key += (groups * width)[rows.run]
    size = len(rows.runs) * width
    kernel = np.minimum(rows.numbers("kernel_seconds"), rows.took)
    ran = rows.took - kernel
    kernel[rows.rest] = ran[rows.rest] = 0.0
    sums = {
        "ran": np.bincount(key, weights=ran, minlength=size),
        "kernel": np.bincount(key, weights=kernel, minlength=size),
        "waited": np.bincount(key, weights=rows.waited, minlength=size),
        "lost": np.bincount(key[rows.rest], weights=rows.took[rows.rest], minlength=size),
    }
    there = np.flatnonzero(np.bincount(key if rows.ended.all() else key[rows.ended], minlength=size))
    names = np.array([*(rows.commands[place] for place in leading), OTHERS], dtype=object)
    return pd.DataFrame(
        {
            "run": np.array(rows.runs, dtype=object)[there // width],
            "command": names[there % width],
            **{kind: values[there] for kind, values in sums.items()},
        }
    )


def _returned(rows: _Attempts) -> tuple[pd.DataFrame, int]:
    good = rows.returned() & rows.ended
    total = rows.by_command(rows.took * good)
    leading = [place for place in np.argsort(-total, kind="stable")[:MOST_COMMANDS].tolist() if total[place] > 0]
    began = rows.numbers("started")
    many, found = 0, [np.zeros(0, dtype=np.int64)]
    for command in leading:
        stretches = np.flatnonzero(rows.command == command)
        spans = zip(rows.starts[stretches], rows.lengths[stretches], strict=True)
        there = np.concatenate([first + np.flatnonzero(good[first : first + length]) for first, length in spans])
        many += len(there)
        if len(stretches) > 1:
            there = there[np.argsort(began[there], kind="stable")]
        found.append(there[-(MOST_ROWS // MOST_COMMANDS) :])
    return rows.frame(np.concatenate(found), ("run", "command", "started", "seconds")), many


def _failed(rows: _Attempts, groups: Any) -> pd.DataFrame:
    there = rows.rest_of(*_ENDED_BADLY)
    (kind, kinds), (type_, types) = rows.codes("failure_kind"), rows.codes("failure_type")
    pairs, of = np.unique((kind[there] + 1) * np.int64(len(types) + 1) + type_[there] + 1, return_inverse=True)
    said = [(["", *kinds][pair // (len(types) + 1)], ["", *types][pair % (len(types) + 1)]) for pair in pairs.tolist()]
    causes = [(type_ or kind or "unknown").rpartition(".")[2] for kind, type_ in said]
    command = rows.of_rows(rows.command)[there]
    counts = np.bincount(command, minlength=len(rows.commands))
    rank = np.full(len(rows.commands), MOST_COMMANDS)
    most = np.argsort(-counts, kind="stable")[:MOST_COMMANDS]
    rank[most] = np.arange(len(most))
    width, height = MOST_COMMANDS + 1, max(len(causes), 1)
    keys, times = np.unique((groups[rows.run[there]] * width + rank[command]) * height + of, return_counts=True)
    names = [*(rows.commands[place] for place in most), *[OTHERS] * (width - len(most))]
    each = pd.DataFrame(
        {
            "run": [rows.runs[key // (width * height)] for key in keys.tolist()],
            "command": [names[key // height % width] for key in keys.tolist()],
            "cause": [causes[key % height] for key in keys.tolist()],
            "count": times,
        }
    )
    return each.groupby(["run", "command", "cause"], sort=False)["count"].sum().reset_index()


def _trouble(rows: _Attempts) -> pd.DataFrame:
    bad = rows.rest_of(*_FAILED)
    attempt, generation = rows.numbers("attempt"), rows.numbers("generation")
    # Nearly all rows are a first attempt that returned, and stand for themselves where there was one generation.
    some = np.flatnonzero(~rows.good | (attempt > 1) | (generation > 1))
    pairs, width = rows.stretch_of(some) * np.int64(len(rows.runs)) + rows.run[some], len(rows.runs)
    troubled = np.unique(rows.stretch_of(bad) * np.int64(width) + rows.run[bad])
    near = np.isin(pairs, troubled)
    some, pairs = some[near], pairs[near]
    whole = np.zeros(len(troubled), dtype=bool)
    place = np.searchsorted(troubled, pairs)
    whole[place[(attempt[some] == 1) & (generation[some] == 1)]] = True
    whole[place[generation[some] > 1]] = False
    rest = _all_of(rows, troubled[~whole])
    found = np.concatenate([some[whole[place]], rest])
    return rows.frame(np.sort(found), TROUBLE_COLUMNS)


def _all_of(rows: _Attempts, pairs: Any) -> Any:
    """Return the places of all attempts of these pairs of stretch and run."""
    if not len(pairs):
        return np.zeros(0, dtype=np.int64)
    width = len(rows.runs)
    stretches = np.unique(pairs // width)
    lengths = rows.lengths[stretches]
    near = np.repeat(rows.starts[stretches] - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    return near[np.isin(np.repeat(stretches * width, lengths) + rows.run[near], pairs)]


def _tried(rows: _Attempts) -> dict[tuple[str, str], int]:
    counts = rows.by_stretch(rows.numbers("attempt") == 1)
    found = zip(rows.flow.tolist(), rows.command.tolist(), counts.tolist(), strict=True)
    return {(rows.flows[flow], rows.commands[command]): int(count) for flow, command, count in found if count}


def _waste(rows: _Attempts) -> dict[str, float]:
    there = rows.rest_of(*_LOST)
    lost = np.bincount(rows.run[there], weights=rows.took[there], minlength=len(rows.runs))
    return {rows.runs[place]: float(lost[place]) for place in np.flatnonzero(lost).tolist()}
