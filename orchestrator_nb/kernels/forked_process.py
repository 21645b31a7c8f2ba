"""A kernel that a fork server has forked, as its owner sees it: what `subprocess.Popen` is for one of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from typing import Any


class NotForked(Exception):
    """A fork server could not or would not fork a kernel.

    With `replace`, a new server may do it; `unfit` is the module that has spoilt this one; with `unable`, no server of
    the same kind can do it either; `lost` is one that ended without an answer.
    """

    def __init__(
        self, why: str, *, replace: bool = False, unfit: str | None = None, unable: bool = False, lost: bool = False
    ) -> None:
        super().__init__(why)
        self.lost = lost
        self.replace = replace
        self.unfit = unfit
        self.unable = unable


class ForkedProcess:
    """A forked kernel at the end of a line to its server, which says what becomes of it. It is killed when the line is
    closed. All methods may be called from any thread.

    `bound` tells whether its sockets are there; `says_ready` whether it will say by itself when it is ready, and `ready`
    what it has said of its language then; `alone` whether, now that it has ended, no process that came of it is
    left.
    """

    stdin = stdout = stderr = None
    args = ("forked kernel",)

    def __init__(self, line: socket.socket) -> None:
        self.pid = 0
        self.returncode: int | None = None
        self.bound = False
        self.says_ready = False
        self.ready: dict[str, Any] | None = None
        self.alone = False
        self._refusal: NotForked | None = None
        self._line = line
        self._line.setblocking(False)
        self._heard = b""
        self._lock = threading.Lock()

    @property
    def is_decided(self) -> bool:
        """Whether the server has answered the request. Raises NotForked where it has refused it."""
        self.poll()
        if self._refusal is not None:
            raise self._refusal
        return self.pid != 0

    def watch(self) -> socket.socket:
        """Return a socket that becomes readable when there is news; the caller closes it."""
        with self._lock:
            return self._line.dup()

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        with self._lock:
            while self.returncode is None and self._refusal is None:
                try:
                    data = self._line.recv(4096)
                except BlockingIOError:
                    break
                except OSError:
                    data = b""
                if data:
                    self._heard += data
                    *whole, self._heard = self._heard.split(b"\n")
                    for said in whole:
                        self._take(json.loads(said))
                elif self.pid:  # the server is dead, and its kernels die with it
                    self._end(-signal.SIGKILL)
                else:
                    self._refusal = NotForked("the fork server ended before it could fork", replace=True, lost=True)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when it has ended. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            with self.watch() as news:
                ready = select.poll()
                ready.register(news, select.POLLIN)
                ready.poll(None if left is None else left * 1000)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to the process; nothing happens where it has ended."""
        if self.pid and self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Let go of it: what still runs is killed by the server."""
        with self._lock:
            if self.returncode is None and self.pid:
                self._end(-signal.SIGKILL)
            self._line.close()

    def __del__(self) -> None:
        self._line.close()

    def _take(self, said: dict[str, Any]) -> None:
        self.pid = said.get("pid", self.pid)
        if "bound" in said:
            self.bound, self.says_ready = True, bool(said["more"])
        self.ready = said.get("ready", self.ready)
        if "exit" in said:
            self.alone = bool(said["alone"])
            self._end(int(said["exit"]))
        elif "refused" in said:
            self._refusal = NotForked(said["refused"], replace=bool(said["replace"]))
        elif "unable" in said:
            self._refusal = NotForked(f"its fork server did not start: {said['unable']}", unable=True)
        elif "unfit" in said:
            self._refusal = NotForked(said["why"], replace=True, unfit=said["unfit"])

    def _end(self, code: int) -> None:
        self.returncode = code
        self._line.close()
