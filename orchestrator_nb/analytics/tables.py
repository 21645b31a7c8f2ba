"""Rows of the index as Arrow tables, and those as frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator_nb.analytics.columns import ARROW, PANDAS, FrameColumn

MISSING_MOMENT: int = -(2**63)
"""What stands for a moment that there is not among microseconds."""

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
        micros = pc.round(pc.multiply(pa.array(values, pa.float64()), 1e6))
        return micros.cast(pa.int64()).cast(ARROW["time"])
    if column.kind in ("name", "texts"):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, ARROW[column.kind])


def in_one_piece(table: pa.Table) -> pa.Table:
    """Return a table whose columns are one chunk each, where that is possible."""
    if all(column.num_chunks <= 1 for column in table.columns):
        return table
    return table.unify_dictionaries().combine_chunks()


def frame(table: pa.Table, columns: Sequence[FrameColumn], memory: Any = None) -> pd.DataFrame:
    """Return an Arrow table as a frame, each column with the dtype of its kind; its values can be written to.

    Of `columns` those are in the frame that are in the table. `memory` are the bytes in which the table lies as `cache`
    keeps it, where nobody else has them: numbers are not copied then.
    """
    table = in_one_piece(table)
    there = set(table.column_names)
    whole = {
        column.name: _series(table.column(column.name), column, memory) for column in columns if column.name in there
    }
    return pd.DataFrame(whole, index=pd.RangeIndex(table.num_rows), copy=False)


def _series(values: pa.ChunkedArray, column: FrameColumn, memory: Any) -> Any:
    dtype = PANDAS[column.kind]
    if column.kind in ("text", "optional count", "optional flag"):
        return pd.Series(dtype.__from_arrow__(values), copy=False)
    whole = values.combine_chunks()
    if column.kind == "mapping":
        found = [None if text is None else msgspec.json.decode(text) for text in whole.to_pylist()]
        return pd.Series(found, dtype=object)
    if column.kind == "texts":
        return pd.Series(dtype.__from_arrow__(_lists(whole)), copy=False)
    if column.kind == "name":
        names = pd.Index(whole.dictionary.to_numpy(zero_copy_only=False))
        return pd.Series(pd.Categorical.from_codes(_own(whole.indices, memory, -1), names), copy=False)
    if column.kind == "time":
        micros = _own(whole.cast(pa.int64()), memory, MISSING_MOMENT)
        return pd.Series(pd.array(micros, dtype=dtype, copy=False), copy=False)
    return pd.Series(_own(whole, memory), copy=False)


def _own(values: pa.Array, memory: Any, missing: int | None = None) -> Any:
    """Return values as an array of numpy that nobody else has, so that a frame can be written to.

    What stands for a `missing` one is in its place already where the values lie in the `memory` of a file.
    """
    data = values.buffers()[1]
    if memory is not None and data is not None and not pa.types.is_boolean(values.type):
        begin = data.address - memory.ctypes.data
        if 0 <= begin < len(memory):
            return memory[begin : begin + data.size].view(values.type.to_pandas_dtype())[values.offset :][: len(values)]
    found = (values if missing is None else values.fill_null(missing)).to_numpy(zero_copy_only=False)
    return found if found.flags.writeable else found.copy()


def lists(texts: pa.Array) -> list[list[str] | None]:
    """Return the lists that texts of JSON say."""
    return [None if text is None else _texts(text) for text in texts.to_pylist()]


def _lists(values: pa.DictionaryArray) -> pa.Array:
    """Return lists of texts for what is kept as a code for each different list."""
    return pa.array(lists(values.dictionary), pa.list_(pa.string())).take(values.indices)
