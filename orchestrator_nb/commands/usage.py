"""What processes take of their machine: processor time, memory and disk of a whole tree, the network of the machine."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from msgspec.structs import replace

from orchestrator_nb.commands.process_vitals import vitals
from orchestrator_nb.events import Used

FIRST_LOOKS = (0.02, 0.1, 0.3)
"""Seconds after which a process is looked at first; a short one would be missed otherwise."""

LOOK_EVERY = 1.0
"""Seconds between two looks at a process afterwards."""

FRESH = 0.1
"""Seconds for which a reading of the machine's network is used again."""


class Taken(NamedTuple):
    """What a process tree has taken so far: seconds, bytes now resident, bytes from and to disks."""

    cpu: float = 0.0
    memory: int = 0
    read: int = 0
    written: int = 0

    def plus(self, other: Taken) -> Taken:
        """Return both together."""
        return Taken(
            self.cpu + other.cpu, self.memory + other.memory, self.read + other.read, self.written + other.written
        )


class Meter:
    """What the process `pid` and all that it started take, seen from outside, now and then.

    What a process of the tree took that has ended counts as soon as its parent has collected it.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen = Taken()
        self._peak = 0
        self._looked = 0.0
        self._over = threading.Event()

    def start(self) -> Meter:
        """Look at it from time to time, on a thread of its own, until `used` is asked for."""
        threading.Thread(target=self._watch, name="orchestrator_nb meter", daemon=True).start()
        return self

    def look(self, *, after: float = 0.0) -> None:
        """Look at it now, unless that was done less than `after` seconds ago."""
        now = time.monotonic()
        if now - self._looked < after:
            return
        self._looked = now
        total = Taken()
        for pid in _tree(self._pid):
            with suppress(OSError, ValueError, IndexError):
                total = total.plus(_taken(pid))
        own = vitals(self._pid)
        peak = own.peak_memory if own is not None else None
        self._peak = max(self._peak, total.memory, peak or 0)
        seen = self._seen
        self._seen = Taken(max(seen.cpu, total.cpu), 0, max(seen.read, total.read), max(seen.written, total.written))

    def used(self) -> Used | None:
        """Return what was seen to be taken, None where nothing was, and look no longer."""
        self._over.set()
        cpu, _, read, written = self._seen
        if not self._peak and not cpu:
            return None
        return Used(cpu=round(cpu, 3), memory=self._peak or None, read=read, written=written)

    def _watch(self) -> None:
        for pause in _pauses():
            if self._over.wait(pause):
                return
            self.look()


def _pauses() -> Iterator[float]:
    yield from FIRST_LOOKS
    while True:
        yield LOOK_EVERY


def own_usage() -> Used:
    """Return what this process has taken since it began, with the children that it has collected."""
    times = os.times()
    here = vitals(os.getpid())
    read = written = None
    with suppress(OSError, ValueError, IndexError):
        taken = _taken(os.getpid())
        read, written = taken.read, taken.written
    cpu = times.user + times.system + times.children_user + times.children_system
    peak = here.peak_memory if here is not None else None
    return Used(cpu=round(cpu, 3), memory=peak, read=read, written=written)


class Child(Protocol):
    """A process that this one has started: a `subprocess.Popen`."""

    pid: int
    returncode: Any

    def wait(self) -> int:
        """Wait for its end and return its exit code."""


def collected(process: Child) -> tuple[int, Used | None]:
    """Wait for a child and return its exit code, with what it took, and its own children with it, where the system
    tells that to who collects it."""
    if not hasattr(os, "wait4"):
        return process.wait(), None
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except ChildProcessError:  # somebody else has collected it
        return process.wait(), None
    process.returncode = os.waitstatus_to_exitcode(status)
    # What the system says of its memory is no less than that of the process that started it.
    cpu = round(usage.ru_utime + usage.ru_stime, 3)
    return process.returncode, Used(cpu=cpu, read=usage.ru_inblock * 512, written=usage.ru_oublock * 512)


def with_memory(used: Used | None, other: Used | None) -> Used | None:
    """Return what a process said of itself, with the memory of its whole tree where that was seen to be more."""
    if used is None or other is None:
        return used or other
    return replace(used, memory=max(used.memory or 0, other.memory or 0) or None)


# ── a process tree ──────────────────────────────────────────────────────────────────────────────────────────────


def _tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    if sys.platform != "linux":
        return _tree_by_psutil(pid)
    found = [pid]
    for each in found:  # which grows by the children
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{each}/task"):
                with suppress(OSError):
                    found += map(int, _text(f"/proc/{each}/task/{thread}/children").split())
    return found


def _tree_by_psutil(pid: int) -> list[int]:
    import psutil

    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return [pid]


def _taken(pid: int) -> Taken:
    """Return what one process has taken, with what the children took that it has collected."""
    if sys.platform != "linux":
        return _taken_by_psutil(pid)
    fields = _text(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    ticks = sum(map(int, fields[11:15]))
    pages = int(_text(f"/proc/{pid}/statm").split()[1])
    cpu, memory = ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE")
    read = written = 0
    with suppress(OSError):  # of a process of another user
        disk = dict(line.split(b": ", 1) for line in _text(f"/proc/{pid}/io").splitlines())
        read, written = int(disk.get(b"read_bytes", 0)), int(disk.get(b"write_bytes", 0))
    return Taken(cpu, memory, read, written)


def _taken_by_psutil(pid: int) -> Taken:
    import psutil

    try:
        process = psutil.Process(pid)
        cpu = process.cpu_times()
        seconds = cpu.user + cpu.system + getattr(cpu, "children_user", 0.0) + getattr(cpu, "children_system", 0.0)
        disk = process.io_counters() if hasattr(process, "io_counters") else None
        read, written = (disk.read_bytes, disk.write_bytes) if disk is not None else (0, 0)
        return Taken(seconds, process.memory_info().rss, read, written)
    except psutil.Error:
        return Taken()


def _text(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)


# ── the machine's network ───────────────────────────────────────────────────────────────────────────────────────

_network: tuple[float, tuple[int, int] | None] = (float("-inf"), None)


def machine_network(now: float) -> tuple[int, int] | None:
    """Return the bytes that the interfaces of the machine have received and sent, a tenth of a second old at most; the
    one to itself left out. None where the system does not tell. `now` is by the monotonic clock."""
    global _network  # noqa: PLW0603 - one machine, one reading
    if now - _network[0] >= FRESH:
        try:
            found = _from_proc() if sys.platform == "linux" else _from_psutil()
        except (OSError, ValueError, IndexError):
            found = None
        _network = (now, found)
    return _network[1]


def _from_proc() -> tuple[int, int]:
    received = sent = 0
    for line in _text("/proc/net/dev").splitlines()[2:]:
        name, _, counts = line.partition(b":")
        if name.strip() != b"lo":
            fields = counts.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent


def _from_psutil() -> tuple[int, int]:
    import psutil

    counts = psutil.net_io_counters(pernic=True)
    outer = [count for name, count in counts.items() if not name.lower().startswith(("lo", "loopback"))]
    return sum(count.bytes_recv for count in outer), sum(count.bytes_sent for count in outer)
