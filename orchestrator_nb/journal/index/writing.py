"""Writing changed rows of a run into the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, update

from orchestrator_nb.journal.index import schema
from orchestrator_nb.journal.index.rows import Row, Rows

NEW = "started"
"""The column that a row of an attempt, a cell or a decision has only when it is new and whole."""


_PUT = {table: insert(table).prefix_with("OR REPLACE") for table in schema.OF_A_RUN}
_GONE = delete(schema.commands).where(
    schema.commands.c.run_key == bindparam("of_run"), schema.commands.c.command == bindparam("gone")
)
_RUN = update(schema.runs).where(schema.runs.c.key == bindparam("of_key"))


def write_rows(connection: Connection, rows: Rows) -> None:
    """Write the rows of a run that its events have changed; the run's own row is there already."""
    key = rows.run["key"]
    if rows.gone:
        connection.execute(_GONE, [{"of_run": key, "gone": name} for name in rows.gone])
    _put(connection, schema.commands, [{**row, "run_key": key} for row in rows.commands.values()])
    _put_or_change(connection, schema.attempts, key, rows.attempts)
    _put_or_change(connection, schema.cells, key, rows.cells)
    _put(connection, schema.metrics, [{**row, "run_key": key} for row in rows.metrics])
    _put_or_change(connection, schema.decisions, key, rows.decisions)
    _put(connection, schema.checkpoints, [{**row, "run_key": key} for row in rows.checkpoints])
    _put(connection, schema.gates, [{**row, "run_key": key} for row in rows.gates])
    _add_gate_seconds(connection, key, rows)
    _put(connection, schema.notices, [{**row, "run_key": key} for row in rows.notices])
    connection.execute(_RUN, {**{name: value for name, value in rows.run.items() if name != "key"}, "of_key": key})


def _add_gate_seconds(connection: Connection, key: int, rows: Rows) -> None:
    """Add what gates took to their attempts, whose rows are there by now."""
    of = schema.attempts.c
    added = [
        {"of_run": key, "of_command": command, "of_attempt": attempt, "more": seconds}
        for (command, attempt), seconds in rows.gate_seconds.items()
    ]
    if added:
        this = (
            of.run_key == bindparam("of_run"),
            of.command == bindparam("of_command"),
            of.attempt == bindparam("of_attempt"),
        )
        sum_ = func.coalesce(of.gate_seconds, 0.0) + bindparam("more")
        connection.execute(update(schema.attempts).where(*this).values(gate_seconds=sum_), added)


def _put(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(_PUT[table], rows)


def _put_or_change(connection: Connection, table: Table, run_key: int, rows: Mapping[Any, Row]) -> None:
    """Write new rows whole, and of rows that are there the columns that changed."""
    names = [column.name for column in table.primary_key]
    keyed = [(dict(zip(names, (run_key, *key), strict=True)), row) for key, row in rows.items()]
    _put(connection, table, [{**key, **row} for key, row in keyed if NEW in row])
    changes: dict[frozenset[str], list[Row]] = {}
    for key, row in keyed:
        if NEW not in row:
            named = {f"of_{name}": value for name, value in key.items()}
            changes.setdefault(frozenset(row), []).append({**named, **row})
    for changed in changes.values():
        query = update(table).where(*(column == bindparam(f"of_{column.name}") for column in table.primary_key))
        connection.execute(query, changed)
