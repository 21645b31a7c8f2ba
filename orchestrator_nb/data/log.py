"""What an attempt prints, kept in a file that a flood cannot fill: its head, its tail and how much was left out."""

from __future__ import annotations

import os
import threading
from pathlib import Path

SEAM = 4096
"""How far, in bytes, a cut may move to fall between two lines."""


class BoundedLog:
    """A log file of at most `head` + twice `tail` bytes while it is written, `head` + `tail` at the end, and one line.

    The file is made at the first write, readable by its owner only, and everything written is in it at once, so that
    others can follow it. Writing is safe in any thread and never raises: printing must not make a command fail. What
    could not be written is dropped and `error` says why; what is written after `close` is dropped too. `tail` is at
    least 4, the longest character.
    """

    def __init__(self, path: Path, *, head: int = 5 * 2**20, tail: int = 5 * 2**20) -> None:
        self.path = Path(path)
        self.error: OSError | None = None
        self._head = head
        self._tail = tail
        self._lock = threading.Lock()
        self._file = -1
        self._closed = False
        self._head_size = 0  # bytes of the head in the file
        # Where the tail begins in the file: after the head, or after the line between them; None while there is none.
        self._tail_start: int | None = None
        self._tail_size = 0
        self._left_out = 0

    @property
    def left_out(self) -> int:
        """How many bytes of the middle are not in the file."""
        return self._left_out

    def write(self, text: str | bytes) -> None:
        """Add to the log; text is written as UTF-8."""
        data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
        if not data:
            return
        with self._lock:
            if self._closed:
                return
            try:
                self._write(data)
            except OSError as error:
                self.error = error

    def close(self) -> None:
        """Bring the file to its final size and let go of it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._file < 0:
                return
            try:
                if self._tail_start is not None and self._tail_size > self._tail:
                    self._compact(self._tail_start)
            except OSError as error:
                self.error = error
            finally:
                os.close(self._file)
                self._file = -1

    def last_lines(self, count: int, *, within: int = 64 * 1024) -> list[str]:
        """Return the last `count` lines, or fewer: no more than the last `within` bytes are looked at."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - within))
                data = file.read(within)
        except FileNotFoundError:
            return []
        lines = data.decode("utf-8", "replace").splitlines()
        return lines[-count:] if count > 0 else []

    def _write(self, data: bytes) -> None:
        if self._file < 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
            self._file = os.open(self.path, flags, 0o600)
        if self._tail_start is None:
            room = self._head - self._head_size
            if len(data) <= room:
                self._append(data)
                self._head_size += len(data)
                return
            cut = _cut_before(data, room)
            self._append(data[:cut])
            self._head_size += cut
            self._tail_start = self._head_size
            data = data[cut:]
        step = self._tail
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            self._append(piece)
            self._tail_size += len(piece)
            if self._tail_size >= 2 * step:
                self._compact(self._tail_start)

    def _compact(self, start: int) -> None:
        """Keep the last `tail` bytes of the tail, after a line that says how much is missing before them."""
        os.lseek(self._file, start + self._tail_size - self._tail, os.SEEK_SET)
        kept = bytearray()
        while len(kept) < self._tail and (piece := os.read(self._file, self._tail - len(kept))):
            kept += piece
        data = bytes(kept)
        data = data[_cut_after(data) :]
        self._left_out += self._tail_size - len(data)
        seam = f"\n[… {self._left_out:,} bytes left out …]\n".encode()
        os.lseek(self._file, self._head_size, os.SEEK_SET)
        self._append(seam + data)
        os.ftruncate(self._file, self._head_size + len(seam) + len(data))
        self._tail_start = self._head_size + len(seam)
        self._tail_size = len(data)

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]


def _cut_before(data: bytes, limit: int) -> int:
    """Return where to cut at or before `limit`: after a line if one ends nearby, else between two characters."""
    line = data.rfind(b"\n", max(0, limit - SEAM), limit)
    if line >= 0:
        return line + 1
    while limit > 0 and data[limit] & 0xC0 == 0x80:
        limit -= 1
    return limit


def _cut_after(data: bytes) -> int:
    """Return where a tail may begin: after a line if one ends nearby, else between two characters."""
    line = data.find(b"\n", 0, SEAM)
    if line >= 0:
        return line + 1
    start = 0
    while start < min(len(data), 4) and data[start] & 0xC0 == 0x80:
        start += 1
    return start
