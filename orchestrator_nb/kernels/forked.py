"""What a forked process does to be like one that was started from nothing: its own state, and its own end."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import signal
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

SLOT = "ORCHESTRATOR_NB_SLOT"
"""A variable in the environment of the server whose only use is its place in memory: what other processes see as the
environment of a forked one is that of the server, unless it is written over."""

SLOT_SIZE = 4096
"""Bytes of that place, which is where the variables below go."""

SEEN = "ORCHESTRATOR_NB_"
"""The beginning of the variables that other processes must see, so that what an attempt left behind is found."""

TRACKER_SECONDS = 2.0
"""How long what cleans up shared memory may take for it."""

LARGE = 10
"""How many modules a library has to bring for it to be worth an import before the fork."""

_SEED = struct.Struct("8I")

libc: Any = ctypes.CDLL(None, use_errno=True)


def place_of_slot() -> int:
    """Return the address of the slot. To be asked before the variable is changed."""
    libc.getenv.restype = ctypes.c_void_p
    found = libc.getenv(SLOT.encode())
    return 0 if found is None else int(found) - len(SLOT) - 1


def die_with(parent: int) -> None:
    """See to it that this process is killed when its parent dies, whose number is `parent`."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before that
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parents die."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def take_files(descriptors: Sequence[int]) -> None:
    """Make these the standard input, output and error."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number, inheritable=True)
    for descriptor in descriptors:
        if descriptor > 2:
            os.close(descriptor)


def reset_signals() -> None:
    """Handle signals as Python does when it starts."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def take_environment(variables: Mapping[str, str], *, slot: int) -> None:
    """Make these the environment, and show those to others that they look for; `slot` is an address, 0 for none."""
    present = os.environ
    for name in [name for name in present if name not in variables]:
        del present[name]
    for name, value in variables.items():  # what differs is a few; each costs a call of the system's library
        if present.get(name) != value:
            present[name] = value
    time.tzset()
    if slot:
        seen = b"".join(
            os.fsencode(f"{name}={value}") + b"\0" for name, value in variables.items() if name.startswith(SEEN)
        )
        size = len(SLOT) + 1 + SLOT_SIZE
        if len(seen) <= size:
            rest = f"{SLOT}=".encode()  # no gap of zeros: readers take that for the end of the environment
            fill = (rest + b"." * (size - len(seen) - len(rest))) if size - len(seen) > len(rest) else b""
            ctypes.memmove(slot, seen + fill, len(seen) + len(fill))


def renew_randomness() -> None:
    """Forget every random state and number that siblings would share.

    OpenSSL and Python's own generator do so by themselves. The seed of hashes stays the server's: Python has no way to change it.
    """
    modules = sys.modules
    if "numpy.random" in modules:
        modules["numpy.random"].seed(_SEED.unpack(os.urandom(_SEED.size)))  # without one it takes ten times as long
    if "uuid" in modules:
        modules["uuid"]._last_timestamp = None  # type: ignore[attr-defined]
    if "tempfile" in modules:
        modules["tempfile"].tempdir = None  # type: ignore[attr-defined]
        modules["tempfile"]._name_sequence = None  # type: ignore[attr-defined]
    if "multiprocessing.process" in modules:
        modules["multiprocessing.process"].current_process().authkey = os.urandom(32)


def imported_since(before: int) -> list[str]:
    """Return what has been imported of large libraries since there were so many modules: the libraries and their parts
    that are packages themselves. Python's own are not meant."""
    new = list(islice(reversed(sys.modules), max(0, len(sys.modules) - before)))
    counts = Counter(name.partition(".")[0] for name in new)
    large = {top for top, count in counts.items() if count >= LARGE and top not in sys.stdlib_module_names}
    found = {name for name in new if name.count(".") < 2 and name.partition(".")[0] in large}
    return sorted(name for name in found if "." not in name or hasattr(sys.modules.get(name), "__path__"))


def trackers() -> list[Any]:
    """Return those that this process has started to clean up shared memory and semaphores once it has ended."""
    known = ("multiprocessing.resource_tracker", "joblib.externals.loky.backend.resource_tracker")
    found = [getattr(sys.modules.get(name), "_resource_tracker", None) for name in known]
    return [
        tracker for tracker in found if getattr(tracker, "_pid", None) and getattr(tracker, "_fd", None) is not None
    ]


def _end_trackers() -> None:
    """Let them do their work now: what is left of a kernel after its end is killed."""
    deadline = time.monotonic() + TRACKER_SECONDS
    for tracker in trackers():
        os.close(tracker._fd)
        while os.waitpid(tracker._pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.002)


def leave(status: int, namespace: dict[str, Any] | None) -> None:
    """End this process as Python does, except that its memory is not taken apart: that would copy all the pages that
    it shares with the server."""
    with suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    with suppress(BaseException):
        atexit._run_exitfuncs()
    with suppress(BaseException):
        if namespace is not None:  # files that are still open are written to the end
            namespace.clear()
            gc.collect()
    with suppress(BaseException):
        _end_trackers()
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with suppress(BaseException):
            stream.flush()  # type: ignore[union-attr]  # None where there is none
    libc.fflush(None)
    os._exit(status)
