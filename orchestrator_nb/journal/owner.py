"""Who owns a run: one process at a time, by a lock that dies with it."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator_nb.data.disk import write_error
from orchestrator_nb.errors import RunRefused, StoreError
from orchestrator_nb.journal.identity import end, identity, is_here, is_suspended, lives

LOCK, CARD = "owner.lock", "owner.json"

PATIENCE = 0.5
"""Seconds that a lock is asked for: whoever looks whether a run is owned holds it for a moment."""

POLL = 0.01
"""Seconds between two attempts at the lock."""

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What the system says where a file system knows no locks, as some on networks and in user space."""

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
        self._folder = run_folder.resolve()
        self._card = run_folder / CARD
        with _guard:
            if self._folder in _held:
                raise RunRefused(f'"{run_folder.name}" is owned by this process already')
            _held.add(self._folder)
        try:
            self._unlock: Callable[[], None] | None = _lock(run_folder / LOCK)
        except TimeoutError as error:
            self._forget()
            raise RunRefused(
                f'"{run_folder.name}" is owned by {holder(run_folder)}; wait for it, stop it, or end it and go on here '
                f"with --take-over (take_over=True)"
            ) from error
        except OSError as error:
            self._forget()
            if error.errno in NO_LOCKS:
                raise StoreError(
                    f'"{run_folder}" cannot be owned: its file system has no locks ({error.strerror}), so that nothing '
                    "would keep a second owner away; name a store on a local disk with --store (store=)"
                ) from error
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
        if self._unlock is not None:
            self._unlock()
            self._unlock = None
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

    def _lock(path: Path) -> Callable[[], None]:
        """Lock the file and return what unlocks it. Raises TimeoutError after `PATIENCE`, and OSError."""
        from filelock import FileLock, Timeout

        lock = FileLock(path, timeout=PATIENCE, is_singleton=False, thread_local=False)
        try:
            lock.acquire(poll_interval=POLL)
        except Timeout as error:
            raise TimeoutError(str(error)) from error
        return lock.release

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
    import fcntl

    def _lock(path: Path) -> Callable[[], None]:
        """Lock the file and return what unlocks it. Raises TimeoutError after `PATIENCE`, and OSError."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return partial(_unlock, file)
            except OSError as error:
                if not isinstance(error, BlockingIOError | PermissionError):
                    os.close(file)
                    raise
                if time.monotonic() >= deadline:
                    os.close(file)
                    raise TimeoutError(f'"{path}" is locked') from error
            except BaseException:
                os.close(file)
                raise
            time.sleep(POLL)

    def _unlock(file: int) -> None:
        # Said, and not left to the closing: a process that was forked meanwhile has the file open, too.
        with suppress(OSError):  # a command has closed it, and it is let go of
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)

    def _is_locked(path: Path) -> bool:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # Shared, so that any number may look at the same time without taking one another for the owner.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        finally:
            os.close(file)
        return False
