"""The columns of the frames: their names, types, units and meanings, as the tables of the index have them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from sqlalchemy import JSON, Boolean, Column, Float, Integer, Table, Text, func, type_coerce

from orchestrator_nb.journal.index import schema

Kind = Literal["name", "text", "texts", "mapping", "time", "number", "count", "optional count", "flag", "optional flag"]

_UNIT = re.compile(r" \(([^()]*)\)$")
_MOMENT = "seconds since the epoch"
_KEYS = ("key", "run_key")
_FREE = (
    "reason",
    "damaged",
    "failure_message",
    "text",
    "notebook",
    "log",
    "version",
    "message",
    "question",
    "note",
    "id",
    "commit",
)
_MAPPINGS = ("parameters", "settings", "owner", "deviations")

ARROW: dict[Kind, pa.DataType] = {
    "name": pa.dictionary(pa.int32(), pa.string()),
    "text": pa.string(),
    "texts": pa.dictionary(pa.int32(), pa.string()),  # of JSON: there are few different lists
    "mapping": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "number": pa.float64(),
    "count": pa.int64(),
    "optional count": pa.int64(),
    "flag": pa.bool_(),
    "optional flag": pa.bool_(),
}
"""How each kind of column is kept in Arrow and Parquet."""

PANDAS: dict[Kind, Any] = {
    "name": pd.CategoricalDtype(),
    "text": pd.StringDtype("pyarrow"),
    "texts": pd.ArrowDtype(pa.list_(pa.string())),
    "mapping": "object",
    "time": pd.DatetimeTZDtype("us", "UTC"),
    "number": "float64",
    "count": "int64",
    "optional count": pd.Int64Dtype(),
    "flag": "bool",
    "optional flag": pd.BooleanDtype(),
}
"""The dtype of each kind of column in a frame."""


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """A column of a frame: its `name`, its `kind`, its `unit` ("" for what has none), what it means, and the expression
    that gives it where it comes from the index."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    source: Any = None

    @property
    def dtype(self) -> str:
        """The name of its dtype in pandas."""
        return str(PANDAS[self.kind])


def columns_of(table: Table, *, leading: Sequence[str] = ()) -> list[FrameColumn]:
    """Return the columns of a frame made of a table of the index.

    The number of the run gives way to its id; the frames of what runs consist of have the workflow besides, and
    `leading` are columns of the run that they have as well.
    """
    found = [] if table is schema.runs else [_column(schema.runs.c[name]) for name in ("run", "workflow", *leading)]
    found += [_column(column) for column in table.columns if column.name not in _KEYS]
    if table is schema.runs:
        found = [column for column in found if column.name not in ("state", "phase", "ended", "last", "seconds")]
        found[2:2] = [
            FrameColumn("state", "name", "", "state as people see it; damaged where its journal is", _state()),
            _column(schema.runs.c.ended),
            _column(schema.runs.c.seconds),
        ]
    return found


def _state() -> Any:
    runs = schema.runs.c
    return func.iif(runs.damaged.is_(None), runs.phase, "damaged")


def _column(column: Column[Any]) -> FrameColumn:
    comment = column.comment or ""
    unit = _UNIT.search(comment)
    source: Any = type_coerce(column, Text) if isinstance(column.type, JSON) else column
    said = unit.group(1) if unit is not None else ""
    moment = said == _MOMENT
    meaning = comment[: unit.start()] if unit is not None else comment
    return FrameColumn(column.name, _kind(column, moment=moment), "UTC" if moment else said, meaning, source)


def _kind(column: Column[Any], *, moment: bool) -> Kind:
    if isinstance(column.type, JSON):
        return "mapping" if column.name in _MAPPINGS else "texts"
    if isinstance(column.type, Boolean):
        return "optional flag" if column.nullable else "flag"
    if isinstance(column.type, Integer):
        return "optional count" if column.nullable else "count"
    if isinstance(column.type, Float):
        return "time" if moment else "number"
    return "text" if column.name in _FREE else "name"
