"""Rows of a history by command and by moment, kept in a file that is mapped into memory: what sums are made of quickly.

The rows of one command of one workflow stand side by side, a stretch, in the order in which they began. So the latest rows
of a command and what changed from one run to the next are a slice, sums by command are one pass, and columns of which
nothing is wanted are never read. A file says of which runs its rows are, each with the hash of the last line of its
journal that is in them; it can be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator_nb.analytics.arrow_file import mapped, save
from orchestrator_nb.analytics.tables import in_one_piece, lists
from orchestrator_nb.journal.index.schema import VERSION

COLUMNS: Mapping[str, Sequence[str]] = {
    "attempts": (
        "run", "workflow", "command", "started", "attempt", "generation", "outcome", "seconds", "waited",
        "kernel_seconds", "failure_kind", "failure_type", "failure_message",
    ),
    "commands": ("run", "workflow", "command", "started", "fingerprint", "tags"),
}  # fmt: skip
"""The frames that have a ledger, and what is in it of each."""

_NAMES = ("workflow", "command", "tags")
_SUMMED = ("waited", "kernel_seconds")  # what is missing counts for nothing
_ABOUT = b"orchestrator_nb.ledger"
_NOT_READABLE = (OSError, pa.ArrowException, KeyError, TypeError, msgspec.MsgspecError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Rows by stretches: `stretches` has workflow and command of each, `starts` where it begins, the number of all rows
    last. `table` has the columns; in ``run`` are places in `runs`, where "" stands for a run whose rows no longer count.
    `tags` are those of the commands of each run that has any, where they are wanted."""

    stretches: Sequence[tuple[str, str]]
    starts: Any
    runs: Sequence[str]
    table: pa.Table
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def without(self, runs: Collection[str]) -> Ledger:
        """Return it with the rows of these runs counting for nothing."""
        kept = ["" if run in runs else run for run in self.runs]
        return replace(self, runs=kept, tags={run: tags for run, tags in self.tags.items() if run not in runs})


def ledger(table: pa.Table) -> Ledger:
    """Return the ledger of rows that have the `COLUMNS` of a frame. Rows that have not begun are left out."""
    tags = _tags(table) if "tags" in table.column_names else {}
    begun = table.column("started").is_valid()
    table = in_one_piece(table.filter(begun) if table.column("started").null_count else table)
    run, flow, command = (table.column(name).combine_chunks() for name in ("run", "workflow", "command"))
    flows, commands = flow.dictionary.to_pylist(), command.dictionary.to_pylist()
    key = flow.indices.to_numpy().astype(np.int64) * len(commands) + command.indices.to_numpy()
    order = np.lexsort((table.column("started").cast(pa.int64()).to_numpy(), key))
    ordered = key[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    places = [divmod(each, len(commands)) for each in ordered[first].tolist()]
    columns = {"run": run.indices}
    for name in table.column_names:
        if name not in ("run", *_NAMES):
            columns[name] = _without_gaps(name, table.column(name).combine_chunks())
    return Ledger(
        stretches=[(flows[of], commands[place]) for of, place in places],
        starts=np.append(first, len(order)),
        runs=run.dictionary.to_pylist(),
        table=pa.table(columns).take(pa.array(order)),
        tags=tags,
    )


def _without_gaps(name: str, values: pa.Array) -> pa.Array:
    if not pa.types.is_floating(values.type):
        return values
    return values.fill_null(0.0 if name in _SUMMED else float("nan"))


def _tags(table: pa.Table) -> dict[str, list[str]]:
    run, tags = (in_one_piece(table.select([name])).column(name).combine_chunks() for name in ("run", "tags"))
    if not len(tags.dictionary):
        return {}
    width = len(tags.dictionary)
    there = tags.is_valid().to_numpy(zero_copy_only=False)
    pairs = np.unique((run.indices.to_numpy().astype(np.int64) * width + tags.indices.fill_null(0).to_numpy())[there])
    names, said = run.dictionary.to_pylist(), lists(tags.dictionary)
    found: dict[str, set[str]] = {}
    for pair in pairs.tolist():
        found.setdefault(names[pair // width], set()).update(said[pair % width] or ())
    return {name: sorted(some) for name, some in found.items() if some}


def merged(one: Ledger, other: Ledger) -> Ledger:
    """Return the rows of both; of those that began at the same moment, the ones of the first come first."""
    if not len(other.starts) or not other.stretches:
        return replace(one, tags={**one.tags, **other.tags})
    places = {name: place for place, name in enumerate(one.stretches)}
    for name in other.stretches:
        places.setdefault(name, len(places))
    began = one.table.column("started").cast(pa.int64()).to_numpy()
    new = other.table.column("started").cast(pa.int64()).to_numpy()
    added = np.zeros(len(places), dtype=np.int64)
    before, rows = [], []
    spans = zip(map(places.__getitem__, other.stretches), other.starts[:-1], other.starts[1:], strict=True)
    for place, first, last in sorted(spans):  # stretches that are new stand at the end, one after the other
        added[place] = last - first
        low, high = one.starts[place : place + 2] if place < len(one.stretches) else (len(began), len(began))
        before.append(low + np.searchsorted(began[low:high], new[first:last], side="right"))
        rows.append(len(began) + np.arange(first, last))
    order = np.insert(np.arange(len(began)), np.concatenate(before), np.concatenate(rows))
    shifted = other.table.set_column(
        other.table.schema.get_field_index("run"),
        "run",
        pc.add(other.table.column("run"), pa.scalar(len(one.runs), pa.int32())),
    )
    table = in_one_piece(pa.concat_tables([one.table, shifted]))
    lengths = np.append(np.diff(one.starts), np.zeros(len(places) - len(one.stretches), dtype=np.int64)) + added
    return Ledger(
        stretches=list(places),
        starts=np.append(0, np.cumsum(lengths)),
        runs=[*one.runs, *other.runs],
        table=table.take(pa.array(order)),
        tags={**one.tags, **other.tags},
    )


# ── the rows of some runs ───────────────────────────────────────────────────────────────────────────────────────────


class Rows:
    """The rows of some runs in a ledger: `run` is the place of each row's run in `runs`, `starts` where stretches begin,
    `flow` and `command` what they are of: places in `flows` and `commands`."""

    def __init__(self, of: Ledger, runs: Sequence[str]) -> None:
        places = {name: place for place, name in enumerate(runs)}
        number = np.array([places.get(name, -1) for name in of.runs] or [-1], dtype=np.int32)
        run = number[of.table.column("run").to_numpy()]
        self._table = of.table
        self._kept = None if (number >= 0).all() else np.flatnonzero(run >= 0)
        self.run = run if self._kept is None else run[self._kept]
        starts = of.starts if self._kept is None else np.searchsorted(self._kept, of.starts)
        there = np.flatnonzero(np.diff(starts))
        self.starts, self.lengths = starts[there], np.diff(starts)[there]
        names = [of.stretches[place] for place in there.tolist()]
        self.runs = runs
        self.flows = list(dict.fromkeys(flow for flow, _ in names))
        self.commands = list(dict.fromkeys(command for _, command in names))
        flows, commands = ({name: place for place, name in enumerate(all_)} for all_ in (self.flows, self.commands))
        self.flow = np.array([flows[flow] for flow, _ in names], dtype=np.int64)
        self.command = np.array([commands[command] for _, command in names], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.run)

    def numbers(self, name: str) -> Any:
        """Return a column of numbers, or of moments (microseconds since the epoch)."""
        column = self._table.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        values = column.to_numpy()
        return values if self._kept is None else values[self._kept]

    def codes(self, name: str) -> tuple[Any, list[str]]:
        """Return a column of names as places in a list of them, -1 for none."""
        column = self._table.column(name).combine_chunks()
        indices = column.indices.fill_null(-1) if column.null_count else column.indices
        values = indices.to_numpy()
        return (values if self._kept is None else values[self._kept]), column.dictionary.to_pylist()

    def of_rows(self, by_stretch: Any) -> Any:
        """Return for each row what its stretch has."""
        return np.repeat(by_stretch, self.lengths)

    def stretch_of(self, rows: Any) -> Any:
        """Return for each of these rows which stretch it is in."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def by_stretch(self, values: Any) -> Any:
        """Return the sum of each stretch."""
        return np.add.reduceat(values, self.starts, dtype=np.float64) if len(self.starts) else np.zeros(0)

    def by_command(self, values: Any) -> Any:
        """Return a sum for each command, whatever workflow it is of."""
        return np.bincount(self.command, weights=self.by_stretch(values), minlength=len(self.commands))

    def frame(self, rows: Any, names: Sequence[str]) -> pd.DataFrame:
        """Return columns of some rows."""
        of = self.stretch_of(rows)
        own = {
            "run": lambda: pd.Categorical.from_codes(self.run[rows], _index(self.runs)),
            "workflow": lambda: pd.Categorical.from_codes(self.flow[of], _index(self.flows)),
            "command": lambda: pd.Categorical.from_codes(self.command[of], _index(self.commands)),
        }
        taken = pa.array(rows if self._kept is None else self._kept[rows])
        rest = self._table.select([name for name in names if name not in own]).take(taken).to_pandas()
        return pd.DataFrame({name: own[name]() if name in own else rest[name] for name in names})


def _index(names: Sequence[str]) -> pd.Index[Any]:
    return pd.Index(names, dtype=object)


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────


class _About(msgspec.Struct, array_like=True, frozen=True):
    version: str
    runs: list[str]
    chains: list[str]
    stretches: list[tuple[str, str, int]]
    tags: dict[str, list[str]]


_about = msgspec.json.Decoder(_About).decode


def path_of(store: Path, name: str) -> Path:
    """Return where the ledger of a frame is kept."""
    return store / f"history.{name}.arrow"


def read(path: Path, name: str) -> tuple[Ledger, dict[str, str]] | None:
    """Return the ledger of a frame and the hash of each of its runs; None where there is none, of this layout and whole."""
    try:
        table = pa.ipc.open_file(pa.py_buffer(mapped(path))).read_all()
        about = _about(table.schema.metadata[_ABOUT])
        if about.version != _version(name) or len(about.runs) != len(about.chains):
            return None
        starts = np.append(0, np.cumsum([rows for _, _, rows in about.stretches], dtype=np.int64))
        run = table.column("run").to_numpy()
        if starts[-1] != len(run) or (len(run) and not 0 <= run.min() <= run.max() < len(about.runs)):
            return None
    except (*_NOT_READABLE, ValueError):
        return None
    found = Ledger(
        stretches=[(flow, command) for flow, command, _ in about.stretches], starts=starts, runs=about.runs,
        table=table.replace_schema_metadata(None), tags=about.tags,
    )  # fmt: skip
    return found, dict(zip(about.runs, about.chains, strict=True))


def write(path: Path, name: str, found: Ledger, chains: Mapping[str, str]) -> None:
    """Write a ledger; where that is not possible there is no file, and nothing is lost."""
    runs = [*found.runs, *(chains.keys() - set(found.runs))]
    lengths = np.diff(found.starts).tolist()
    about = _About(
        version=_version(name), runs=runs, chains=[chains[run] for run in runs],
        stretches=[(*name, rows) for name, rows in zip(found.stretches, lengths, strict=True)],
        tags={run: [*tags] for run, tags in found.tags.items()},
    )  # fmt: skip
    table = in_one_piece(found.table).replace_schema_metadata({_ABOUT: msgspec.json.encode(about)})
    save(path, table)


def _version(name: str) -> str:
    return f"{VERSION} {' '.join(COLUMNS[name])}"
