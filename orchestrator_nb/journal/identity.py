"""What tells a process from every other, also from one that gets its number later."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator_nb.errors import RunRefused

LINUX = sys.platform == "linux"

KILL_WAIT = 10.0
"""Seconds until a process that was killed has to be gone."""


def identity() -> dict[str, Any]:
    """Return the card of this process: pid, when it started and in which boot, host, user, and the time of asking.

    `started` is for comparison with itself only; `since` is in seconds since the epoch.
    """
    pid = os.getpid()
    return {**_of_this_process(pid), "since": round(time.time(), 3)}


def asker() -> dict[str, Any]:
    """Return who asks for something: pid, user and host of this process."""
    return {"pid": os.getpid(), "user": _user(), "host": _host()}


@lru_cache(maxsize=1)
def _of_this_process(pid: int) -> dict[str, Any]:
    return {"pid": pid, "started": started(pid), "boot": _boot(), "host": _host(), "user": _user()}


def started(pid: int) -> str | None:
    """Return what tells when a process of this host started, None when there is none (a zombie counts as none)."""
    if LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except psutil.Error:
        return None


def is_suspended(pid: int) -> bool:
    """Tell whether a process of this host is stopped (SIGSTOP, Ctrl-Z) and so cannot answer."""
    if LINUX:
        try:
            return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"T", b"t")
        except OSError:
            return False
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def is_here(card: Mapping[str, Any]) -> bool:
    """Tell whether the card is that of a process of this host and of this boot, alive or not."""
    return card.get("host") == _host() and card.get("boot") == _boot()


def lives(card: Mapping[str, Any]) -> bool:
    """Tell whether the very process of the card is alive on this host."""
    return is_here(card) and card.get("started") is not None and started(int(card["pid"])) == card["started"]


def end(card: Mapping[str, Any]) -> None:
    """Kill the very process of the card, and return when it is gone; nothing happens when it is gone already.

    Raises RunRefused when it is of another host, another user's or this process, or does not go.
    """
    pid = int(card["pid"])
    if pid == os.getpid():
        raise RunRefused("this process owns the run itself; it cannot end itself to take it over")
    if not is_here(card):
        raise RunRefused(f"process {pid} can be ended on its own host only, which is {card.get('host')}")
    try:
        # The descriptor first: from then on the number cannot come to mean another process unnoticed.
        handle = os.pidfd_open(pid) if sys.platform == "linux" and hasattr(os, "pidfd_open") else None
    except ProcessLookupError:
        return
    except OSError:  # not offered by this kernel
        handle = None
    try:
        if not lives(card):
            return
        if handle is not None and sys.platform == "linux":
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise RunRefused(
            f"process {pid} belongs to {card.get('user') or 'another user'}; only they can end it"
        ) from error
    finally:
        if handle is not None:
            os.close(handle)
    deadline = time.monotonic() + KILL_WAIT
    while lives(card):
        if time.monotonic() >= deadline:
            raise RunRefused(f"process {pid} was killed and is still there after {KILL_WAIT:g} s")
        time.sleep(0.01)


@lru_cache(maxsize=1)
def _boot() -> str:
    """Return what tells this boot of the host from others, "" where it is not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _host() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


@lru_cache(maxsize=1)
def _user() -> str:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (OSError, KeyError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
