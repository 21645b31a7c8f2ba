"""The room that a file system has, and the error that says why something could not be written there."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from orchestrator_nb.errors import StoreError, StoreFull

FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""The error numbers that mean that there is no room; it may come back."""

REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""Those that mean that this user may not write there."""


PATIENCE = 60.0
"""Seconds that whoever has something worth keeping waits for room."""

AGAIN_AFTER = 1.0
"""Seconds between two tries."""

Kept = TypeVar("Kept")


def once_there_is_room(write: Callable[[], Kept], *, is_left: Callable[[], bool] = bool) -> Kept:
    """Call `write` again and again until it does not raise StoreFull, and return what it returns.

    After a minute, or when `is_left` says that nobody wants it any more, the StoreFull is raised.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return write()
        except StoreFull:
            if time.monotonic() >= deadline or is_left():
                raise
        time.sleep(AGAIN_AFTER)


def write_error(what: str, path: Path, error: OSError) -> StoreError:
    """Return the error to raise when something could not be written below `path`; `what` says so.

    It is a StoreFull, which names the file system and what it has left, where there was no room.
    """
    why = error.strerror or str(error)
    if error.errno in FULL:
        return StoreFull(f"{what}: {why} ({room_left(path)}); make room there, nothing that was recorded is lost")
    if error.errno in REFUSED and hasattr(os, "getuid"):
        why = f"{why}, as the user {os.getuid()}"
    return StoreError(f"{what}: {why}")


def room_left(path: Path) -> str:
    """Return in words what the file system of a path has left."""
    folder = nearest_folder(path)
    try:
        import shutil

        usage = shutil.disk_usage(folder)
        files = os.statvfs(folder) if hasattr(os, "statvfs") else None
    except OSError:
        return f'the file system of "{folder}"'
    text = f'the file system of "{folder}" has {usage.free:,} of {usage.total:,} bytes free'
    if files is not None and files.f_files and not files.f_favail:
        text += f" and none of its {files.f_files:,} inodes: it can hold no more files"
    return text


def bytes_free(path: Path) -> int | None:
    """Return how many bytes may be written on the file system of a path that need not exist; None if that is unknown."""
    try:
        if hasattr(os, "statvfs"):
            system = os.statvfs(nearest_folder(path))
            return system.f_bavail * system.f_frsize
        import shutil

        return shutil.disk_usage(nearest_folder(path)).free
    except OSError:
        return None


def nearest_folder(path: Path) -> Path:
    """Return the path itself where it is a folder, else the nearest folder above it."""
    absolute = path.absolute()
    # os.path: a folder that this user may not look into is none for them, and no error.
    return next((place for place in (absolute, *absolute.parents) if os.path.isdir(place)), absolute)
