"""What ends kernels that were started plainly when the process that started them is gone, however it went.

It is a small process of its own, started with the first of them. It hears through a pipe which kernels there are, and
by the end of the pipe that their owner is no more; no kernel has to do anything for that, and none can keep it from it.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

PROGRAM = Path(__file__).with_name("keeper_program.py")
"""What the process runs: by its path, without this package."""


class Keeper:
    """Ends the kernels that it was told of when this process ends. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner: int | None = None

    def keep(self, pid: int) -> None:
        """Take charge of a process, the first of its group, that this one has started and not yet waited for."""
        with self._lock:
            if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
                self._start()
            self._say(f"+{pid}\n")

    def let_go(self, pid: int) -> None:
        """Leave that process alone from now on."""
        with self._lock:
            if self._process is not None and self._owner == os.getpid():
                self._say(f"-{pid}\n")

    @property
    def pid(self) -> int | None:
        """The process id of the keeper, None where there is none."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End it, and what it still keeps."""
        process = self._process
        if process is not None and process.stdin is not None and self._owner == os.getpid():
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5.0)

    def _start(self) -> None:
        if self._process is None:
            atexit.register(self.close)
        self._owner = os.getpid()
        with suppress(OSError):  # without it a kernel has to notice by itself
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(PROGRAM), str(self._owner)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=os.sep,
                bufsize=0, start_new_session=True,
            )  # fmt: skip

    def _say(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(line.encode())


keeper = Keeper()
"""The keeper of this process."""
