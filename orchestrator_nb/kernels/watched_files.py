"""Whether one of many files has changed since it was read: asked of the system's watches, else of each file anew.

Asking each of some thousand files before each fork would cost more than the fork, and the memory that is touched for
it would be copied for each kernel.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

_MODIFIED, _ATTRIBUTES, _MOVED_FROM, _MOVED_TO, _CREATED, _DELETED = 0x2, 0x4, 0x40, 0x80, 0x100, 0x200
_SELF_DELETED, _SELF_MOVED, _ONLY_DIRECTORY = 0x400, 0x800, 0x01000000
_CHANGES = (
    _MODIFIED | _ATTRIBUTES | _MOVED_FROM | _MOVED_TO | _CREATED | _DELETED | _SELF_DELETED | _SELF_MOVED
    | _ONLY_DIRECTORY
)  # fmt: skip

_LOCAL = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
"""File systems on which nobody but this machine changes anything, so that it knows of each change."""

_ESCAPED = re.compile(r"\\([0-7]{3})")

Stamp = tuple[int, int] | None


class WatchedFiles:
    """Files as they are now; to be made in the process that asks. A file that is not there may come."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._stamps: dict[str, Stamp] = {}
        self._asked: dict[str, Stamp] = {}
        self._watch: int | None = None
        files: dict[str, list[str]] = {}
        for path in paths:
            files.setdefault(os.path.dirname(os.path.abspath(path)), []).append(path)
        unwatched = self._watch_folders(files)
        for folder, names in files.items():
            for name in names:
                watched = folder not in unwatched and not os.path.islink(name)
                (self._stamps if watched else self._asked)[name] = stamp(name)

    @property
    def descriptor(self) -> int | None:
        """The descriptor of the watches, None where there are none; it is none of a forked process's business."""
        return self._watch

    def changed(self) -> str | None:
        """Return a file that is not what it was, None where all are."""
        return _first_changed(self._asked) or (_first_changed(self._stamps) if self._has_news() else None)

    def _watch_folders(self, folders: Iterable[str]) -> set[str]:
        """Watch what can be; return the directories that cannot."""
        unwatched = set(folders)
        if not sys.platform.startswith("linux"):
            return unwatched
        libc: Any = ctypes.CDLL(None, use_errno=True)
        watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if watch < 0:
            return unwatched
        self._watch, local = watch, _Local()
        for folder in sorted(unwatched):
            # what is reached through a link would change unseen where the link is made to lead elsewhere
            if os.path.realpath(folder) == folder and local.has(folder):
                if libc.inotify_add_watch(watch, os.fsencode(folder), _CHANGES) >= 0:
                    unwatched.discard(folder)
        return unwatched

    def _has_news(self) -> bool:
        """Tell whether anything has happened in the watched directories since this was asked last."""
        news = False
        with suppress(BlockingIOError):
            while self._watch is not None and os.read(self._watch, 65536):
                news = True
        return news


class _Local:
    """Knows on which file system a directory lies."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                place, _, kind = line.partition(" - ")
                point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), place.split()[4])
                self._kinds[point] = kind.split()[0]

    def has(self, folder: str) -> bool:
        """Whether nobody but this machine can change what is in it."""
        place = folder
        while place not in self._kinds and place != os.path.dirname(place):
            place = os.path.dirname(place)
        return self._kinds.get(place) in _LOCAL


def stamp(path: str) -> Stamp:
    """Return what a file cannot keep when it is changed; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _first_changed(stamps: dict[str, Stamp]) -> str | None:
    return next((path for path, was in stamps.items() if stamp(path) != was), None)
