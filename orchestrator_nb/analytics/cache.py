"""Arrow files beside the index: the rows of whole tables, which are mapped into memory and not read.

They are kept as frames want them: not packed, and with what pandas takes for missing in the place of each value that is.
So a frame is made of the file's own pages, of those that somebody looks at; what is written to them stays in the process.
A file says for each run the hash of the last line of its journal that is in its rows. Where the index has the same
hash, the rows are the same; all others are read from the index. So nothing has to be told when a run goes on, is
deleted or its index rebuilt, and the files can be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator_nb.analytics.arrow_file import mapped, save
from orchestrator_nb.analytics.tables import MISSING_MOMENT, in_one_piece
from orchestrator_nb.journal.index.schema import VERSION

ENDING = ".rows.arrow"

WORTH = 20_000
"""Rows that a file has to spare to be worth writing."""

_RUNS, _VERSION = b"orchestrator_nb.runs", b"orchestrator_nb.version"
_chains = msgspec.json.Decoder(dict[str, str]).decode

_NOT_READABLE = (OSError, ValueError, pa.ArrowException, KeyError, TypeError, msgspec.MsgspecError)


class Rows(NamedTuple):
    """Rows of a frame, and the bytes in which all of them lie where they are a file's own: nobody else has these."""

    table: pa.Table
    memory: Any = None


def path_of(store: Path, name: str) -> Path:
    """Return where the rows of a table are kept."""
    return store / f"history.{name}{ENDING}"


def kept_runs(path: Path, layout: pa.Schema) -> dict[str, str] | None:
    """Return the runs whose rows are in the file, with the hash up to which they are; None without one of this layout."""
    try:
        about = pa.ipc.open_file(pa.py_buffer(mapped(path))).schema.metadata
        return _chains(about[_RUNS]) if about[_VERSION] == _version(layout) else None
    except _NOT_READABLE:
        return None


def read(path: Path, runs: Collection[str], *, whole: bool, columns: Sequence[str] | None = None) -> Rows | None:
    """Return the rows of these runs, which are all that there are where `whole`; None where the file is gone.

    `columns` are those that are wanted, among them the run's id.
    """
    try:
        memory = mapped(path, own=True)
        table = pa.ipc.open_file(pa.py_buffer(memory)).read_all()
        table = table.replace_schema_metadata(None).select(table.column_names if columns is None else list(columns))
    except _NOT_READABLE:
        return None
    return Rows(table, np.frombuffer(memory, np.uint8)) if whole else Rows(only_runs(table, runs))


def only_runs(table: pa.Table, runs: Collection[str]) -> pa.Table:
    """Return the rows of these runs."""
    wanted = pa.array(sorted(runs), pa.string())
    chunks = table.column("run").chunks
    mask = [pc.is_in(chunk.dictionary, value_set=wanted).take(chunk.indices) for chunk in chunks]
    return table.filter(pa.chunked_array(mask, pa.bool_()))


def write(path: Path, table: pa.Table, chains: Mapping[str, str]) -> None:
    """Write the rows of these runs; where that is not possible there is no file, and nothing is lost."""
    about = {_RUNS: msgspec.json.encode(dict(chains)), _VERSION: _version(table.schema)}
    whole = in_one_piece(table)
    columns = [_with_gaps_filled(column.combine_chunks()) for column in whole.columns]
    save(path, pa.table(columns, schema=whole.schema.with_metadata(about)))
    with suppress(OSError):  # in which earlier versions kept them
        path.with_name(f"{path.name.removesuffix(ENDING)}.parquet").unlink()


def _with_gaps_filled(values: pa.Array) -> pa.Array:
    """Return the same values, where what stands in the place of a missing one is what pandas takes for missing."""
    if not values.null_count:
        return values
    if pa.types.is_dictionary(values.type):
        return pa.DictionaryArray.from_arrays(_filled(values.indices, -1), values.dictionary, safe=False)
    if pa.types.is_timestamp(values.type):
        return _filled(values.cast(pa.int64()), MISSING_MOMENT).cast(values.type)
    if pa.types.is_floating(values.type):
        return _filled(values, float("nan"))
    return values


def _filled(values: pa.Array, missing: float) -> pa.Array:
    there = [array.buffers()[1] for array in (values.is_valid(), values.fill_null(missing))]
    return pa.Array.from_buffers(values.type, len(values), there)


def _version(layout: pa.Schema) -> bytes:
    return f"{VERSION} {[(field.name, str(field.type)) for field in layout]}".encode()
