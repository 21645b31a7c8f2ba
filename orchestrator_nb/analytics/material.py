"""What a dashboard is made of: the latest runs of a history and all that it needs of them, read at one moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from orchestrator_nb.analytics import digest, tables
from orchestrator_nb.analytics.cache import only_runs
from orchestrator_nb.analytics.frames import FRAMES
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.marks import Marks, marks
from orchestrator_nb.analytics.page import Page, Part, RunEntry
from orchestrator_nb.analytics.selection import Filters, Selection, selection
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.state.timing import Timing, timing

MOST_RUNS = 3_000
"""Runs on a page, the latest; of more, that is said."""

RUNS = (
    "run", "workflow", "state", "started", "seconds", "slots", "busy", "under_way", "retries", "commands", "succeeded",
    "reused", "running", "waiting", "failed", "crashed", "reason", "deviations",
)  # fmt: skip
ALL = {name: tuple(column.name for column in FRAMES[name].columns) for name in FRAMES}
SUMS: Mapping[str, Collection[str]] = {"runs": RUNS, "attempts": digest.COLUMNS, "commands": ("run", "tags")}
"""What every page needs beside its runs: their tags, and what came to nothing."""


class Material:
    """What the dashboards are made of: `runs` are those on the page, the oldest first, `whole` is how many there were.

    `wanted` are the columns that it needs of each frame besides those of `SUMS`. A tag chooses runs here, as the filter
    on the page does: all that they did is shown.
    """

    def __init__(self, history: History, filters: Filters, wanted: Mapping[str, Collection[str]]) -> None:
        self.history = history
        chosen = selection(**filters)
        asked = {name: {*wanted.get(name, ()), *SUMS.get(name, ())} for name in {*wanted, *SUMS}}
        rest = Selection(workflows=chosen.workflows, runs=chosen.runs, since=chosen.since, until=chosen.until)
        self._tables: dict[str, pa.Table] = history.read_all(asked, rest)
        found = self.frame("runs")
        if chosen.states:
            found = found[found["state"].isin(chosen.states)]
        if chosen.tag is not None:
            tagged = [name for name, tags in self.tags.items() if chosen.tag in tags]
            found = found[found["run"].isin(tagged)]
        self.whole = len(found)
        self.runs = found.iloc[:MOST_RUNS].iloc[::-1]
        names = set(self.runs["run"].astype(str))
        for name, read_in in self._tables.items():
            table = tables.in_one_piece(read_in)
            there = set(table.column("run").combine_chunks().dictionary.to_pylist())
            self._tables[name] = table if names >= there else only_runs(table, names)

    def frame(self, name: str) -> pd.DataFrame:
        """Return what was asked for of a frame, of the runs on the page."""
        return tables.frame(self._tables[name], FRAMES[name].columns)

    @cached_property
    def digest(self) -> digest.Digest:
        """What the attempts of the runs come to."""
        return digest.digest(self._tables["attempts"], self.runs, self.tags)

    @cached_property
    def tags(self) -> dict[str, list[str]]:
        """The tags of the commands of each run that has any."""
        table = tables.in_one_piece(self._tables["commands"])
        run, tags = (table.column(name).combine_chunks() for name in ("run", "tags"))
        if not len(tags.dictionary):
            return {}
        width = len(tags.dictionary)
        pairs = run.indices.to_numpy().astype(np.int64) * width + tags.indices.fill_null(0).to_numpy()
        pairs = pairs[tags.is_valid().to_numpy(zero_copy_only=False)]
        size = len(run.dictionary) * width
        there = np.flatnonzero(np.bincount(pairs, minlength=size)) if size < 10**7 else np.unique(pairs)
        names = run.dictionary.to_pylist()
        lists = tables.lists(tags.dictionary)
        found: dict[str, set[str]] = {}
        for pair in there:
            found.setdefault(names[pair // width], set()).update(lists[pair % width] or ())
        return {name: sorted(some) for name, some in found.items() if some}

    @cached_property
    def marks(self) -> Marks:
        """What can be marked in figures over time."""
        return marks(self.runs, self.frame("commands"), self.frame("gates"), self.frame("checkpoints"))

    def entries(self) -> list[RunEntry]:
        """Return the runs as filters know them."""
        return [
            RunEntry(
                run=str(row.run),
                workflow=str(row.workflow),
                started=0.0 if pd.isna(row.started) else row.started.timestamp(),
                state=str(row.state),
                seconds=float(row.seconds),
                tags=self.tags.get(str(row.run), ()),
                retries=int(row.retries),
                waste=self.digest.waste.get(str(row.run), 0.0),
            )
            for row in each_row(self.runs)
        ]

    def timings(self, runs: Sequence[str]) -> list[Timing]:
        """Return where the time of these runs went; of those whose journals can be read."""
        found = []
        for run in runs:
            try:
                found.append(timing(read(self.history.store / run / JOURNAL)))
            except (StoreError, FileNotFoundError):
                continue
        return found

    def page(self, title: str, lead: str, parts: Sequence[Part], **options: Any) -> Page:
        """Return a page with what all have in common."""
        notes = [
            f"Made {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z} from {self.history.store}. Times in figures are UTC."
        ]
        if self.whole > len(self.runs):
            notes.append(f"The latest {len(self.runs):,} of {self.whole:,} runs are on this page.")
        return Page(title=title, lead=lead, parts=parts, runs=self.entries(), notes=notes, **options)


def each_row(frame: pd.DataFrame) -> Any:
    """Return the rows of a frame, whose columns are its own business."""
    return frame.itertuples()
