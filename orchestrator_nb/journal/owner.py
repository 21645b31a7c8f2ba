"""Who owns a run: one process at a time, by a lock that dies with it."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from orchestrator_nb.errors import RunRefused, StoreError

_held: set[Path] = set()
_guard = threading.Lock()


class Ownership:
    """The right to write a run's journal, held until `release` or the death of the process.

    The lock is the operating system's, on an open file that child processes do not inherit; a second owner inside
    this process is refused by a registry, because such a lock does not keep threads of one process apart.
    """

    def __init__(self, run_folder: Path) -> None:
        """Take the run. Raises RunRefused naming the holder, and StoreError when the folder cannot be written."""
        from filelock import FileLock, Timeout

        self._folder = run_folder.resolve()
        self._card = run_folder / "owner.json"
        with _guard:
            if self._folder in _held:
                raise RunRefused(f'"{run_folder.name}" is owned by this process already')
            _held.add(self._folder)
        self._lock = FileLock(run_folder / "owner.lock", timeout=0, is_singleton=False, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout as error:
            self._forget()
            raise RunRefused(f'"{run_folder.name}" is owned by {holder(run_folder)}') from error
        except OSError as error:
            self._forget()
            raise StoreError(f'"{run_folder}" cannot be owned: {error.strerror or error}') from error
        try:
            self._card.write_text(json.dumps(identity()), encoding="utf-8")
        except OSError as error:
            self.release()
            raise StoreError(f'"{run_folder}" cannot be written: {error.strerror or error}') from error

    def release(self) -> None:
        """Let go of the run."""
        self._lock.release()
        self._forget()

    def _forget(self) -> None:
        with _guard:
            _held.discard(self._folder)


def identity() -> dict[str, Any]:
    """Return what tells this process from others: pid, host and when it asked, in seconds since the epoch."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": round(time.time(), 3)}


def holder(run_folder: Path) -> str:
    """Return who holds the run, in words."""
    try:
        card = json.loads((run_folder / "owner.json").read_text(encoding="utf-8"))
        return f"process {card['pid']} on {card['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def is_owned(run_folder: Path) -> bool:
    """Tell whether a living process owns the run."""
    from filelock import FileLock, Timeout

    if run_folder.resolve() in _held:
        return True
    path = run_folder / "owner.lock"
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0, is_singleton=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError as error:
        raise StoreError(f'"{path}" cannot be looked at: {error.strerror or error}') from error
    lock.release()
    return False
