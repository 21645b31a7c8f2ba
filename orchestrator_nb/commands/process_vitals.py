"""What the system says about a running process: whether it is stopped, and the most memory that it has used."""

from __future__ import annotations

import os
import sys

from msgspec import Struct


class Vitals(Struct, frozen=True, kw_only=True):
    """Whether a process is stopped (SIGSTOP), and the most resident memory that it ever had, in bytes, None where the
    system does not tell."""

    stopped: bool = False
    peak_memory: int | None = None


def vitals(pid: int) -> Vitals | None:
    """Return how a process is; None where it is gone or not ours to look at. Costs microseconds on Linux."""
    return _from_proc(pid) if sys.platform == "linux" else _from_psutil(pid)


def _from_proc(pid: int) -> Vitals | None:
    try:
        descriptor = os.open(f"/proc/{pid}/status", os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 8192)
    except OSError:  # it ended between the two
        return None
    finally:
        os.close(descriptor)
    found = dict(line.split(b":", 1) for line in text.splitlines() if b":" in line)
    most = found.get(b"VmHWM", b"").split()  # a process that only waits to be collected has none
    return Vitals(
        stopped=found.get(b"State", b"").strip().startswith(b"T"),
        peak_memory=int(most[0]) * 1024 if most else None,
    )


def _from_psutil(pid: int) -> Vitals | None:
    import psutil

    try:
        process = psutil.Process(pid)
        peak = getattr(process.memory_info(), "peak_wset", None)  # Windows
        return Vitals(stopped=process.status() == psutil.STATUS_STOPPED, peak_memory=peak)
    except (psutil.Error, OSError):
        return None
