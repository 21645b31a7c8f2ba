"""What a dashboard is made of: the latest runs of a history and all that it needs of them, read at one moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import pandas as pd

from orchestrator_nb.analytics import tables
from orchestrator_nb.analytics.cache import only_runs
from orchestrator_nb.analytics.digest import Digest
from orchestrator_nb.analytics.frames import FRAMES
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.marks import Marks, changes, marks
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
LEDGERS = ("attempts", "commands")
"""What every page needs beside its runs, for their tags and what came to nothing."""


class Material:
    """What the dashboards are made of: `runs` are those on the page, the oldest first, `whole` is how many there were.

    `wanted` are the columns that it needs of each frame besides the runs'. A tag chooses runs here, as the filter on the
    page does: all that they did is shown.
    """

    def __init__(self, history: History, filters: Filters, wanted: Mapping[str, Collection[str]]) -> None:
        self.history = history
        chosen = selection(**filters)
        rest = Selection(workflows=chosen.workflows, runs=chosen.runs, since=chosen.since, until=chosen.until)
        asked = {**wanted, "runs": {*wanted.get("runs", ()), *RUNS}}
        self._tables, self._ledgers = history.read_all(asked, rest, ledgers=LEDGERS)
        found = self.frame("runs")
        if chosen.states:
            found = found[found["state"].isin(chosen.states)]
        if chosen.tag is not None:
            tagged = [name for name, tags in self.tags.items() if chosen.tag in tags]
            found = found[found["run"].isin(tagged)]
        self.whole = len(found)
        self.runs = found.iloc[:MOST_RUNS].iloc[::-1]
        names = set(self._names)
        for name, read_in in self._tables.items():
            table = tables.in_one_piece(read_in)
            there = set(table.column("run").combine_chunks().dictionary.to_pylist())
            self._tables[name] = table if names >= there else only_runs(table, names)

    @property
    def _names(self) -> list[str]:
        return self.runs["run"].astype(str).to_list()

    def frame(self, name: str) -> pd.DataFrame:
        """Return what was asked for of a frame, of the runs on the page."""
        return tables.frame(self._tables[name], FRAMES[name].columns)

    @cached_property
    def digest(self) -> Digest:
        """What the attempts of the runs come to."""
        return Digest(self._ledgers["attempts"], self.runs, self.tags)

    @property
    def tags(self) -> Mapping[str, Sequence[str]]:
        """The tags of the commands of each run that has any."""
        return self._ledgers["commands"].tags

    @cached_property
    def marks(self) -> Marks:
        """What can be marked in figures over time."""
        changed = changes(self._ledgers["commands"], self._names)
        return marks(self.runs, changed, self.frame("gates"), self.frame("checkpoints"))

    def entries(self) -> list[RunEntry]:
        """Return the runs as filters know them."""
        began = self.runs["started"].astype("int64") / 1e6
        columns = (
            self.runs["run"].astype(str), self.runs["workflow"].astype(str), began.where(self.runs["started"].notna(), 0.0),
            self.runs["state"].astype(str), self.runs["seconds"], self.runs["retries"],
        )  # fmt: skip
        tags, waste = self.tags, self.digest.waste
        return [
            RunEntry(
                run=run, workflow=workflow, started=started, state=state, seconds=seconds, retries=retries,
                tags=tags.get(run, ()), waste=waste.get(run, 0.0),
            )
            for run, workflow, started, state, seconds, retries in zip(*(column.tolist() for column in columns), strict=True)
        ]  # fmt: skip

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
