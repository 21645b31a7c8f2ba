"""Who owns a run: one process at a time, by a lock that dies with it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from orchestrator_nb.data.disk import write_error
from orchestrator_nb.errors import RunRefused, StoreError
from orchestrator_nb.journal.identity import end, identity, is_here, is_suspended, lives

LOCK, CARD = "owner.lock", "owner.json"

PATIENCE = 0.5
"""Seconds that a lock is asked for: whoever looks whether a run is owned holds it for a moment."""

TAKING = 10.0
"""Seconds that a take-over may last, the end of the owner included."""

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
        self._card = run_folder / CARD
        with _guard:
            if self._folder in _held:
                raise RunRefused(f'"{run_folder.name}" is owned by this process already')
            _held.add(self._folder)
        self._lock = FileLock(run_folder / LOCK, timeout=PATIENCE, is_singleton=False, thread_local=False)
        try:
            self._lock.acquire(poll_interval=0.01)
        except Timeout as error:
            self._forget()
            raise RunRefused(
                f'"{run_folder.name}" is owned by {holder(run_folder)}; wait for it, stop it, or end it and go on here '
                f"with --take-over (take_over=True)"
            ) from error
        except OSError as error:
            self._forget()
            raise write_error(f'"{run_folder}" cannot be owned', run_folder, error) from error
        except BaseException:
            self._forget()
            raise
        try:
            part = self._card.with_name(f".{CARD}.part")
            part.write_text(json.dumps(identity()), encoding="utf-8")
            os.replace(part, self._card)
        except OSError as error:
            self.release()
            raise write_error(f'"{run_folder}" cannot be written', run_folder, error) from error

    def release(self) -> None:
        """Let go of the run."""
        self._lock.release()
        self._forget()

    def _forget(self) -> None:
        with _guard:
            _held.discard(self._folder)


def take_over(run_folder: Path) -> Ownership:
    """Take the run, also from a process of this host that owns it: that one is killed, which a run survives.

    Raises RunRefused naming the holder where it cannot be ended, and StoreError.
    """
    deadline = time.monotonic() + TAKING
    while True:
        try:
            return Ownership(run_folder)
        except RunRefused:
            card = _card_of(run_folder)
            if run_folder.resolve() in _held or time.monotonic() >= deadline:
                raise
            # A card of a dead process is that of the owner before: the present one is about to write its own.
            if card is not None and (not is_here(card) or lives(card)):
                end(card)


def holder(run_folder: Path) -> str:
    """Return who holds the run, in words."""
    card = _card_of(run_folder)
    if card is None:
        return "another process"
    frozen = ", which is suspended" if lives(card) and is_suspended(int(card["pid"])) else ""
    return f"process {card['pid']} on {card['host']}{frozen}"


def _card_of(run_folder: Path) -> dict[str, Any] | None:
    try:
        card = json.loads((run_folder / CARD).read_text(encoding="utf-8"))
        return {**card, "pid": int(card["pid"]), "host": str(card["host"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_owned(run_folder: Path) -> bool:
    """Tell whether a living process owns the run. Raises StoreError where that cannot be seen."""
    if run_folder.resolve() in _held:
        return True
    path = run_folder / LOCK
    try:
        return path.exists() and _is_locked(path)
    except OSError as error:
        raise StoreError(f'"{path}" cannot be looked at: {error.strerror or error}') from error


if sys.platform == "win32":

    def _is_locked(path: Path) -> bool:
        from filelock import FileLock, Timeout

        lock = FileLock(path, timeout=0, is_singleton=False)
        try:
            lock.acquire()
        except Timeout:
            return True
        lock.release()
        return False

else:

    def _is_locked(path: Path) -> bool:
        import fcntl

        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # Shared, so that any number may look at the same time without taking one another for the owner.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        finally:
            os.close(file)
        return False
