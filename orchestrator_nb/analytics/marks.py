"""What is marked beside a figure over time: thresholds of gates, runs with deviations, new code, checkpoints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from orchestrator_nb.analytics.ledger import Ledger, Rows

_COMPARED = re.compile(r"^\s*([A-Za-z_][\w.]*)\s*(<=|<|>=|>|==)\s*([-+]?[\d_]*\.?\d+(?:[eE][-+]?\d+)?)\s*$")
_MIRRORED = re.compile(r"^\s*([-+]?[\d_]*\.?\d+(?:[eE][-+]?\d+)?)\s*(<=|<|>=|>|==)\s*([A-Za-z_][\w.]*)\s*$")
_BOUNDED = re.compile(r"\b(at most|at least) ([-+]?\d+(?:\.\d+)?)")
NAMED = 3
"""Commands that a mark names."""

_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


@dataclass(frozen=True, slots=True)
class Bound:
    """What a gate asks of a number: the `name` of it where the gate says one, how it compares, and with what `level`."""

    name: str
    sign: str
    level: float


@lru_cache(maxsize=1024)
def bound_of(expected: str) -> Bound | None:
    """Return the bound that a gate's words say: ``rmse < 3.5``, ``100 <= rows``, "at most 3 findings"; None for others."""
    if found := _COMPARED.match(expected):
        return Bound(found[1], found[2], float(found[3]))
    if found := _MIRRORED.match(expected):
        return Bound(found[3], _TURNED[found[2]], float(found[1]))
    if found := _BOUNDED.search(expected):
        return Bound("", "<=" if found[1] == "at most" else ">=", float(found[2]))
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What can be marked: `checks` are those of gates, the oldest first, `deviating` the ids of the runs that completed with
    deviations, `changes` has a row (``run``, ``workflow``, ``command``, ``at``) for each run in which the code or the
    definition of commands was new, `checkpoints` those of whole runs (``run``, ``workflow``, ``at``)."""

    checks: pd.DataFrame = field(default_factory=pd.DataFrame)
    deviating: frozenset[str] = frozenset()
    changes: pd.DataFrame = field(default_factory=pd.DataFrame)
    checkpoints: pd.DataFrame = field(default_factory=pd.DataFrame)

    def thresholds(self, metric: str) -> pd.DataFrame:
        """Return the checks that bound this metric: ``run``, ``workflow``, ``command``, ``at``, ``level``, ``sign``."""
        rows = [
            (check.run, str(check.workflow), _text(check.command), check.at, bound.level, bound.sign)
            for check in _rows(self.checks)
            if (bound := bound_of(str(check.expected))) is not None and bound.name.rpartition(".")[2] == metric
        ]
        return pd.DataFrame(rows, columns=["run", "workflow", "command", "at", "level", "sign"])


def changes(commands: Ledger, runs: Sequence[str]) -> pd.DataFrame:
    """Return a row for each run, of these, in which the code or the definition of commands was another one than in the run
    before: ``run``, ``workflow``, ``at``, and in ``command`` the names of those commands, the first few of many."""
    rows = Rows(commands, runs)
    fingerprint, _ = rows.codes("fingerprint")
    other = np.append(False, fingerprint[1:] != fingerprint[:-1])[: len(rows)]
    other[rows.starts] = False
    there = np.flatnonzero(other)
    of = rows.stretch_of(there)
    # What is new in one run stands together in the order of names: a number that says run, workflow and name sorts it so.
    by_name = sorted(range(len(rows.commands)), key=rows.commands.__getitem__)
    rank = np.empty(len(by_name), dtype=np.int64)
    rank[by_name] = np.arange(len(by_name))
    group = rows.run[there] * np.int64(len(rows.flows)) + rows.flow[of]
    order = np.argsort(group * len(by_name) + rank[rows.command[of]])
    group, command, at = group[order], rows.command[of][order], rows.numbers("started")[there][order]
    first = np.flatnonzero(np.diff(group, prepend=-1))
    places = [divmod(each, len(rows.flows)) for each in group[first].tolist()]
    spans, named = pairwise([*first.tolist(), len(group)]), command.tolist()
    told = [
        _few([rows.commands[place] for place in named[begin : min(begin + NAMED, end)]], end - begin)
        for begin, end in spans
    ]
    found = {
        "run": [runs[run] for run, _ in places],
        "workflow": [rows.flows[flow] for _, flow in places],
        "command": told,
        "at": pd.to_datetime(np.minimum.reduceat(at, first) if len(first) else at, unit="us", utc=True),
    }
    return pd.DataFrame(found).sort_values("at", kind="stable", ignore_index=True)


def _few(names: Sequence[str], count: int) -> str:
    """Return the first names of so many."""
    more = count - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def marks(runs: pd.DataFrame, changed: pd.DataFrame, gates: pd.DataFrame, checkpoints: pd.DataFrame) -> Marks:
    """Return what can be marked in the history of these runs; `changed` is what `changes` says of their commands."""
    named = zip(runs["run"].astype(str), runs["deviations"], strict=True)
    deviating = frozenset(run for run, deviations in named if deviations)
    whole = checkpoints[checkpoints["taken"] & checkpoints["boundary"].isin(["completion", "pause"])]
    return Marks(
        checks=gates[gates["expected"] != ""],
        deviating=deviating,
        changes=changed,
        checkpoints=whole[["run", "workflow", "at"]],
    )


def _rows(frame: pd.DataFrame) -> Any:
    """Return the rows of a frame, whose columns are its own business."""
    return frame.itertuples()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
