"""The journal file of a run: one event a line, append-only, each turn with the hash of the one before.

A line is a JSON object: `seq` counts from 1, `kind`, `at` and the event's fields. The last line of a turn carries `prev`,
the hash that the turn before ends with, and `end`, the hash of the whole text of the turn up to there. So a turn is
recorded whole or not at all: lines after the last `end` are a torn tail, left by a death in the middle of a write, and
were never true. A turn is what is written at a time, so one hash says all that one for every line would.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder

from orchestrator_nb.data.disk import write_error
from orchestrator_nb.data.flush import flush_file, flush_folder
from orchestrator_nb.errors import JournalDamaged, StoreError
from orchestrator_nb.events import FORMAT, Event, JournalCut, RunStarted
from orchestrator_nb.events.json_form import decode, encode_all
from orchestrator_nb.journal import forks

START = "0" * 32
"""What stands as `prev` in the first turn."""

_CHANGED = "somebody else has written to it"
_GONE = "it was deleted, or replaced by another file, while the run went on"


_FORMER = b',"prev":"%b"}\n' % START.encode()
"""What the first line of a journal ends with in format 1, in which each line had a hash."""

_END = len(b',"end":""}\n') + len(START)
"""How many bytes the end of a turn has."""


_NOTHING = blake2b(digest_size=16)  # to make a copy of it costs less than another one


def digest(text: bytes) -> str:
    """Return the hash of the text of a turn, as 32 hexadecimal digits (BLAKE2b, 16 bytes)."""
    hashed = _NOTHING.copy()
    hashed.update(text)
    return hashed.hexdigest()


class _Link(Struct):
    """What a line says besides its event."""

    seq: int
    prev: str | None = None
    end: str | None = None


_link = Decoder(_Link)


class Position(NamedTuple):
    """How far a journal was read: bytes, the number of the last event, the hash that its turn ends with."""

    offset: int = 0
    seq: int = 0
    prev: str = START


class JournalFile:
    """`ports.Journal` over one file. Only the owner of the run opens it for writing.

    `durable` says whether a turn is flushed to the disk (survives a power cut) or handed to the operating system
    (survives the death of the process).
    """

    def __init__(self, path: Path, *, durable: bool = True, clock: Callable[[], float]) -> None:
        """Open or create the journal; a torn tail is moved aside and recorded.

        Raises JournalDamaged, and then nothing was changed, and StoreError when the file cannot be opened.
        """
        self.path = path
        self._name = os.path.abspath(path)
        self._durable = durable
        self._failed: str | None = None
        self._process, self._forks = os.getpid(), forks.count
        self._unknown: tuple[bytes, tuple[int, int, str]] | None = None
        try:
            fresh = not path.exists()
            self._file = self._open(os.O_CREAT)
            self._inode = os.fstat(self._file).st_ino
            if fresh:
                flush_folder(path.parent)
        except OSError as error:
            raise write_error(f'the journal "{path}" cannot be opened', path, error) from error
        self._position: tuple[int, int, str] = Position()  # a plain tuple from the first write on: it is made for each
        try:
            for _, position in scan(path):
                self._position = position
            self._cut_torn_tail(clock)
        except BaseException:
            self.close()
            raise

    def append(self, events: Sequence[Event]) -> None:
        """Record one turn. Raises StoreError; then whether it was recorded is unknown, and nothing more is accepted
        until `recover` has found out. A StoreFull says that there was no room, JournalDamaged that somebody else has
        deleted, replaced or changed the file, which is the end of it."""
        if self._failed is not None:
            raise StoreError(f'the journal "{self.path}" takes nothing more: {self._failed}')
        if forks.count != self._forks:  # two that append would each write into what the other takes for its place
            raise StoreError(
                f'the journal "{self.path}" belongs to process {self._process}: this one was forked from it'
            )
        offset, seq, prev = self._position
        lines = [b'{"seq":%d,%b' % numbered for numbered in enumerate(encode_all(events), seq + 1)]
        seq += len(lines)
        text = b'%b,"prev":"%b"' % (b"\n".join(lines)[:-1], prev.encode())
        end = digest(text)
        data = b'%b,"end":"%b"}\n' % (text, end.encode())
        size = offset + len(data)
        after = (size, seq, end)
        try:
            written = os.write(self._file, data)
            while written < len(data):
                written += os.write(self._file, data[written:])
            if self._durable:
                flush_file(self._file)
        except OSError as error:
            self._failed, self._unknown = error.strerror or str(error), (data, after)
            raise write_error(f'the journal "{self.path}" could not be written', self.path, error) from error
        trouble = self._trouble(size)
        if trouble is not None:
            raise self._lost(trouble)
        self._position = after

    def recover(self) -> bool:
        """Find out on a new handle what the failed append came to: True when its turn is recorded, False when nothing
        of it is left in the file, so that it may be appended again.

        A turn that is found whole is written once more in its place before it counts: after a flush that failed the
        system may take for clean what never reached the disk. Raises StoreError where that cannot be done now, and
        JournalDamaged where it never will be.
        """
        if self._unknown is None:
            raise self._lost(self._failed or "nothing has failed")
        data, after = self._unknown
        offset, size = self._position[0], after[0]
        try:
            with open(self._name, "r+b", buffering=0) as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._inode:
                    raise self._lost(_GONE)
                file.seek(offset)
                there = file.read(len(data) + 1)
                if found.st_size < offset or not data.startswith(there):
                    raise self._lost(_CHANGED)
                file.seek(offset)
                if there == data:
                    while file.tell() < size:
                        file.write(data[file.tell() - offset :])
                else:
                    file.truncate()
                if self._durable:
                    flush_file(file.fileno())
            opened = self._open()
        except OSError as error:
            raise write_error(f'the journal "{self.path}" could not be written', self.path, error) from error
        with suppress(OSError):  # it failed before
            os.close(self._file)
        self._file, self._failed, self._unknown = opened, None, None
        if there == data:
            self._position = after
        return there == data

    @property
    def position(self) -> Position:
        """How far it was written."""
        return Position(*self._position)

    def read(self) -> Iterator[Event]:
        """Yield every event of every whole turn. Raises JournalDamaged naming the line."""
        return read(self.path)

    def close(self) -> None:
        """Close the file. Raises StoreError when the system says only now that it could not keep what was written."""
        if self._failed is None:
            self._failed = "it is closed"
        self._unknown = None
        file, self._file = self._file, -1
        try:
            if file >= 0:
                os.close(file)
        except OSError as error:
            raise write_error(f'the journal "{self.path}" could not be closed', self.path, error) from error

    def _trouble(self, size: int) -> str | None:
        """Return what is wrong if the file of this name is not the one that was opened, or not of this size."""
        try:
            found = os.stat(self._name)
        except OSError:
            return _GONE
        if found.st_ino != self._inode:
            return _GONE
        return None if found.st_size == size else _CHANGED

    def _lost(self, trouble: str) -> JournalDamaged:
        """Accept nothing more, for good; return what to raise."""
        self._failed, self._unknown = trouble, None
        return JournalDamaged(f'the journal "{self.path}" cannot be trusted any more: {trouble}')

    def _open(self, *flags: int) -> int:
        return os.open(self.path, sum(flags, os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)), 0o600)

    def _cut_torn_tail(self, clock: Callable[[], float]) -> None:
        size = os.fstat(self._file).st_size
        offset = self._position[0]
        if size == offset:
            return
        aside = self.path.with_name(f"{self.path.stem}.torn-{offset}{self.path.suffix}")
        try:
            aside.write_bytes(os.pread(self._file, size - offset, offset))
            os.ftruncate(self._file, offset)
            flush_file(self._file)
        except OSError as error:
            what = f'the torn tail of "{self.path}" could not be moved aside'
            raise write_error(what, self.path, error) from error
        if offset:
            self.append([JournalCut(at=clock(), bytes=size - offset, file=aside.name)])


def read(path: Path) -> Iterator[Event]:
    """Yield every event of every whole turn of a journal, whoever owns it. Raises JournalDamaged and StoreError."""
    return (event for turn, _ in scan(path) for event in turn)


def scan(path: Path, start: Position | None = None) -> Iterator[tuple[list[Event], Position]]:
    """Yield each whole turn with the position after it, from `start` on.

    A tail in which no whole turn verifies is left out in silence: it was never recorded. Raises JournalDamaged when
    anything else does not fit, and StoreError when the file cannot be read, or is of another format.
    """
    offset, seq, prev = start or Position()
    events: list[Event] = []
    lines: list[bytes] = []
    trouble: str | None = None
    for line, after in _lines(path, offset):
        lines.append(line)
        if trouble is None:
            try:
                events.append(_event(line, seq + len(lines)))
                if _is_end(line):
                    _check_end(lines, prev)
            except (ValueError, MsgspecError) as error:
                trouble = f'"{path}", line {seq + len(lines)}: {error}'
        if not _is_end(line):
            continue
        if trouble is None:
            seq, prev = seq + len(lines), _hash_of(line)
            yield events, Position(after, seq, prev)
        elif any(_verifies(lines[first:]) for first in range(len(lines))):
            # What a death tears off has no whole turn behind it; where there is one, somebody changed the file.
            raise JournalDamaged(trouble)
        events, lines = [], []


def continues(path: Path, position: Position) -> bool:
    """Tell whether the turn that ends at this position is the one it was taken after; False for a file that is gone."""
    offset, _, prev = position
    if not offset:
        return prev == START
    try:
        with open(path, "rb") as file:
            file.seek(max(0, offset - _END))
            end = file.read(_END)
    except OSError:
        return False
    return _is_end(end) and _hash_of(end) == prev


def _lines(path: Path, offset: int) -> Iterator[tuple[bytes, int]]:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            for line in file:
                offset += len(line)
                yield line, offset
                if not line.endswith(b"\n"):
                    # Where the owner was writing just now: what it adds meanwhile is not taken for a line of its own.
                    return
    except OSError as error:
        raise StoreError(f'the journal "{path}" cannot be read: {error.strerror}') from error


def _event(line: bytes, seq: int) -> Event:
    """Return the event of a line. Raises ValueError or MsgspecError saying what does not fit, StoreError for another
    version of the format, which must not be taken for damage, or for a torn tail."""
    if not line.endswith(b"\n"):
        raise ValueError("the line is not whole")
    link = _link.decode(line)
    if link.seq != seq:
        raise ValueError(f"event {link.seq} stands where event {seq} has to be")
    if seq == 1 and line.endswith(_FORMER):
        raise _other(1)
    event = decode(line)
    if type(event) is RunStarted and event.format > FORMAT:
        raise _other(event.format)
    return event


def _other(found: int) -> StoreError:
    return StoreError(
        f"the format of the journal is {found}, expected {FORMAT}: another version of this package wrote it"
    )


def _check_end(lines: Sequence[bytes], prev: str) -> None:
    """Hold a turn against its own hash and against that of the turn before. Raises ValueError."""
    if not _verifies(lines):
        since = f": it, or one of the {len(lines) - 1} lines before it," if len(lines) > 1 else ": it"
        raise ValueError(f"its own hash does not fit{since} was changed")
    if _link.decode(lines[-1]).prev != prev:
        raise ValueError("it does not continue the turn before (the hashes differ)")


def _is_end(line: bytes) -> bool:
    """Tell whether this is the last line of a turn, whole."""
    return line[-_END:].startswith(b',"end":"') and line.endswith(b'"}\n')


def _hash_of(end: bytes) -> str:
    """Return the hash that the last line of a turn carries."""
    return end[-_END + 8 : -3].decode("ascii", "replace")


def _verifies(lines: Sequence[bytes]) -> bool:
    """Tell whether these are the lines of a whole turn, as they were written."""
    return _hash_of(lines[-1]) == digest(b"".join(lines)[:-_END])
