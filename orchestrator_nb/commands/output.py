"""What a process writes to a pipe: read as it comes, as text, and kept within bounds."""

from __future__ import annotations

import codecs
import io
import os
import select
import threading
import time
from collections.abc import Callable
from typing import IO

CHUNK = 64 * 1024

QUIET = 0.5
"""Seconds without output after which a process that has exited is taken to have written all of it."""

LIMIT = 10.0
"""Seconds after which its output is let go although a process that it left behind still writes."""


class Pump:
    """Reads a pipe on a thread of its own, until nobody holds its other end any more, and hands on what comes as text.

    What is not UTF-8 is shown as replacement characters. After `let_go` the pipe is still read, so that a process
    that stays behind can go on writing, and what it writes is dropped.
    """

    def __init__(self, pipe: IO[bytes] | None, write: Callable[[str], None]) -> None:
        """Begin to read `pipe`, which a process was started with."""
        if pipe is None:
            raise ValueError("there is no pipe to read: the process was started without one")
        self._pipe = pipe
        self._write = write
        self._dropping = False
        self._count = 0
        self._thread = threading.Thread(target=self._run, name="orchestrator_nb output", daemon=True)
        self._thread.start()

    def let_go(self) -> bool:
        """Wait for the end of the output, then drop what still comes; False where it had not ended.

        Meant for after the exit: what was written before is waited for, but not a process that stays behind.
        """
        limit = time.monotonic() + LIMIT
        quiet_since, seen = time.monotonic(), self._count
        while self._thread.is_alive() and time.monotonic() < min(limit, quiet_since + QUIET):
            self._thread.join(0.02)
            if self._count != seen or self._has_more():
                quiet_since, seen = time.monotonic(), self._count
        self._dropping = True
        return not self._thread.is_alive()

    def _has_more(self) -> bool:
        """Whether there is something to read that the thread has not come to."""
        if os.name == "nt":
            return False
        ready = select.poll()
        try:
            ready.register(self._pipe.fileno(), select.POLLIN)
        except (OSError, ValueError):  # it has just come to the end
            return False
        return any(event & select.POLLIN for _, event in ready.poll(0))

    def _run(self) -> None:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        descriptor = self._pipe.fileno()
        try:
            while data := os.read(descriptor, CHUNK):
                self._count += 1
                if not self._dropping:
                    self._write(decode(data))
            if not self._dropping and (rest := decode(b"", True)):
                self._write(rest)
        except OSError:  # the pipe broke: there is nothing more to read
            pass
        finally:
            self._pipe.close()


class Excerpt:
    """The head and the tail of a text that comes in pieces, at most `limit` characters of it."""

    def __init__(self, limit: int = 64 * 1024) -> None:
        self._half = limit // 2
        self._head = io.StringIO()
        self._room = self._half
        self._tail = ""
        self._left_out = 0

    def write(self, text: str) -> None:
        """Add a piece."""
        if self._room:
            self._head.write(text[: self._room])
            text, self._room = text[self._room :], max(0, self._room - len(text))
        if text:
            self._tail += text
            extra = len(self._tail) - self._half
            if extra > self._half:  # not at each piece: cutting copies the tail
                self._cut(extra)

    @property
    def text(self) -> str:
        """The text; where its middle is missing, a line says how much of it."""
        self._cut(len(self._tail) - self._half)
        seam = f"\n[… {self._left_out:,} characters left out …]\n" if self._left_out else ""
        return f"{self._head.getvalue()}{seam}{self._tail}"

    def last_lines(self, count: int) -> str:
        """Return the last lines that are not blank."""
        lines = [line for line in (self._head.getvalue() + self._tail).splitlines() if line.strip()]
        return "\n".join(lines[-count:])

    def _cut(self, extra: int) -> None:
        if extra > 0:
            self._left_out += extra
            self._tail = self._tail[extra:]
