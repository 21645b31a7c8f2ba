"""The index over the journals of a store: `history.db`, which can be deleted at any time.

It is brought up to date by whoever reads it, and by nobody else. A run does not do it at its end: loading SQLAlchemy costs
more than a small run does, a reader has to catch up anyway with runs whose owner was killed, and so there is nothing
at the end of a run that could fail, wait or be torn.

Several processes write it, each for a fraction of a second at a time, under a lock that dies with its process. SQLite
keeps a rollback journal, no write-ahead log: many releases lose commits when two processes use one. A file that
is damaged, of another version or no index at all is emptied in place, never removed: a connection that somebody
still has to a removed file would take the rollback journal of the new one for its own. Where the file cannot be used at
all, in a store that cannot be written or while a frozen process holds the lock, the index is in memory and says so.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, Select, create_engine, event
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.pool import NullPool, Pool, StaticPool

from orchestrator_nb.journal.index import schema
from orchestrator_nb.journal.index.journals import Stamp, Updated, bring_up_to_date, outdated, remove, stamps

FILE, LOCK = "history.db", ".history.lock"

TURN = 0.25
"""Seconds that the index is held for writing before others get their turn."""

PATIENCE = 5.0
"""Seconds that are waited for others who write it."""


T = TypeVar("T")


class _NotAnIndex(Exception):
    """The file is no index of this version."""


_UNUSABLE = (_NotAnIndex, DBAPIError, Timeout, OSError)
"""What makes a file of no use."""


class Index:
    """The index of one store, for one thread at a time. `note` says why it is in memory, where it is.

    To be closed after use. Raises StoreError when the store itself cannot be read.
    """

    def __init__(self, store: Path, *, patience: float = PATIENCE, anew: bool = False) -> None:
        """With `anew`, it is made in memory of the journals, and the file is not looked at."""
        self.note: str | None = None
        self._store = store.absolute()
        self._path = self._store / FILE
        self._patience = patience
        self._in_memory = False
        self._engine = _engine(self._connect, NullPool)
        if anew:
            self._in_memory = True
            memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._engine = _engine(lambda: memory, StaticPool)

    def close(self) -> None:
        """Let go of what is in memory."""
        self._engine.dispose()

    def update(self) -> Updated:
        """Take in what the journals say by now, and return what was done for it."""
        found = self._found()
        return self._try(lambda: self._take_in(found))

    def read(self, query: Select[Any]) -> list[dict[str, Any]]:
        """Bring the index up to date and return the rows that a query of the tables in `schema` finds."""
        return self.look(lambda connection: [{**row} for row in connection.execute(query).mappings()])

    def look(self, action: Callable[[Connection], T]) -> T:
        """Bring the index up to date and return what `action` makes of it: all that it reads is of one moment.

        It is called again where the file turned out to be of no use.
        """
        found = self._found()

        def act() -> T:
            self._take_in(found)
            with self._engine.connect() as connection:
                return action(connection)

        return self._try(act)

    def _found(self) -> dict[str, Stamp]:
        found = stamps(self._store)
        if not found and not self._in_memory and not self._path.exists():
            self._go_to_memory()  # nothing is written where there are no runs
        return found

    def _try(self, action: Callable[[], T]) -> T:
        """Do something that uses the index, again where the file had to be emptied first or to be left."""
        emptied = False
        while True:
            try:
                return action()
            except _UNUSABLE as error:
                if self._in_memory:
                    raise
                unsound = isinstance(error, _NotAnIndex) or type(error) is DatabaseError
                if emptied or not unsound or not self._empty_file():
                    self._leave_file(error)
                emptied = True

    def _take_in(self, found: Mapping[str, Stamp]) -> Updated:
        left, gone = self._outdated(found)
        done = Updated()
        if gone:
            with self._writing() as connection:
                done = Updated(removed=remove(connection, self._store, gone))
        while left:
            with self._writing() as connection:
                more, left = bring_up_to_date(connection, self._store, found, left, seconds=TURN)
            done = done.and_then(more)
            if left and not self._in_memory:
                time.sleep(0.01)  # longer than the time between two looks of whoever waits for the lock
        return done

    def _outdated(self, found: Mapping[str, Stamp]) -> tuple[list[str], list[str]]:
        """Return which runs have something new and which are gone; the lock is not needed but for an empty file."""
        with self._engine.connect() as connection:
            if _is_laid_out(connection):
                return outdated(connection, found)
        with self._writing() as connection:
            return outdated(connection, found)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Hold the index for writing; what is written is there whole after the block, or not at all."""
        with self._lock(), self._engine.connect().execution_options(writing=True) as connection, connection.begin():
            if not _is_laid_out(connection):
                schema.metadata.create_all(connection, checkfirst=False)
                connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")
            yield connection

    # ── the file ────────────────────────────────────────────────────────────────────────────────────────────────

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=self._patience, isolation_level=None)
        # Half of a large transaction in the file would lock readers out until the other half is there.
        connection.execute("PRAGMA cache_spill = OFF")
        return connection

    @contextmanager
    def _lock(self) -> Iterator[None]:
        if self._in_memory:
            yield
            return
        lock = FileLock(self._store / LOCK, timeout=self._patience, is_singleton=False, thread_local=False)
        lock.acquire(poll_interval=0.005)
        try:
            yield
        finally:
            lock.release()

    def _empty_file(self) -> bool:
        """Empty the file unless somebody has done it meanwhile; False when that is not possible."""
        try:
            with self._lock():
                with suppress(_NotAnIndex, DBAPIError), self._engine.connect() as connection:
                    sound = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() == "ok"
                    if _is_laid_out(connection) and sound:
                        return True
                # By its name: to close the file would let go of the locks that SQLite has on it in this process.
                os.truncate(self._path, 0)
        except (Timeout, OSError):
            return False
        return True

    # ── in memory ───────────────────────────────────────────────────────────────────────────────────────────────

    def _leave_file(self, error: Exception) -> None:
        why = str(error.orig if isinstance(error, DBAPIError) else error)
        if isinstance(error, Timeout):
            why = f"another process has held it for {self._patience:g} s"
        self.note = f'the index "{self._path}" cannot be used ({why}); what is shown was read from the journals'
        self._go_to_memory()

    def _go_to_memory(self) -> None:
        """Go on with an index in memory, which begins as a copy of the file where that can be read."""
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as file:
            # The copying itself would wait for ever for a lock, so that of a reader is taken first.
            file.execute("PRAGMA busy_timeout = 200")
            file.execute("BEGIN")
            sound = file.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
            if sound and file.execute("PRAGMA user_version").fetchone() == (schema.VERSION,):
                file.backup(memory)
        self._in_memory = True
        self._engine = _engine(lambda: memory, StaticPool)


def _engine(connect: Callable[[], sqlite3.Connection], pool: type[Pool]) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=pool,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # Writers say so first: of two readers that both come to write, one would be refused.
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _is_laid_out(connection: Connection) -> bool:
    """Tell whether the tables are there; False for an empty file. Raises _NotAnIndex for other content."""
    names = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    version = connection.exec_driver_sql("PRAGMA user_version").scalar()
    if names and (version != schema.VERSION or not names >= schema.metadata.tables.keys()):
        raise _NotAnIndex("it is no index of this version")
    return bool(names)
