"""Bringing the index up to date with the journals, inside a transaction of the caller's.

Of each journal only what was added is read, once its stamp (inode, size, times) has changed. It was added to when the
line that ends at the recorded position still has the recorded hash; a journal that was replaced, cut or rewritten in
place is read anew from its beginning. Rows and position are written together, so that a death leaves both or neither.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, ProgrammingError

from orchestrator_nb.errors import StoreError
from orchestrator_nb.events import AttemptStarted, Event
from orchestrator_nb.journal.file import Position, continues, scan
from orchestrator_nb.journal.index import schema
from orchestrator_nb.journal.index.changes import apply
from orchestrator_nb.journal.index.rows import Row, Rows, commands_of, new_run
from orchestrator_nb.journal.index.writing import write_rows
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.state.transitions import IllegalTransition

CHUNK = 5_000
"""Events whose rows are kept in memory until they are written."""

ASKED = 500
"""Commands that are asked for in one query."""

_NOT_STORABLE = (
    ArithmeticError, LookupError, RecursionError, TypeError, ValueError,
    DataError, IntegrityError, InterfaceError, ProgrammingError,
)  # fmt: skip
"""What a journal that verifies and yet says nonsense may cause: a number of a hundred digits, a text as a time."""


_POSITIONS = select(schema.positions, schema.runs.c.run, schema.runs.c.damaged).join_from(
    schema.runs, schema.positions, schema.runs.c.key == schema.positions.c.run_key
)
_STAMPS = select(schema.runs.c.run, schema.positions.c.stamp).join_from(
    schema.runs, schema.positions, schema.runs.c.key == schema.positions.c.run_key
)
_RUN = select(schema.runs).where(schema.runs.c.key == bindparam("of_key"))
_COMMANDS = select(schema.commands).where(schema.commands.c.run_key == bindparam("of_run"))
_SETTLED_AT = select(schema.commands.c.command, schema.commands.c.settled).where(
    schema.commands.c.run_key == bindparam("of_run")
)
_DELETE = [delete(table).where(table.c.run_key == bindparam("of_run")) for table in schema.OF_A_RUN]
_DELETE_RUN = delete(schema.runs).where(schema.runs.c.key == bindparam("of_run"))
_NEW_RUN = insert(schema.runs)
_DAMAGED = update(schema.runs).where(schema.runs.c.key == bindparam("of_key")).values(damaged=bindparam("why"))
_SETTLED = insert(schema.positions).prefix_with("OR REPLACE")


class Stamp(NamedTuple):
    """What tells that a file is as it was; `size` is -1 for a journal that was not read to its end."""

    inode: int
    size: int
    modified: int
    changed: int

    def __str__(self) -> str:
        return " ".join(map(str, self))


class Updated(NamedTuple):
    """What an update did: how many `runs` it read, how many `bytes` of their journals, how many runs were `removed`."""

    runs: int = 0
    bytes: int = 0
    removed: int = 0

    def and_then(self, other: Updated) -> Updated:
        """Return both together."""
        return Updated(*(mine + its for mine, its in zip(self, other, strict=True)))


class _Known(NamedTuple):
    """How far a run is in the index."""

    key: int
    stamp: Stamp
    position: Position
    damaged: bool


def stamps(store: Path) -> dict[str, Stamp]:
    """Return the stamp of the journal of every run in the store. Raises StoreError when it cannot be read."""
    found: dict[str, Stamp] = {}
    try:
        with os.scandir(store) as entries:
            for entry in entries:
                try:
                    stat = os.stat(os.path.join(entry.path, JOURNAL))
                    entry.name.encode()
                except (OSError, UnicodeEncodeError):  # no run, or one whose name nobody can type
                    continue
                found[entry.name] = Stamp(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f'the store "{store}" cannot be read: {error.strerror or error}') from error
    return found


def outdated(connection: Connection, found: Mapping[str, Stamp]) -> tuple[list[str], list[str]]:
    """Return the runs whose journals have something new, the latest first, and those that are gone from the store."""
    known = {row[0]: row[1] for row in connection.execute(_STAMPS)}
    news = [run for run, stamp in found.items() if known.get(run) != str(stamp)]
    return sorted(news, key=lambda run: found[run].modified, reverse=True), sorted(known.keys() - found.keys())


def remove(connection: Connection, store: Path, runs: Collection[str]) -> int:
    """Delete the rows of these runs, unless they are in the store; return of how many."""
    gone = [run for run in runs if not (store / run / JOURNAL).exists()]
    known = _known(connection, gone)
    for run in known.values():
        _delete(connection, run.key, itself=True)
    return len(known)


def bring_up_to_date(
    connection: Connection, store: Path, found: Mapping[str, Stamp], runs: list[str], *, seconds: float
) -> tuple[Updated, list[str]]:
    """Write what is new in the journals of these runs, for so many seconds; tell what was done and which runs are left.

    A journal that cannot be read is named in `runs.damaged`, and what it says before that is in the rows.
    """
    deadline = time.monotonic() + seconds
    done = Updated()
    for first in range(0, len(runs), ASKED):
        some = runs[first : first + ASKED]
        known = _known(connection, some)  # another process may have come before this one
        for number, run in enumerate(some, first):
            stamp, before = found[run], known.get(run)
            if before is not None and before.stamp == stamp:
                continue
            read, whole = _Journal(connection, store / run, stamp, before).bring_up_to_date(deadline)
            done = done.and_then(Updated(runs=1, bytes=read))
            if not whole or time.monotonic() >= deadline:
                return done, runs[number + whole :]
    return done, []


class _Journal:
    """A journal that has something new, and the rows of its run."""

    def __init__(self, connection: Connection, folder: Path, stamp: Stamp, known: _Known | None) -> None:
        self._connection = connection
        self._run = folder.name
        self._path = folder / JOURNAL
        self._stamp = stamp
        self._known = known
        self._position = Position()

    def bring_up_to_date(self, deadline: float) -> tuple[int, bool]:
        """Read what is new until the deadline; return how many bytes that were, and whether the end was reached."""
        run = self._begin()
        start = self._position.offset
        turns = scan(self._path, self._position)
        stamp = self._stamp
        while True:
            events, position, damaged = self._take(turns)
            try:
                with self._connection.begin_nested():
                    damaged = self._write(run, events) or damaged
                self._position = position
            except _NOT_STORABLE as error:
                damaged = self._impossible(error)
            if damaged is not None or len(events) < CHUNK:
                break
            if time.monotonic() >= deadline:
                stamp = stamp._replace(size=-1)
                break
        self._settle(run["key"], stamp, damaged)
        return self._position.offset - start, stamp.size >= 0

    def _begin(self) -> Row:
        """Return the row of the run, as far as it is in the index and holds; from there on the journal is read."""
        known, fresh = self._known, new_run(self._run)
        if known is None:
            inserted = self._connection.execute(_NEW_RUN, fresh)
            assert inserted.inserted_primary_key is not None
            return {**fresh, "key": inserted.inserted_primary_key[0]}
        if self._goes_on(known):
            self._position = known.position
            return {**self._connection.execute(_RUN, {"of_key": known.key}).mappings().one()}
        _delete(self._connection, known.key)
        write_rows(self._connection, Rows({**fresh, "key": known.key}, {}))
        return {**fresh, "key": known.key}

    def _goes_on(self, known: _Known) -> bool:
        """Tell whether the journal was only added to since; of the same size, it was written over in place."""
        before, now = known.stamp, self._stamp
        if known.damaged or before.inode != now.inode or now.size <= before.size:
            return False
        return continues(self._path, known.position)

    def _take(self, turns: Iterator[tuple[list[Event], Position]]) -> tuple[list[Event], Position, str | None]:
        """Return the events of the next turns, the position after them, and why there are no more where that is bad."""
        events: list[Event] = []
        position = self._position
        try:
            for turn, after in turns:
                events += turn
                position = after
                if len(events) >= CHUNK:
                    break
        except StoreError as error:
            return events, position, str(error)
        except RecursionError as error:
            return events, position, self._impossible(error)
        return events, position, None

    def _write(self, run: Row, events: list[Event]) -> str | None:
        """Write what the events change; return what is impossible in them, up to which they are written."""
        if not events:
            return None
        names = commands_of(events)
        known = _commands(self._connection, run["key"], names)
        before = {} if names is None else _settled(self._connection, run["key"], known, events)
        rows = Rows(run, known, before)
        impossible = None
        for seq, event in enumerate(events, self._position.seq + 1):
            try:
                apply(rows, event, seq)
            except IllegalTransition as error:
                impossible = self._impossible(error)
                break
        write_rows(self._connection, rows)
        return impossible

    def _settle(self, key: int, stamp: Stamp, damaged: str | None) -> None:
        """Note how far the run is in the index now."""
        if damaged is not None and not self._path.exists():  # the run was deleted meanwhile
            _delete(self._connection, key, itself=True)
            return
        offset, seq, chain = self._position
        place = {"run_key": key, "stamp": str(stamp), "offset": offset, "seq": seq, "chain": chain}
        if damaged is not None:
            self._connection.execute(_DAMAGED, {"of_key": key, "why": damaged})
        self._connection.execute(_SETTLED, place)

    def _impossible(self, error: Exception) -> str:
        return f'the journal "{self._path}" tells something impossible: {error}'


def _known(connection: Connection, runs: Collection[str]) -> dict[str, _Known]:
    """Return how far these runs are in the index."""
    found: dict[str, _Known] = {}
    for row in connection.execute(_POSITIONS.where(schema.runs.c.run.in_(runs))):
        position = Position(row.offset, row.seq, row.chain)
        stamp = Stamp(*map(int, row.stamp.split()))
        found[row.run] = _Known(row.run_key, stamp, position, damaged=row.damaged is not None)
    return found


def _commands(connection: Connection, key: int, names: Collection[str] | None) -> dict[str, Row]:
    """Return the rows of the run's commands by id: those that are named, or all."""
    if names is None:
        return {row["command"]: {**row} for row in connection.execute(_COMMANDS, {"of_run": key}).mappings()}
    found: dict[str, Row] = {}
    asked = sorted(names)
    for first in range(0, len(asked), ASKED):
        some = _COMMANDS.where(schema.commands.c.command.in_(asked[first : first + ASKED]))
        found.update((row["command"], {**row}) for row in connection.execute(some, {"of_run": key}).mappings())
    return found


def _settled(
    connection: Connection, key: int, known: Mapping[str, Row], events: list[Event]
) -> dict[str, float | None]:
    """Return when those commands came to their end that the ones which start here are after, but for the known ones."""
    starting = [known.get(event.command) for event in events if isinstance(event, AttemptStarted)]
    asked = sorted({name for row in starting if row is not None for name in row["upstream"] if name not in known})
    found: dict[str, float | None] = {}
    for first in range(0, len(asked), ASKED):
        some = _SETTLED_AT.where(schema.commands.c.command.in_(asked[first : first + ASKED]))
        found.update((row.command, row.settled) for row in connection.execute(some, {"of_run": key}))
    return found


def _delete(connection: Connection, key: int, *, itself: bool = False) -> None:
    """Delete the rows of a run, that in `runs` only when told to."""
    for query in _DELETE:
        connection.execute(query, {"of_run": key})
    if itself:
        connection.execute(_DELETE_RUN, {"of_run": key})
