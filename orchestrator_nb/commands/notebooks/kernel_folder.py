"""The private folder of a kernel, for its sockets and data: made, held as long as its owner lives, and removed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

PREFIX = "onb-"

HELD = "held"
"""The file whose lock the owner of a folder holds; the system lets go of it when the process dies."""

LONGEST = 70
"""Characters of a folder for sockets: their addresses end at 104 on macOS and 108 on Linux."""

SETTLED = 60.0
"""Seconds after which a folder that nobody holds was left behind, and is not just being made."""


class KernelFolder:
    """A folder that only its user can enter, at `path`; `close` removes it."""

    def __init__(self) -> None:
        import tempfile

        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        if os.name != "nt" and len(str(self.path)) > LONGEST:  # names of sockets would not fit below a long TMPDIR
            self.path.rmdir()
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
        self._lock = _lock(self.path)
        self._lock.acquire()

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


def remove_dead_folders(*, older_than: float = SETTLED) -> list[Path]:
    """Remove the folders of this user whose owner died, if untouched for `older_than` seconds; return which."""
    removed = []
    for folder in _folders():
        with suppress(OSError):  # it is gone, or not ours after all
            if time.time() - folder.stat().st_mtime >= older_than and _is_free(folder):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed


def _folders() -> Iterator[Path]:
    """Yield what has the form of such a folder and belongs to this user."""
    from tempfile import gettempdir

    for place in dict.fromkeys((gettempdir(), "/tmp")):  # noqa: S108 - where long names are avoided
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                    if os.name == "nt" or entry.stat(follow_symlinks=False).st_uid == os.getuid():
                        yield Path(entry.path)


def _is_free(folder: Path) -> bool:
    """Whether nobody holds the folder."""
    from filelock import Timeout

    if not (folder / HELD).exists():  # not of our making, or its maker died at once: only an empty one is taken
        return not any(folder.iterdir())
    lock = _lock(folder)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    lock.release()
    return True


def _lock(folder: Path) -> Any:
    from filelock import FileLock

    return FileLock(folder / HELD, is_singleton=False, thread_local=False)
