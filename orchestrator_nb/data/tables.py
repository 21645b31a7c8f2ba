"""Tables as Parquet, only where what is read back equals what went in."""

from __future__ import annotations

import importlib
import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.plain import type_name
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.errors import ResultRefused

NOTES = b"orchestrator_nb"
"""The key in the file's metadata for what pandas loses by way of Parquet and `_restore` brings back."""


def write_table(value: Any, *, artifacts: Artifacts, at: str) -> tuple[str, int]:
    """Write a pandas or polars DataFrame or a pyarrow Table; return SHA-256 and size in bytes of the Parquet file.

    The file is read back and compared before it is kept. Raises ResultRefused naming the column, StoreError.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ResultRefused(f"{at}: a table needs pyarrow to be stored: pip install pyarrow ({error})") from error
    library = type(value).__module__.partition(".")[0]
    if library == "pandas":
        table = _from_pandas(value, at)
    else:
        table = value.to_arrow() if library == "polars" else value
    if REDACTOR.active:
        _refuse_secrets(table, at)
    with artifacts.writer(suffix=".parquet") as draft:
        try:
            parquet.write_table(table, draft.path)
        except Exception as error:  # pyarrow raises its own, ValueError, TypeError and NotImplementedError
            raise ResultRefused(f"{at}: Parquet cannot hold this table: {error}") from error
        back = read_table(draft.path, type_name(type(value)))
        if library == "pandas":
            _compare_pandas(value, back, at)
        elif library == "polars":
            if back.schema != value.schema or not back.equals(value):
                raise ResultRefused(f"{at}: Parquet would change this table: {_first_polars(value, back)}")
        else:
            _compare_arrow(value, back, at)
    return draft.sha256, draft.size


def read_table(path: Path, kind: str) -> Any:
    """Return the table in the file as the type `kind` (a qualified name) is from; it is the caller's own."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        table = file.read()
    library = kind.partition(".")[0]
    if library == "pyarrow":
        return table
    if library == "polars":
        return importlib.import_module("polars").from_arrow(table)
    return _to_pandas(table)


# ── pandas ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _from_pandas(frame: Any, at: str) -> Any:
    """Return the Arrow table of a frame, with notes on what pandas does not find again in it."""
    import pandas as pd
    import pyarrow as pa

    _check_names(frame, at)
    notes: dict[str, Any] = {"objects": {}, "dtypes": {}}
    for position, dtype in enumerate(frame.dtypes):
        if dtype.kind == "O" and str(dtype) == "object":
            notes["objects"][str(position)] = _null_of(frame, position, at)
        elif isinstance(dtype, pd.StringDtype) and str(dtype) != "str":
            notes["dtypes"][str(position)] = f"string[{dtype.storage}]"
        elif isinstance(dtype, pd.CategoricalDtype):
            notes["dtypes"][str(position)] = "category"
    frequency = getattr(frame.index, "freqstr", None)
    if frequency is not None:
        notes["frequency"] = frequency
    try:
        table = pa.Table.from_pandas(frame)
    except Exception as error:  # as above
        column = _first_unfit(frame)
        raise ResultRefused(f"{_column(at, column)} cannot be in a Parquet file: {_reason(error)}") from error
    return table.replace_schema_metadata({**(table.schema.metadata or {}), NOTES: json.dumps(notes)})


def _to_pandas(table: Any) -> Any:
    import pandas as pd

    frame = table.to_pandas()
    notes = json.loads((table.schema.metadata or {}).get(NOTES, b"{}"))
    for position, null in notes.get("objects", {}).items():
        values = table.column(int(position)).to_pylist()
        if null == "nan":
            values = [math.nan if value is None else value for value in values]
        column = pd.Series(values, index=frame.index, dtype=object)
        frame.isetitem(int(position), column)
    for position, dtype in notes.get("dtypes", {}).items():
        if frame.dtypes.iloc[int(position)] != dtype:
            frame.isetitem(int(position), frame.iloc[:, int(position)].astype(dtype))
    if "frequency" in notes and hasattr(frame.index, "freq"):
        frame.index.freq = notes["frequency"]
    # Before copy-on-write a frame may show Arrow's own memory, which cannot be written to.
    return frame if int(pd.__version__.partition(".")[0]) >= 3 else frame.copy()


def _check_names(frame: Any, at: str) -> None:
    if frame.columns.nlevels == 1:
        kinds = {type(name) for name in frame.columns}
        if len(kinds) > 1:
            odd = next(name for name in frame.columns if not isinstance(name, str))
            raise ResultRefused(
                f"{_column(at, odd)} has a name that Parquet would turn into text, for the others' names are of "
                "another type: rename it"
            )
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ResultRefused(f"{_column(at, twice)} is there more than once: Parquet needs names that differ")
    for name in frame.index.names:
        if name is not None and not isinstance(name, str):
            raise ResultRefused(f"{at}: the index is named {name!r}, which Parquet would turn into text: rename it")


def _null_of(frame: Any, position: int, at: str) -> str:
    """Return how the nulls of an object column are written: none or nan. Raises ResultRefused where they are mixed."""
    nulls = {"nan" if value is not None else "none" for value in frame.iloc[:, position] if _is_null(value)}
    if len(nulls) > 1:
        name = _column(at, frame.columns[position])
        raise ResultRefused(f"{name} holds both None and NaN, which Parquet keeps as one: use one of them")
    return nulls.pop() if nulls else "none"


def _is_null(value: Any) -> bool:
    return value is None or (type(value) is float and math.isnan(value))


def _compare_pandas(frame: Any, back: Any, at: str) -> None:
    from pandas.testing import assert_frame_equal, assert_series_equal

    if list(frame.columns) == list(back.columns) and len(frame) == len(back):
        for position, dtype in enumerate(frame.dtypes):
            if dtype.kind == "O" and str(dtype) == "object":
                name = _column(at, frame.columns[position])
                _compare_objects(frame.iloc[:, position], back.iloc[:, position], name)
    try:
        assert_frame_equal(frame, back, check_exact=True)
    except AssertionError as error:
        for position in range(min(frame.shape[1], back.shape[1])):
            before, after = frame.iloc[:, position], back.iloc[:, position]
            try:
                assert_series_equal(before, after, check_exact=True, check_index=False)
            except AssertionError as column_error:
                name = _column(at, frame.columns[position])
                raise ResultRefused(
                    f"{name} of type {before.dtype} would come back changed from Parquet: {_reason(column_error)}"
                ) from error
        raise ResultRefused(f"{at}: the table would come back changed from Parquet: {_reason(error)}") from error
    if not _same(frame.attrs, back.attrs):
        raise ResultRefused(f"{at}: the table's attrs would come back changed: use plain JSON there, or clear them")


def _compare_objects(before: Any, after: Any, name: str) -> None:
    for row, (value, found) in enumerate(zip(before, after, strict=True)):
        if not _same(value, found):
            raise ResultRefused(
                f"{name} holds at row {row} {_short(value)}, which would come back from Parquet as {_short(found)}: "
                "give the column one type, or keep it outside the table"
            )


def _same(value: Any, found: Any) -> bool:
    """Whether two cells are equal down to the types of what is in them."""
    if type(value) is not type(found):
        return False
    if isinstance(value, list):
        return len(value) == len(found) and all(map(_same, value, found))
    if isinstance(value, dict):
        return list(value) == list(found) and all(_same(value[key], found[key]) for key in value)
    if isinstance(value, float) and math.isnan(value):
        return math.isnan(found)
    return bool(value == found)


def _first_unfit(frame: Any) -> Any:
    import pyarrow as pa

    for position, name in enumerate(frame.columns):
        with suppress(Exception):  # the reason is in the error about the whole table; here it is only where
            pa.Array.from_pandas(frame.iloc[:, position])
            continue
        return name
    return "the index"


# ── others ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _refuse_secrets(table: Any, at: str) -> None:
    """Look through the memory of the columns, since what is in the file is compressed. Raises ResultRefused."""
    notes = [f"{key!r} {value!r}" for key, value in (table.schema.metadata or {}).items()]
    REDACTOR.refuse("\n".join((*table.column_names, *notes)).encode("utf-8", "surrogatepass"), at=at)
    for name, column in zip(table.column_names, table.columns, strict=True):
        for chunk in column.chunks:
            for buffer in filter(None, [*chunk.buffers(), *_dictionary(chunk)]):
                REDACTOR.refuse(bytes(buffer), at=_column(at, name))


def _dictionary(chunk: Any) -> list[Any]:
    """Return the memory of the values that a column refers to by numbers."""
    return list(chunk.dictionary.buffers()) if hasattr(chunk, "dictionary") else []


def _compare_arrow(table: Any, back: Any, at: str) -> None:
    for field, found in zip(table.schema, back.schema, strict=True):
        if field.name != found.name or field.type != found.type or field.nullable != found.nullable:
            raise ResultRefused(f"{_column(at, field.name)} is {field} and would come back from Parquet as {found}")
    if (table.schema.metadata or {}) != (back.schema.metadata or {}):
        raise ResultRefused(f"{at}: the table's metadata would come back changed: replace_schema_metadata(None)")
    for position, field in enumerate(table.schema):
        before, after = table.column(position), back.column(position)
        # Arrow calls NaN unequal to itself; Python's texts of equal values are equal.
        if not before.equals(after) and repr(before.to_pylist()) != repr(after.to_pylist()):
            raise ResultRefused(f"{_column(at, field.name)} would come back changed from Parquet")


def _first_polars(frame: Any, back: Any) -> str:
    for name in frame.columns:
        before, after = frame[name], back[name]
        if before.dtype != after.dtype or not before.equals(after, null_equal=True):
            return f'its column "{name}" of type {before.dtype} comes back as {after.dtype}'
    return "its columns come back in another order"


def _column(at: str, name: Any) -> str:
    return f"{at}: the column {_short(name)}"


def _short(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    text = text if len(text) <= 80 else text[:77] + "…"
    return text if isinstance(value, str) else f"{text} ({type_name(type(value))})"


def _reason(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else repr(error)
    return " ".join(text.split())[:300]
