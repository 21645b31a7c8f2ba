"""What each frame is made of, and how its rows are read: from the Parquet file beside the index, the rest from SQLite."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
    """A frame: the table it is of, its columns, what its `state` is, its order, and the column of `runs` that tells
    about how many rows a run has, where it is worth a file."""

    table: Table
    columns: list[FrameColumn]
    order: Sequence[Any]
    state: Any = None
    counted: Any = None

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
    events = runs.c.events
    return {
        "runs": Frame(table=runs, columns=of_runs, state=state, order=(runs.c.started.desc(), runs.c.run.desc())),
        "commands": Frame(
            table=commands,
            columns=columns_of(commands),
            state=commands.c.state,
            order=(commands.c.run_key, commands.c.position),
            counted=runs.c.commands,
        ),
        "attempts": Frame(
            table=attempts,
            columns=columns_of(attempts),
            state=attempts.c.outcome,
            order=(attempts.c.run_key, attempts.c.started),
            counted=runs.c.attempts,
        ),
        "cells": Frame(
            table=cells,
            columns=columns_of(cells),
            state=cells.c.status,
            order=(cells.c.run_key, cells.c.started),
            counted=events,
        ),
        "metrics": Frame(
            table=metrics,
            columns=columns_of(metrics),
            order=(metrics.c.run_key, metrics.c.seq),
            counted=events,
        ),
        "gates": Frame(table=gates, columns=columns_of(gates), state=gates.c.verdict, order=(gates.c.at,)),
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
    """A run as far as the choice between file and index needs it; `rows` is about how many rows it has."""

    key: int
    chain: str
    rows: int
    chosen: bool


def read_table(
    connection: Connection, store: Path, frame: Frame, chosen: Selection, wanted: Sequence[FrameColumn]
) -> pa.Table:
    """Return the chosen rows of a frame, with the wanted columns."""
    narrow = bool(chosen.states or chosen.commands or chosen.tag is not None)
    if frame.counted is None or narrow:
        return _from_index(connection, frame, chosen, wanted)
    runs = _runs(connection, frame, chosen)
    if sum(run.rows for run in runs.values() if run.chosen) < cache.WORTH:
        return _from_index(connection, frame, chosen, wanted)
    return _through_file(connection, cache.path_of(store, frame.table.name), frame, runs, wanted)


def read_ledger(connection: Connection, store: Path, name: str, chosen: Selection) -> ledger.Ledger:
    """Return the ledger of a frame with the rows of the chosen runs; others may be in it, too."""
    frame, path = FRAMES[name], ledger.path_of(store, name)
    wanted = [column for column in frame.columns if column.name in ledger.COLUMNS[name]]
    runs = _runs(connection, frame, chosen)
    picked = [run for run in runs.values() if run.chosen]
    if sum(run.rows for run in picked) < cache.WORTH:
        return ledger.ledger(_of_runs(connection, frame, picked, wanted))
    kept, chains = ledger.read(path, name) or (None, {})
    untrue = {run for run, chain in chains.items() if run not in runs or runs[run].chain != chain}
    missing = [run for run_id, run in runs.items() if run_id not in chains or run_id in untrue]
    if kept is None or _is_stale(missing, runs, len(chains) - len(untrue), len(untrue)):
        everything = {run_id: run._replace(chosen=True) for run_id, run in runs.items()}
        table = _through_file(connection, cache.path_of(store, frame.table.name), frame, everything, wanted)
        found = ledger.ledger(table)
        ledger.write(path, name, found, {run_id: run.chain for run_id, run in runs.items()})
        return found
    fresh = [run for run in missing if run.chosen]
    kept = kept.without(untrue) if untrue else kept
    return ledger.merged(kept, ledger.ledger(_of_runs(connection, frame, fresh, wanted))) if fresh else kept


def _is_stale(missing: Collection[_Run], runs: Mapping[str, _Run], true: int, untrue: int) -> bool:
    """Tell whether a file in which so many runs are true, and so many are not, is to be written anew."""
    changed, everything = sum(run.rows for run in missing), sum(run.rows for run in runs.values())
    return changed > max(cache.WORTH, STALE * everything) or untrue > max(10, true)


def _from_index(connection: Connection, frame: Frame, chosen: Selection, wanted: Sequence[FrameColumn]) -> pa.Table:
    conditions = [*chosen.of_runs(), *chosen.of_rows(frame.table, frame.state)]
    query = _query(frame, wanted).where(*conditions).order_by(*frame.order)
    return arrow_table(connection.execute(query).all(), wanted)


def _query(frame: Frame, wanted: Sequence[FrameColumn]) -> Any:
    query = select(*(column.source.label(column.name) for column in wanted))
    if frame.table is schema.runs:
        return query
    return query.join_from(schema.runs, frame.table, schema.runs.c.key == frame.table.c.run_key)


def _runs(connection: Connection, frame: Frame, chosen: Selection) -> dict[str, _Run]:
    """Return all runs by id, which of them are chosen, and how far each is in the index."""
    runs, positions = schema.runs.c, schema.positions.c
    query = select(runs.key, runs.run, positions.chain, frame.counted.label("rows")).join_from(
        schema.runs, schema.positions, runs.key == positions.run_key
    )
    found = connection.execute(query).all()
    if not chosen.is_of_runs:
        return {run: _Run(key, chain, rows, True) for key, run, chain, rows in found}
    names = set(connection.execute(select(runs.run).where(*chosen.of_runs())).scalars())
    return {run: _Run(key, chain, rows, run in names) for key, run, chain, rows in found}


def _through_file(
    connection: Connection, path: Path, frame: Frame, runs: Mapping[str, _Run], wanted: Sequence[FrameColumn]
) -> pa.Table:
    chains = {name: run.chain for name, run in runs.items()}
    kept = cache.kept_runs(path, frame.layout) or {}
    true = {name for name, chain in kept.items() if chains.get(name) == chain}
    missing = {name: run for name, run in runs.items() if name not in true}
    names = [column.name for column in wanted]
    if _is_stale(missing.values(), runs, len(true), len(kept) - len(true)):
        table = cache.read(path, true, whole=len(true) == len(kept)) if true else None
        parts = [frame.layout.empty_table() if table is None else table]
        if table is None:
            missing = dict(runs)
        parts.append(_of_runs(connection, frame, missing.values(), frame.columns))
        table = pa.concat_tables(parts)
        cache.write(path, table, chains)
        return _only(table, runs).select(names)
    table = cache.read(path, true, whole=len(true) == len(kept), columns=names)
    if table is None:  # gone since
        return _of_runs(connection, frame, [run for run in runs.values() if run.chosen], wanted)
    chosen = [run for run in missing.values() if run.chosen]
    if not chosen:
        return _only(table, runs)
    return pa.concat_tables([_only(table, runs), _of_runs(connection, frame, chosen, wanted)])


def _only(table: pa.Table, runs: Mapping[str, _Run]) -> pa.Table:
    """Return the rows of the chosen runs."""
    chosen = [name for name, run in runs.items() if run.chosen]
    if len(chosen) == len(runs):
        return table
    return cache.only_runs(table, chosen)


def _of_runs(connection: Connection, frame: Frame, runs: Collection[_Run], wanted: Sequence[FrameColumn]) -> pa.Table:
    """Return the rows of these runs from the index."""
    keys = [run.key for run in runs]
    parts = [layout(wanted).empty_table()]
    for first in range(0, len(keys), ASKED):
        some = _query(frame, wanted).where(frame.table.c.run_key.in_(keys[first : first + ASKED]))
        parts.append(arrow_table(connection.execute(some.order_by(*frame.order)).all(), wanted))
    return pa.concat_tables(parts)
