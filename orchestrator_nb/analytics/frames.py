"""What each frame is made of, and how its rows are read: from the file of them beside the index, the rest from SQLite."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, Table, select

from orchestrator_nb.analytics import cache, ledger
from orchestrator_nb.analytics.columns import FrameColumn, columns_of
from orchestrator_nb.analytics.selection import Selection
from orchestrator_nb.analytics.tables import arrow_table, layout
from orchestrator_nb.journal.index import schema

STALE = 0.05
"""The part of a file's rows that may be missing or untrue until it is written anew."""

ASKED = 500
"""Runs that are asked for in one query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame: the table it is of, its columns, what its `state` is, its order, the column of `runs` that tells about how
    many rows a run has, where it is worth a file, and the column by which rows of different runs are in order (where it is
    read), "" for one run after the other."""

    table: Table
    columns: list[FrameColumn]
    order: Sequence[Any]
    state: Any = None
    counted: Literal["commands", "attempts", "events"] | None = None
    over_runs: str = ""

    @property
    def layout(self) -> pa.Schema:
        """The schema of its rows in Arrow."""
        return layout(self.columns)


def _frames() -> dict[str, Frame]:
    runs, commands, attempts, cells = schema.runs, schema.commands, schema.attempts, schema.cells
    metrics, checkpoints, decisions = schema.metrics, schema.checkpoints, schema.decisions
    gates = schema.gates
    of_runs = columns_of(runs)
    state = next(column.source for column in of_runs if column.name == "state")
    return {
        "runs": Frame(table=runs, columns=of_runs, state=state, order=(runs.c.started.desc(), runs.c.run.desc())),
        "commands": Frame(
            table=commands,
            columns=columns_of(commands),
            state=commands.c.state,
            order=(commands.c.run_key, commands.c.position),
            counted="commands",
        ),
        "attempts": Frame(
            table=attempts,
            columns=columns_of(attempts),
            state=attempts.c.outcome,
            order=(attempts.c.run_key, attempts.c.started),
            counted="attempts",
        ),
        "cells": Frame(
            table=cells,
            columns=columns_of(cells),
            state=cells.c.status,
            order=(cells.c.run_key, cells.c.started),
            counted="events",
        ),
        "metrics": Frame(
            table=metrics,
            columns=columns_of(metrics),
            order=(metrics.c.run_key, metrics.c.seq),
            counted="events",
        ),
        "gates": Frame(
            table=gates,
            columns=columns_of(gates),
            state=gates.c.verdict,
            order=(gates.c.at,),
            counted="events",
            over_runs="at",
        ),
        "checkpoints": Frame(
            table=checkpoints, columns=columns_of(checkpoints), state=checkpoints.c.boundary, order=(checkpoints.c.at,)
        ),
        "decisions": Frame(
            table=decisions, columns=columns_of(decisions), state=decisions.c.answer, order=(decisions.c.started,)
        ),
    }


FRAMES = _frames()
"""The frames that are made of tables of the index, by name."""


class _Run(NamedTuple):
    """A run as far as the choice between file and index needs it, with the numbers of its rows, or about so many."""

    key: int
    chain: str
    commands: int
    attempts: int
    events: int


class Reader:
    """Reads frames and ledgers of the chosen runs on one connection; which runs there are is asked once for all."""

    def __init__(self, connection: Connection, store: Path, chosen: Selection) -> None:
        self._connection = connection
        self._store = store
        self._chosen = chosen

    def table(self, frame: Frame, wanted: Sequence[FrameColumn]) -> pa.Table:
        """Return the chosen rows of a frame, with the wanted columns."""
        return self.rows(frame, wanted).table

    def rows(self, frame: Frame, wanted: Sequence[FrameColumn]) -> cache.Rows:
        """Return the chosen rows of a frame, with the wanted columns, and the memory in which they lie."""
        chosen = self._chosen
        narrow = bool(chosen.states or chosen.commands or chosen.tag is not None)
        if frame.counted is None or narrow or _rows(frame, self._picked.values()) < cache.WORTH:
            conditions = [*chosen.of_runs(), *chosen.of_rows(frame.table, frame.state)]
            query = _query(frame, wanted).where(*conditions).order_by(*frame.order)
            return cache.Rows(arrow_table(self._connection.execute(query).all(), wanted))
        found = self._through_file(frame, wanted, self._picked)
        in_order = frame.over_runs not in found.table.column_names
        return found if in_order else cache.Rows(found.table.sort_by(frame.over_runs))

    def ledger(self, name: str) -> ledger.Ledger:
        """Return the ledger of a frame with the rows of the chosen runs; others may be in it, too."""
        frame, path = FRAMES[name], ledger.path_of(self._store, name)
        wanted = [column for column in frame.columns if column.name in ledger.COLUMNS[name]]
        runs, picked = self._runs, self._picked
        if _rows(frame, picked.values()) < cache.WORTH:
            return ledger.ledger(self._of_runs(frame, picked.values(), wanted))
        kept, chains = ledger.read(path, name) or (None, {})
        untrue = {run for run, chain in chains.items() if run not in runs or runs[run].chain != chain}
        missing = {name: run for name, run in runs.items() if name not in chains or name in untrue}
        if kept is None or self._is_stale(frame, missing.values(), len(chains) - len(untrue), len(untrue)):
            found = ledger.ledger(self._through_file(frame, wanted, runs).table)
            ledger.write(path, name, found, {name: run.chain for name, run in runs.items()})
            return found
        fresh = [run for name, run in missing.items() if name in picked]
        kept = kept.without(untrue) if untrue else kept
        return ledger.merged(kept, ledger.ledger(self._of_runs(frame, fresh, wanted))) if fresh else kept

    @cached_property
    def _runs(self) -> dict[str, _Run]:
        """All runs by id, and how far each is in the index."""
        runs, positions = schema.runs.c, schema.positions.c
        asked = select(runs.run, runs.key, positions.chain, runs.commands, runs.attempts, runs.events)
        found = self._connection.execute(asked.join_from(schema.runs, schema.positions, runs.key == positions.run_key))
        return {run: _Run(*said) for run, *said in found.all()}

    @cached_property
    def _picked(self) -> dict[str, _Run]:
        """The chosen ones of them."""
        if not self._chosen.is_of_runs:
            return self._runs
        names = set(self._connection.execute(select(schema.runs.c.run).where(*self._chosen.of_runs())).scalars())
        return {name: run for name, run in self._runs.items() if name in names}

    def _is_stale(self, frame: Frame, missing: Collection[_Run], true: int, untrue: int) -> bool:
        """Tell whether a file in which so many runs are true, and so many are not, is to be written anew."""
        changed, everything = _rows(frame, missing), _rows(frame, self._runs.values())
        return changed > max(cache.WORTH, STALE * everything) or untrue > max(10, true)

    def _through_file(self, frame: Frame, wanted: Sequence[FrameColumn], picked: Mapping[str, _Run]) -> cache.Rows:
        path, runs = cache.path_of(self._store, frame.table.name), self._runs
        chains = {name: run.chain for name, run in runs.items()}
        kept = cache.kept_runs(path, frame.layout) or {}
        true = {name for name, chain in kept.items() if chains.get(name) == chain}
        missing = {name: run for name, run in runs.items() if name not in true}
        names = [column.name for column in wanted]
        if self._is_stale(frame, missing.values(), len(true), len(kept) - len(true)):
            rows = cache.read(path, true, whole=len(true) == len(kept)) if true else None
            parts = [frame.layout.empty_table() if rows is None else rows.table]
            if rows is None:
                missing = dict(runs)
            parts.append(self._of_runs(frame, missing.values(), frame.columns))
            table = pa.concat_tables(parts)
            cache.write(path, table, chains)
            return self._only(cache.Rows(table.select(names)), picked)
        rows = cache.read(path, true, whole=len(true) == len(kept), columns=names)
        if rows is None:  # gone since
            return cache.Rows(self._of_runs(frame, picked.values(), wanted))
        fresh = [run for name, run in missing.items() if name in picked]
        old = self._only(rows, picked)
        return cache.Rows(pa.concat_tables([old.table, self._of_runs(frame, fresh, wanted)])) if fresh else old

    def _only(self, rows: cache.Rows, picked: Mapping[str, _Run]) -> cache.Rows:
        """Return the rows of these runs."""
        everything = len(picked) == len(self._runs)
        return rows if everything else cache.Rows(cache.only_runs(rows.table, picked))

    def _of_runs(self, frame: Frame, runs: Collection[_Run], wanted: Sequence[FrameColumn]) -> pa.Table:
        """Return the rows of these runs from the index."""
        keys = [run.key for run in runs]
        parts = [layout(wanted).empty_table()]
        for first in range(0, len(keys), ASKED):
            some = _query(frame, wanted).where(frame.table.c.run_key.in_(keys[first : first + ASKED]))
            parts.append(arrow_table(self._connection.execute(some.order_by(*frame.order)).all(), wanted))
        return pa.concat_tables(parts)


def _rows(frame: Frame, runs: Collection[_Run]) -> int:
    """Return about how many rows of a frame these runs have."""
    return sum(map(attrgetter(frame.counted), runs)) if frame.counted is not None else 0


def _query(frame: Frame, wanted: Sequence[FrameColumn]) -> Any:
    query = select(*(column.source.label(column.name) for column in wanted))
    if frame.table is schema.runs:
        return query
    return query.join_from(schema.runs, frame.table, schema.runs.c.key == frame.table.c.run_key)
