"""The program of the keeper: kills the process groups that it was told of when its owner, its argument, is gone.

Its standard input has a line for each process, `+17` to keep it and `-17` to let go of it. It imports nothing but
Python's own, so that it starts at once and weighs little.
"""

from __future__ import annotations

import os
import select
import signal
import sys


def main() -> None:
    """Listen until the owner is gone, then kill."""
    kept: dict[int, bytes | None] = {}
    owner, rest = _watched(int(sys.argv[1])), b""
    while data := _heard(owner):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            pid = int(line[1:])
            if line[:1] == b"+":
                kept[pid] = _started(pid)
            else:
                kept.pop(pid, None)
    for pid, started in kept.items():
        if started == _started(pid):  # the number may be someone else's by now
            _kill(pid)


def _watched(owner: int) -> int | None:
    """Return a descriptor that tells of the owner's end, None where the system has none."""
    try:
        return os.pidfd_open(owner)  # type: ignore[attr-defined, unused-ignore]
    except (AttributeError, OSError):
        return None


def _heard(owner: int | None) -> bytes:
    """Return what the owner has said; nothing when it is gone, also where a process that it has forked still holds its
    end of the pipe."""
    if owner is not None:
        ready = select.poll()
        for descriptor in (0, owner):
            ready.register(descriptor, select.POLLIN)
        if all(descriptor != 0 for descriptor, _ in ready.poll()):
            return b""
    return os.read(0, 4096)


def _started(pid: int) -> bytes | None:
    """Return when the process was started, as the system counts it; None where it does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _kill(pid: int) -> None:
    try:
        if os.name == "nt":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass


main()
