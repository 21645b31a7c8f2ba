"""Parquet files beside the index: the rows of whole tables, read much faster than from SQLite.

A file says for each run the hash of the last line of its journal that is in its rows. Where the index has the same
hash, the rows are the same; all others are read from the index. So nothing has to be told when a run goes on, is
deleted or its index rebuilt, and the files can be deleted at any time.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator_nb.analytics.tables import in_one_piece
from orchestrator_nb.journal.index.schema import VERSION

WORTH = 20_000
"""Rows that a file has to spare to be worth writing."""

_RUNS, _VERSION = b"orchestrator_nb.runs", b"orchestrator_nb.version"
_chains = msgspec.json.Decoder(dict[str, str]).decode

_NOT_READABLE = (OSError, pa.ArrowException, KeyError, msgspec.MsgspecError)


def path_of(store: Path, name: str) -> Path:
    """Return where the rows of a table are kept."""
    return store / f"history.{name}.parquet"


def kept_runs(path: Path, layout: pa.Schema) -> dict[str, str] | None:
    """Return the runs whose rows are in the file, with the hash up to which they are; None without one of this layout."""
    try:
        about = pq.read_schema(path).metadata
        return _chains(about[_RUNS]) if about[_VERSION] == _version(layout) else None
    except (*_NOT_READABLE, TypeError):
        return None


def read(path: Path, runs: Collection[str], *, whole: bool, columns: Sequence[str] | None = None) -> pa.Table | None:
    """Return the rows of these runs, which are all that there are where `whole`; None where the file is gone.

    `columns` are those that are wanted, among them the run's id.
    """
    try:
        # Not `read_table`, which imports a whole room for folders of files and gives the rows in many pieces.
        table = pq.ParquetFile(path, memory_map=True).read(columns=None if columns is None else list(columns))
    except _NOT_READABLE:
        return None
    table = table.replace_schema_metadata(None)
    if not whole:
        table = only_runs(table, runs)
    return table


def only_runs(table: pa.Table, runs: Collection[str]) -> pa.Table:
    """Return the rows of these runs."""
    wanted = pa.array(sorted(runs), pa.string())
    chunks = table.column("run").chunks
    mask = [pc.is_in(chunk.dictionary, value_set=wanted).take(chunk.indices) for chunk in chunks]
    return table.filter(pa.chunked_array(mask, pa.bool_()))


def write(path: Path, table: pa.Table, chains: Mapping[str, str]) -> None:
    """Write the rows of these runs; where that is not possible there is no file, and nothing is lost."""
    about = {_RUNS: msgspec.json.encode(dict(chains)), _VERSION: _version(table.schema)}
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    # Floats hardly ever repeat, so that a dictionary of them is only in the way.
    repeating = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    try:
        pq.write_table(
            in_one_piece(table).replace_schema_metadata(about),
            fresh,
            compression="lz4",
            row_group_size=2**20,
            use_dictionary=repeating,
        )
        os.replace(fresh, path)
    except (OSError, pa.ArrowException):
        with suppress(OSError):
            fresh.unlink()


def _version(layout: pa.Schema) -> bytes:
    return f"{VERSION} {[(field.name, str(field.type)) for field in layout]}".encode()
