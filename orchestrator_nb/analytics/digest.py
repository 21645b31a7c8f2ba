"""What the attempts of many runs come to: few rows, whatever their number, from which figures and patterns are made.

Of a million attempts nothing is left out but single durations: sums are by command and by group of runs, where a group
is one run or, of many runs, those of one workflow with the same tags that began on one day, or in one week.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from orchestrator_nb.analytics.tables import in_one_piece

MOST_COMMANDS = 18
"""Commands that are told apart in a figure, those that take most time; all others are one."""

MOST_ROWS = 6_000
"""Rows of sums, and of single durations."""

OTHERS = "all other commands"

COLUMNS = (
    "run", "workflow", "command", "attempt", "outcome", "seconds", "waited", "kernel_seconds", "started", "failure_kind",
    "failure_type",
)  # fmt: skip
"""The columns of attempts that it is made of."""

TROUBLE_COLUMNS = ("generation", "failure_message")
"""Those that patterns need besides."""

_GOOD, _LOST, _FAILED, _ENDED_BADLY = (
    ("returned", "reused"),
    ("failed", "crashed", "abandoned", "interrupted"),
    ("failed", "crashed"),
    ("failed", "crashed", "abandoned"),
)
_PERIODS = ((1, "day"), (7, "week"), (28, "four weeks"), (364, "year"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What attempts come to.

    `spent` has for each group of runs and command the seconds that it `ran`, its `kernel` was started, it `waited`, and
    that came to nothing (`lost`). `returned` has the latest attempts that returned, with their `seconds`, of the
    commands that take most time; `many` is how many they have in all, and `commands` how many commands returned.
    `failed` has how often (`count`) each command failed with each `cause`. All three name a `run` of the group that a
    row is of, and `by` says what a group is: run, day, week …
    `trouble` has the attempts, one by one, of commands in those runs in which one of their attempts failed. `tried`
    says in how many runs a command of a workflow was tried, `waste` what came to nothing in a run (seconds).
    """

    spent: pd.DataFrame
    returned: pd.DataFrame
    failed: pd.DataFrame
    trouble: pd.DataFrame
    by: str = "run"
    many: int = 0
    commands: int = 0
    tried: Mapping[tuple[str, str], int] = field(default_factory=dict)
    waste: Mapping[str, float] = field(default_factory=dict)


def digest(attempts: pa.Table, runs: pd.DataFrame, tags: Mapping[str, Sequence[str]] | None = None) -> Digest:
    """Return what these attempts come to, those of other runs than `runs` left out.

    `attempts` has `COLUMNS`, and `TROUBLE_COLUMNS` where `trouble` is wanted; `runs` has ``run``, ``workflow`` and
    ``started``; `tags` are those of each run that has any.
    """
    rows = _Rows(attempts, list(runs["run"].astype(str)))
    groups, by = _groups(runs, tags or {}, len(rows.commands))
    leading = np.argsort(-rows.by_command(rows.seconds + rows.waited), kind="stable")[:MOST_COMMANDS]
    returned, many = _returned(rows)
    return Digest(
        spent=_spent(rows, groups, leading),
        returned=returned,
        failed=_failed(rows, groups),
        trouble=_trouble(rows),
        by=by,
        many=many,
        commands=int((rows.by_command(rows.of("returned").astype(float)) > 0).sum()),
        tried=_tried(rows),
        waste=_waste(rows),
    )


class _Rows:
    """Attempts as columns of numbers: a code for each name, NaN never."""

    def __init__(self, table: pa.Table, runs: Sequence[str]) -> None:
        table = in_one_piece(table)
        run = table.column("run").combine_chunks()
        places = {name: place for place, name in enumerate(runs)}
        known = np.array([places.get(name, -1) for name in run.dictionary.to_pylist()] or [-1])
        if (known < 0).any():
            table = table.filter(pa.array(known[run.indices.to_numpy()] >= 0))
            run = table.column("run").combine_chunks()
        self.table = table
        self.runs = runs
        self.run = known[run.indices.to_numpy()]
        self.command, self.commands = _codes(table, "command")
        self.ended = table.column("seconds").is_valid().to_numpy()
        self.seconds = _numbers(table, "seconds")
        self.waited = np.where(self.ended, _numbers(table, "waited"), 0.0)
        self.outcome, self.outcomes = _codes(table, "outcome")

    def of(self, *outcomes: str) -> Any:
        """Return which rows came to one of these ends."""
        return np.array([name in outcomes for name in self.outcomes], dtype=bool)[self.outcome]

    def by_command(self, values: Any) -> Any:
        """Return a sum for each command."""
        return np.bincount(self.command, weights=values, minlength=len(self.commands))

    def frame(self, places: Any, names: Sequence[str]) -> pd.DataFrame:
        """Return some columns of these rows."""
        taken = self.table.select([name for name in names if name in self.table.column_names]).take(
            pa.array(places, pa.int64())
        )
        found: pd.DataFrame = taken.to_pandas()
        return found


def _codes(table: pa.Table, name: str) -> tuple[Any, list[str]]:
    column = table.column(name).combine_chunks()
    return column.indices.to_numpy(), column.dictionary.to_pylist()


def _numbers(table: pa.Table, name: str) -> Any:
    return table.column(name).fill_null(0.0).to_numpy()


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


def _spent(rows: _Rows, groups: Any, leading: Any) -> pd.DataFrame:
    places = np.full(max(len(rows.commands), 1), len(leading))
    places[leading] = np.arange(len(leading))
    width = len(leading) + 1
    key = groups[rows.run] * width + places[rows.command] if len(rows.run) else np.zeros(0, dtype=int)
    good = rows.of(*_GOOD) & rows.ended
    kernel = np.minimum(_numbers(rows.table, "kernel_seconds"), rows.seconds)
    kinds = {
        "ran": np.where(good, rows.seconds - kernel, 0.0),
        "kernel": np.where(good, kernel, 0.0),
        "waited": rows.waited,
        "lost": np.where(good | ~rows.ended, 0.0, rows.seconds),
    }
    size = len(rows.runs) * width
    sums = {kind: np.bincount(key, weights=values, minlength=size) for kind, values in kinds.items()}
    there = np.flatnonzero(np.bincount(key, weights=rows.ended, minlength=size) > 0)
    names = [*(rows.commands[place] for place in leading), OTHERS]
    return pd.DataFrame(
        {
            "run": [rows.runs[place] for place in (there // width).tolist()],
            "command": [names[place] for place in (there % width).tolist()],
            **{kind: values[there] for kind, values in sums.items()},
        }
    )


def _returned(rows: _Rows) -> tuple[pd.DataFrame, int]:
    good = rows.of("returned") & rows.ended
    total = rows.by_command(np.where(good, rows.seconds, 0.0))
    leading = [place for place in np.argsort(-total, kind="stable")[:MOST_COMMANDS] if total[place] > 0]
    wanted = np.zeros(max(len(rows.commands), 1), dtype=bool)
    wanted[leading] = True
    there = np.flatnonzero(good & wanted[rows.command]) if len(rows.run) else np.zeros(0, dtype=int)
    found = rows.frame(there, ("run", "command", "started", "seconds"))
    found = (
        found.sort_values("started", kind="stable").groupby("command", observed=True).tail(MOST_ROWS // MOST_COMMANDS)
    )
    rank = {rows.commands[place]: number for number, place in enumerate(leading)}
    order = found["command"].astype(str).map(rank)
    return found.assign(rank=order).sort_values("rank", kind="stable").reset_index(drop=True), len(there)


def _failed(rows: _Rows, groups: Any) -> pd.DataFrame:
    there = np.flatnonzero(rows.of(*_ENDED_BADLY))
    found = rows.frame(there, ("command", "failure_kind", "failure_type"))
    kind = (
        found["failure_type"].astype(object).where(found["failure_type"].notna(), found["failure_kind"].astype(object))
    )
    cause = kind.fillna("unknown").astype(str).str.rsplit(".", n=1).str[-1]
    command = found["command"].astype(str)
    most = set(command.value_counts().index[:MOST_COMMANDS])
    run = [rows.runs[place] for place in groups[rows.run[there]].tolist()] if len(there) else []
    each = pd.DataFrame({"run": run, "command": command.where(command.isin(most), OTHERS), "cause": cause})
    return each.groupby(["run", "command", "cause"], sort=False).size().rename("count").reset_index()


def _trouble(rows: _Rows) -> pd.DataFrame:
    bad = rows.of(*_FAILED)
    if not bad.any() or not {*TROUBLE_COLUMNS} <= {*rows.table.column_names}:
        return rows.frame([], (*COLUMNS, *TROUBLE_COLUMNS))
    runs, commands = np.zeros(len(rows.runs), dtype=bool), np.zeros(len(rows.commands), dtype=bool)
    runs[rows.run[bad]] = commands[rows.command[bad]] = True
    near = np.flatnonzero(runs[rows.run] & commands[rows.command])
    pairs = rows.run.astype(np.int64) * len(rows.commands) + rows.command
    there = near[np.isin(pairs[near], np.unique(pairs[bad]))]
    return rows.frame(there, (*COLUMNS, *TROUBLE_COLUMNS))


def _tried(rows: _Rows) -> dict[tuple[str, str], int]:
    workflow, workflows = _codes(rows.table, "workflow")
    first = rows.table.column("attempt").to_numpy() == 1
    counts = np.bincount(workflow * len(rows.commands) + rows.command, weights=first)
    width = len(rows.commands)
    return {
        (workflows[place // width], rows.commands[place % width]): int(counts[place])
        for place in np.flatnonzero(counts).tolist()
    }


def _waste(rows: _Rows) -> dict[str, float]:
    lost = np.bincount(rows.run, weights=np.where(rows.of(*_LOST), rows.seconds, 0.0), minlength=len(rows.runs))
    return {rows.runs[place]: float(lost[place]) for place in np.flatnonzero(lost).tolist()}
