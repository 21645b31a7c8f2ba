"""The history of a store as tidy pandas frames: one row a run, a command, an attempt, a cell, a metric, an event."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Connection
from typing_extensions import Unpack

from orchestrator_nb.analytics import tables
from orchestrator_nb.analytics.cache import Rows
from orchestrator_nb.analytics.columns import FrameColumn
from orchestrator_nb.analytics.facts import event_rows, rating_rows
from orchestrator_nb.analytics.frames import FRAMES, Frame, Reader
from orchestrator_nb.analytics.ledger import Ledger
from orchestrator_nb.analytics.selection import Filters, Selection, selection
from orchestrator_nb.analytics.trends import RUN_FIGURES, last_values, recorded_most, run_figures
from orchestrator_nb.drawing.glyphs import counted
from orchestrator_nb.drawing.table import table_card
from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.index.index import Index
from orchestrator_nb.journal.store import find_store

LATEST = 20
"""So many runs a history shows of itself."""


class History:
    """The runs of a store, those under way included, brought up to date at every call.

    Without a `store` it is the one that runs would be kept in. Every frame takes the same filters, which SQLite
    applies: `workflow`, `run`, `state` (of the rows asked for) and `command` take one or several, `since` and `until`
    bound the run's start and take a date, a time, seconds since the epoch, or a `timedelta` before now, `tag` is that
    of a command. Every method raises StoreError when the store cannot be read. What each column holds, in which unit
    and dtype, `columns()` tells.
    """

    def __init__(self, store: str | os.PathLike[str] | None = None) -> None:
        self.store = Path(find_store(store))

    def __repr__(self) -> str:
        runs = self.runs()
        if not len(runs):
            return f'<History of "{self.store}": no runs>'
        states = ", ".join(f"{count} {state}" for state, count in runs["state"].astype(str).value_counts().items())
        said = f"{counted(len(runs), 'run')} of {counted(runs['workflow'].nunique(), 'workflow')}"
        return f'<History of "{self.store}": {said}, {states}>'

    def _repr_html_(self) -> str:
        runs = self.runs()
        latest = runs.head(LATEST)
        columns = {
            "run": latest["run"], "workflow": latest["workflow"], "state": latest["state"],
            "started (UTC)": latest["started"].dt.strftime("%Y-%m-%d %H:%M:%S").fillna(""),
            "seconds": latest["seconds"].map("{:.3g}".format),
        }  # fmt: skip
        shown = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        lead = repr(self)[1:-1] + (f"; the latest {LATEST}" if len(runs) > LATEST else "")
        return table_card(lead, tuple(columns), shown)

    def runs(self, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a row a run, the latest first."""
        return self._frame("runs", **filters)

    def commands(self, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a row for each command of each run, as it stands in its latest generation."""
        return self._frame("commands", **filters)

    def attempts(self, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a row an attempt, with what it took of time and machine."""
        return self._frame("attempts", **filters)

    def cells(self, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a row for each code cell of each attempt of a notebook."""
        return self._frame("cells", **filters)

    def metrics(self, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a row for each number that a command recorded about itself."""
        return self._frame("metrics", **filters)

    def gates(self, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a row for each gate that was held against an attempt or a run; its `state` is the verdict."""
        return self._frame("gates", **filters)

    def checkpoints(self, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a row for each checkpoint that was taken or could not be; its `state` is where in the run it was."""
        return self._frame("checkpoints", **filters)

    def decisions(self, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a row for each decision that people were asked for; its `state` is the answer."""
        return self._frame("decisions", **filters)

    def ratings(self, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a row for each rating or note that somebody gave a run of these, the oldest first: `run`, `at`,
        `stars` (1 to 5), `note`, `author`, `role`, `about` (a recommendation's subject, empty for the run itself)."""
        return rating_rows(self.store, self._chosen(filters))

    def events(self, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a row for each recorded fact, in order, read from the journals themselves; `state` is no filter here.

        `details` has what the fact says besides, as a mapping.
        """
        return event_rows(self.store, self._chosen(filters), selection(**filters))

    def trends(self, name: str, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return a figure over runs, the oldest first: `run`, `workflow`, `command`, `at`, `value`.

        `name` is a metric that commands recorded, its last value in each command of each run; or, of runs that have
        ended, `seconds` (driven), `busy` (attempts, seconds), `efficiency` (from 0 to 1), `overhead` (from 0 to 1). Of a
        name that nobody recorded there are no rows.
        """
        if name in RUN_FIGURES:
            return run_figures(self.runs(**filters), name)
        return last_values(self.metrics(**filters), name)

    def metric_names(self, **filters: Unpack[Filters]) -> list[str]:
        """Return the names of the metrics that were recorded, those of most runs first."""
        return recorded_most(self.metrics(**filters))

    def columns(self, name: str | None = None) -> pd.DataFrame:
        """Return what the columns of a frame, or of all, hold: `frame`, `column`, `dtype`, `unit`, `meaning`.

        Raises UsageError for a frame that there is not.
        """
        if name is not None and name not in FRAMES:
            raise UsageError(f'there is no frame "{name}"; there is {", ".join(FRAMES)}')
        rows = [
            (frame, column.name, column.dtype, column.unit, column.meaning)
            for frame, made in FRAMES.items()
            if name in (None, frame)
            for column in made.columns
        ]
        return pd.DataFrame(rows, columns=["frame", "column", "dtype", "unit", "meaning"])

    def read(self, name: str, columns: Collection[str], chosen: Selection | None = None) -> Any:
        """Return some columns of a frame as an Arrow table: what sums are made of when there are a million rows."""
        made = FRAMES[name]
        wanted = [column for column in made.columns if column.name in columns or column.name == "run"]
        return self._rows(made, chosen or Selection(), wanted).table

    def read_all(
        self, wanted: Mapping[str, Collection[str]], chosen: Selection, *, ledgers: Collection[str] = ()
    ) -> tuple[dict[str, Any], dict[str, Ledger]]:
        """Return some columns of several frames as Arrow tables, and the `ledgers` of frames; all of one moment."""
        found = {
            name: [column for column in FRAMES[name].columns if column.name in {*wanted[name], "run"}]
            for name in wanted
        }
        index = Index(self.store)

        def look(connection: Connection) -> tuple[dict[str, Any], dict[str, Ledger]]:
            reader = Reader(connection, self.store, chosen)
            rows = {name: reader.table(FRAMES[name], columns) for name, columns in found.items()}
            return rows, {name: reader.ledger(name) for name in ledgers}

        try:
            return index.look(look)
        finally:
            index.close()

    def _chosen(self, filters: Filters) -> pd.DataFrame:
        """Return the runs of which something is asked for, whatever its state."""
        of_runs: Filters = {**filters, "state": None, "command": None}
        return self.runs(**of_runs)

    def _frame(self, name: str, **filters: Unpack[Filters]) -> pd.DataFrame:
        made = FRAMES[name]
        rows = self._rows(made, selection(**filters), made.columns)
        return tables.frame(rows.table, made.columns, rows.memory)

    def _rows(self, made: Frame, chosen: Selection, wanted: list[FrameColumn]) -> Rows:
        index = Index(self.store)
        try:
            return index.look(lambda connection: Reader(connection, self.store, chosen).rows(made, wanted))
        finally:
            index.close()
