"""What differs between two checkpoints: which files, which cells of a notebook, which rows of a table, which lines."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator_nb.checkpoints.entries import changes_between
from orchestrator_nb.checkpoints.record import Checkpoint
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.errors import CheckpointError, CheckpointNotFound

TABLES = (".csv", ".tsv", ".parquet")
MOST_ROWS = 10
"""So many rows of each side are shown."""
MOST_BYTES = 32 << 20
"""Above this a table is not compared row by row."""


@dataclass(frozen=True, slots=True)
class FileDifference:
    """One file: `kind` is added, removed, changed or mode (only whether it can be executed, or what it is)."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class CellDifference:
    """One cell of a notebook: `kind` is added, removed, source, outputs or metadata; `cell` counts from 0, in the later
    notebook for an added one, else in the earlier."""

    kind: str
    cell: int
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class TableDifference:
    """Rows as a whole: `added` and `removed` count those that only one side has, in any order; `columns_added` and
    `columns_removed` are names. Rows are compared by the columns that both have; `rows` are the first few of those that
    differ, "+ " or "- " before their values."""

    rows_before: int
    rows_after: int
    added: int
    removed: int
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    rows: tuple[str, ...] = ()


def difference(store: CheckpointStore, before: Checkpoint, after: Checkpoint) -> tuple[FileDifference, ...]:
    """Return which files differ, by path."""
    (found,) = changes_between(store.git, [(before.tree, after.tree)])
    differences = []
    for path, change in sorted(found.items()):
        if change.before is None:
            kind = "added"
        elif change.after is None:
            kind = "removed"
        else:
            kind = "mode" if change.before.blob == change.after.blob else "changed"
        differences.append(FileDifference(path, kind))
    return tuple(differences)


def content_of(store: CheckpointStore, checkpoint: Checkpoint, path: str) -> bytes:
    """Return the bytes of a file in a checkpoint. Raises CheckpointError when it is not in it."""
    told = os.fsdecode(store.git.run("ls-tree", "-z", "--full-tree", checkpoint.commit, "--", path)).rstrip("\0")
    about = told.partition("\t")[0].split(" ")
    if len(about) != 3 or about[1] != "blob":
        raise CheckpointNotFound(f'there is no file "{path}" in the checkpoint {checkpoint.id}')
    return store.git.run("cat-file", "blob", about[2])


def compare(
    store: CheckpointStore, before: Checkpoint, after: Checkpoint, path: str
) -> tuple[CellDifference, ...] | TableDifference | tuple[str, ...]:
    """Return how one file differs: a notebook by cells, a table by rows, other text by the lines of a unified diff.

    Raises CheckpointError for a file that is not in both, and for one that is neither.
    """
    earlier, later = (content_of(store, each, path) for each in (before, after))
    ending = os.path.splitext(path)[1].lower()
    if ending == ".ipynb":
        return compare_notebooks(earlier, later)
    if ending in TABLES and max(len(earlier), len(later)) <= MOST_BYTES:
        return compare_tables(earlier, later, ending)
    try:
        first, second = (content.decode("utf-8").splitlines() for content in (earlier, later))
    except UnicodeDecodeError as error:
        raise CheckpointError(f'"{path}" is neither text, notebook nor table: it can only be compared whole') from error
    from difflib import unified_diff

    return tuple(unified_diff(first, second, fromfile=before.id, tofile=after.id, lineterm=""))


def compare_notebooks(earlier: bytes, later: bytes) -> tuple[CellDifference, ...]:
    """Return how two notebooks differ, cell by cell. Raises CheckpointError without nbdime, and for no notebook."""
    try:
        from nbdime.diffing.notebooks import diff_notebooks
    except ImportError as error:
        raise CheckpointError('notebooks are compared with nbdime: pip install "orchestrator-nb[nbdime]"') from error
    import nbformat

    read: Any = nbformat.reads
    try:
        first, second = (read(content.decode("utf-8"), as_version=4) for content in (earlier, later))
    except (ValueError, nbformat.ValidationError) as error:
        raise CheckpointError(f"it cannot be compared by cells, since it is no notebook: {error}") from error
    found: list[CellDifference] = []
    for change in diff_notebooks(first, second):
        if change.key == "cells":
            found.extend(_cells(change.diff, first.cells))
    return tuple(found)


def _cells(changes: Sequence[Any], cells: Sequence[Mapping[str, Any]]) -> list[CellDifference]:
    found: list[CellDifference] = []
    shift = 0  # how much further on a cell is in the later notebook
    for change in changes:
        place = change.key
        if change.op == "addrange":
            news = enumerate(change.valuelist, start=place + shift)
            found.extend(CellDifference("added", number, after=cell["source"]) for number, cell in news)
            shift += len(change.valuelist)
        elif change.op == "removerange":
            olds = range(place, place + change.length)
            found.extend(CellDifference("removed", number, before=cells[number]["source"]) for number in olds)
            shift -= change.length
        else:
            found.extend(_patched(change.diff, place, cells[place]))
    return found


def _patched(changes: Sequence[Any], place: int, cell: Mapping[str, Any]) -> list[CellDifference]:
    from nbdime import patch

    parts = {change.key for change in changes}
    if "source" in parts:
        return [CellDifference("source", place, before=cell["source"], after=patch(cell, list(changes))["source"])]
    return [CellDifference("outputs" if parts & {"outputs", "execution_count"} else "metadata", place)]


def compare_tables(earlier: bytes, later: bytes, ending: str) -> TableDifference:
    """Return how two tables differ by rows; `ending` says what they are. Raises CheckpointError for no table."""
    import pandas as pd

    def read(content: bytes) -> pd.DataFrame:
        if ending == ".parquet":
            return pd.read_parquet(io.BytesIO(content))
        return pd.read_csv(io.BytesIO(content), sep="\t" if ending == ".tsv" else ",", dtype=str, keep_default_na=False)

    try:
        first, second = read(earlier), read(later)
    except (ValueError, OSError) as error:
        raise CheckpointError(f"it cannot be compared by rows, since it is no table: {error}") from error
    shared = [name for name in first.columns if name in set(second.columns)]
    hashes = [
        pd.util.hash_pandas_object(table[shared], index=False) if shared else pd.Series(0, index=table.index)
        for table in (first, second)
    ]
    balance = hashes[1].value_counts().sub(hashes[0].value_counts(), fill_value=0)
    return TableDifference(
        rows_before=len(first),
        rows_after=len(second),
        added=int(balance[balance > 0].sum()),
        removed=int(-balance[balance < 0].sum()),
        columns_added=tuple(str(name) for name in second.columns if name not in set(first.columns)),
        columns_removed=tuple(str(name) for name in first.columns if name not in set(second.columns)),
        rows=(
            *_rows("-", first[shared], hashes[0], -balance),
            *_rows("+", second[shared], hashes[1], balance),
        ),
    )


def _rows(sign: str, table: Any, hashes: Any, more: Any) -> list[str]:
    """Return the first rows of which this side has more than the other."""
    left = {value: int(count) for value, count in more.items() if count > 0}
    found: list[str] = []
    for place, value in enumerate(hashes):
        if len(found) == MOST_ROWS or not left:
            break
        if left.get(value):
            left[value] -= 1
            found.append(f"{sign} {', '.join(str(each) for each in table.iloc[place])}")
            if not left[value]:
                del left[value]
    return found
