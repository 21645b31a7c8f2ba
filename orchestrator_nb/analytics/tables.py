"""Rows of the index as Arrow tables, and those as frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa

from orchestrator_nb.analytics.columns import ARROW, PANDAS, FrameColumn

_texts = msgspec.json.Decoder(list[str]).decode


def layout(columns: Sequence[FrameColumn]) -> pa.Schema:
    """Return the schema of an Arrow table with these columns."""
    return pa.schema([pa.field(column.name, ARROW[column.kind]) for column in columns])


def arrow_table(rows: Sequence[Sequence[Any]], columns: Sequence[FrameColumn]) -> pa.Table:
    """Return rows as they come from the index as an Arrow table."""
    if not rows:
        return layout(columns).empty_table()
    arrays = [_array(values, column) for values, column in zip(zip(*rows, strict=True), columns, strict=True)]
    return pa.table(arrays, schema=layout(columns))


def _array(values: Sequence[Any], column: FrameColumn) -> pa.Array:
    if column.kind == "time":
        micros = [None if value is None else round(value * 1e6) for value in values]
        return pa.array(micros, pa.int64()).cast(ARROW["time"])
    if column.kind == "texts":
        known: dict[Any, list[str] | None] = {None: None}
        for value in set(values) - {None}:
            known[value] = _texts(value)
        return pa.array([known[value] for value in values], ARROW["texts"])
    if column.kind == "name":
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, ARROW[column.kind])


def frame(table: pa.Table, columns: Sequence[FrameColumn]) -> pd.DataFrame:
    """Return an Arrow table as a frame, each column with the dtype of its kind."""
    whole = {column.name: _series(table.column(column.name), column) for column in columns}
    return pd.DataFrame(whole, index=pd.RangeIndex(table.num_rows), copy=False)


def _series(values: pa.ChunkedArray, column: FrameColumn) -> Any:
    dtype = PANDAS[column.kind]
    if column.kind == "mapping":
        return pd.Series(
            [None if text is None else msgspec.json.decode(text) for text in values.to_pylist()], dtype=object
        )
    if column.kind == "name":
        return values.to_pandas()
    if hasattr(dtype, "__from_arrow__") and column.kind != "time":
        return pd.Series(dtype.__from_arrow__(values), copy=False)
    return values.to_pandas()
