"""The process of one callable: `python -m orchestrator_nb.executors.child`, started and fed by its owner.

What to run comes over standard input, which then stays open: its end means that the owner is gone, and this process
ends itself with its whole group. What happens goes back as lines of JSON over what was standard output; what the
callable prints, and what the processes print that it starts, goes to standard error, which is the attempt's log.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import select
import signal
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import structs

from orchestrator_nb.commands.callable import CallableCommand
from orchestrator_nb.commands.processes import MARK, kill_attempt
from orchestrator_nb.commands.usage import own_usage
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.secret_values import keep_out_environment
from orchestrator_nb.events import AttemptFailed, Event
from orchestrator_nb.events.json_form import to_plain
from orchestrator_nb.executors.attempt import LocalAttempt, Surroundings
from orchestrator_nb.executors.failures import failure_of

PROGRESS = "progress"
"""The kind of message that is no fact."""

LENGTH = struct.Struct("!Q")
"""What comes before each part of the input: its length in bytes."""

LOOK_FOR_OWNER = 2.0
"""Seconds between two looks whether the owner is still the parent, should its end of the pipe be held by others."""


class Outlet:
    """Sends messages to the owner, each whole, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        data = memoryview(json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]

    def event(self, *facts: Event) -> None:
        """Send facts."""
        for fact in facts:
            self.send(to_plain(fact))

    def progress(self, _command: str, _attempt: int, fraction: float, text: str) -> None:
        """Send how far the callable is."""
        self.send({"kind": PROGRESS, "fraction": fraction, "text": text})


class ChildAttempt(LocalAttempt, eq=False):
    """The attempt in its own process, where the log is whatever is printed."""

    def write_log(self, text: str) -> None:
        """Print it."""
        print(text, end="", flush=True)  # noqa: T201 - standard output is the log here


def main() -> None:
    """Run the callable that comes over standard input."""
    owner = os.getppid()
    keeper, outlet = _separate()
    header = json.loads(_part(keeper))
    body = _part(keeper)
    _stay_with(keeper, owner)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # an owner in the background may have it ignored
    faulthandler.enable()
    keep_out_environment()
    sys.path[:] = header["path"]
    os.chdir(header["cwd"])
    begun = time.monotonic()
    try:
        function, work = pickle.loads(body)  # noqa: S301 - from the owner, over its own pipe
    except BaseException as error:  # noqa: BLE001 - loading runs the user's code
        failure = failure_of(error, kind="not_started", stage="loading the function into its own process")
        seconds = time.monotonic() - begun
        outlet.event(AttemptFailed(at=time.time(), command="", attempt=0, seconds=seconds, failure=failure))
        return
    around = Surroundings(
        report=outlet.event,
        artifacts=Artifacts(Path(header["artifacts"]), durable=header["durable"]),
        live=None,
        clock=time.time,
        progress=outlet.progress,
        measure=False,
    )
    command = CallableCommand({} if function is None else {work.definition.base: function})
    answer = ChildAttempt(work, around).perform(command.run)
    outlet.event(structs.replace(answer, used=own_usage()))


def _separate() -> tuple[int, Outlet]:
    """Take standard input and output for the owner, and give the callable others in their place."""
    keeper = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    outlet = Outlet(os.dup(1))
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        # what is printed has to be in the log also when the process is killed
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    return keeper, outlet


def _part(descriptor: int) -> bytes:
    """Return the next part of the input; ends the process where the owner is gone before it has come."""
    (length,) = LENGTH.unpack(_exactly(descriptor, LENGTH.size))
    return _exactly(descriptor, length)


def _exactly(descriptor: int, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = os.read(descriptor, min(count - len(data), 2**20))
        if not piece:
            raise SystemExit("the owner of this process went away before it said what to do")
        data += piece
    return bytes(data)


def _stay_with(keeper: int, owner: int) -> None:
    """End this process and its group when the owner dies, whatever the callable is doing then."""
    if sys.platform == "linux" and os.getpgrp() == os.getpid():
        import fcntl

        # The kernel itself then kills the group when the last writer of the pipe is gone: a callable that holds the
        # interpreter's lock for ever would keep a thread from doing it.
        with suppress(OSError):
            fcntl.fcntl(keeper, fcntl.F_SETOWN, -os.getpgrp())
            fcntl.fcntl(keeper, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(keeper, fcntl.F_SETFL, fcntl.fcntl(keeper, fcntl.F_GETFL) | fcntl.FASYNC)
    threading.Thread(target=_watch, args=(keeper, owner), name="orchestrator_nb keeper", daemon=True).start()


def _watch(keeper: int, owner: int) -> None:
    with suppress(OSError, ValueError):
        if os.name == "nt":
            while os.read(keeper, 1):
                pass
        else:
            while os.getppid() == owner:
                if select.select([keeper], [], [], LOOK_FOR_OWNER)[0] and not os.read(keeper, 1):
                    break
    with suppress(Exception):
        kill_attempt(os.environ.get(MARK, ""))
    if os.name != "nt" and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
