"""What Python prints in an attempt's context goes to that attempt's log; everything else goes on as before."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Protocol


class Printed(Protocol):
    """Whoever takes what is printed; `closed` once it takes no more."""

    closed: bool

    def write_log(self, text: str) -> None:
        """Take a piece of text."""


printing: ContextVar[Printed | None] = ContextVar("orchestrator_nb_printing", default=None)
"""Where `print` goes in this context; asyncio tasks and everything else that copies the context inherit it."""

_STREAMS = ("stdout", "stderr")
_lock = threading.Lock()
_users: set[object] = set()


class RoutedStream:
    """Stands in for sys.stdout or sys.stderr: writes to the attempt of the calling context, else to the original."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def write(self, text: str) -> int:
        """Write text as a text stream does; a missing original swallows it, as `print` does."""
        attempt = printing.get()
        if attempt is not None and not attempt.closed:
            if not isinstance(text, str):
                raise TypeError(f"write() argument must be str, not {type(text).__name__}")
            attempt.write_log(text)
            return len(text)
        if self.original is None:
            return len(text)
        written = self.original.write(text)
        return written if isinstance(written, int) else len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the original; what goes to an attempt needs no flushing."""
        attempt = printing.get()
        if self.original is not None and (attempt is None or attempt.closed):
            self.original.flush()

    def isatty(self) -> bool:
        """Whether what is written here reaches a terminal."""
        return printing.get() is None and self.original is not None and bool(self.original.isatty())

    def __getattr__(self, name: str) -> Any:
        if self.original is None:
            raise AttributeError(f"this process has no standard streams, so there is no {name!r}")
        return getattr(self.original, name)


def install(user: object) -> None:
    """Route sys.stdout and sys.stderr until `uninstall` was called for everyone that `install` was called for."""
    with _lock:
        _users.add(user)
    ensure()


def ensure() -> None:
    """Route the streams that are there now: notebooks' magics and test runners put others there at any time."""
    if isinstance(sys.stdout, RoutedStream) and isinstance(sys.stderr, RoutedStream):
        return
    with _lock:
        for name in _STREAMS:
            current = getattr(sys, name)
            if _users and not isinstance(current, RoutedStream):
                setattr(sys, name, RoutedStream(current))


def uninstall(user: object) -> None:
    """Put the original streams back when nobody needs the routing any more.

    A stream that someone else has put there since is left to them; routing that they put back later does no harm.
    """
    with _lock:
        _users.discard(user)
        for name in _STREAMS:
            current = getattr(sys, name)
            if not _users and isinstance(current, RoutedStream):
                setattr(sys, name, current.original)
