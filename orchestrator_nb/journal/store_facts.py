"""store.jsonl: the facts of a store that are facts of no run, in the form of a journal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator_nb.errors import StoreError
from orchestrator_nb.events import Event
from orchestrator_nb.journal.file import JournalFile, read

FILE, LOCK = "store.jsonl", ".store.lock"

PATIENCE = 10.0
"""Seconds that are waited for others who record something, each for a moment."""


def record_facts(store: Path, facts: Sequence[Event]) -> None:
    """Record facts of the store, durably. Raises StoreError, and JournalDamaged when the file cannot be gone on with."""
    from filelock import FileLock, Timeout

    lock = FileLock(store / LOCK, timeout=PATIENCE, is_singleton=False, thread_local=False)
    try:
        lock.acquire(poll_interval=0.01)
    except Timeout as error:
        raise StoreError(f'another process has held "{store / LOCK}" for {PATIENCE:g} s') from error
    except OSError as error:
        raise StoreError(f'"{store / LOCK}" cannot be locked: {error.strerror or error}') from error
    try:
        journal = JournalFile(store / FILE, clock=time.time)
        try:
            journal.append(facts)
        finally:
            journal.close()
    finally:
        lock.release()


def store_facts(store: Path) -> Iterator[Event]:
    """Yield the facts of the store, none where nothing was recorded. Raises StoreError."""
    path = store / FILE
    return read(path) if path.exists() else iter(())
