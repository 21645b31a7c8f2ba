"""A kernel of one attempt: started over sockets that only its user can reach, and ended from any thread."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from orchestrator_nb.commands.notebooks.kernel_folder import KernelFolder
from orchestrator_nb.commands.output import Pump
from orchestrator_nb.commands.processes import Tree
from orchestrator_nb.errors import Cancelled
from orchestrator_nb.kernels.keeper import keeper
from orchestrator_nb.kernels.ways import FORKED

EARLY = 100
"""How many pieces of text are kept until somebody listens."""

ASK_EVERY = 0.05
"""Seconds between two looks whether a process is still there, where the system cannot tell by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelStart:
    """How a kernel came to be: `way` is forked, pooled or plain, `reason` why it is not forked."""

    way: str
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """A start that was made before the attempt: how it went, and the manager that has made it."""

    start: KernelStart
    manager: Any


class KernelProcess:
    """What belongs to one kernel: a private folder for sockets and data, its environment, its process tree.

    `environment` is the whole environment that it is started in, `preload` names the modules that are imported before
    it is forked, `plain_reason` says why it must not be, `on_start` is told how it was started, `mark` its value of `processes.ATTEMPT`, `client`
    Jupyter's client once it was started. `ahead` is there where it was started before its attempt. `on_message` is given every message that the kernel publishes, on the thread that runs the notebook, before
    anyone else sees it; `on_text` what the process writes to its standard streams past Jupyter, on a thread of its
    own. After `close` nothing is left of the kernel.
    """

    def __init__(self, *, mark: str) -> None:
        self.environment: dict[str, str] = {}
        self.on_message: Callable[[dict[str, Any]], None] = _ignore
        self.on_text: Callable[[str], None] = self._keep_text
        self.client: Any = None
        self.plain_reason: str | None = None
        self.preload: Sequence[str] = ()
        self.on_start: Callable[[KernelStart], None] = _ignore
        self.ahead: Ahead | None = None
        self._mark = mark
        self._early: list[str] = []
        self._lock = threading.Lock()
        self._ending = False
        self._ended = threading.Event()
        self._kept: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._tree: Tree | None = None
        self._pump: Pump | None = None
        self._private = KernelFolder()
        self.folder = self._private.path

    @property
    def returncode(self) -> int | None:
        """The exit code of the kernel's process, negative for a signal; None while it runs or was never there."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        """The process id of the kernel, None where it was never started on this machine."""
        return None if self._process is None else self._process.pid

    async def exited(self) -> None:
        """Return when the kernel's process has ended, at once where it was never there."""
        while self._process is not None and self.returncode is None:
            loop = asyncio.get_running_loop()
            ended: asyncio.Future[None] = loop.create_future()
            try:
                descriptor = os.pidfd_open(self._process.pid)  # type: ignore[attr-defined, unused-ignore]
            except (AttributeError, OSError):  # not Linux, or it has just gone
                await asyncio.sleep(ASK_EVERY)
                continue
            loop.add_reader(descriptor, _settle, ended)
            try:
                await ended
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
            if self.returncode is None:  # whoever started it is still to tell its exit code
                await asyncio.sleep(0.005)

    def end(self, grace: float) -> None:
        """Interrupt the running cell; after `grace` seconds end the whole process tree. From any thread."""
        with self._lock:
            self._ending = True
            process, tree = self._process, self._tree
        if process is not None and tree is not None:
            _interrupt(process)
            if not self._ended.wait(grace):
                tree.kill()

    def close(self) -> None:
        """End what is left of the kernel and what it started, and remove its folder."""
        self._ended.set()
        # a fork server knows whether anything is left, else all processes of the machine are looked at
        if self._tree is not None and not (self.returncode is not None and getattr(self._process, "alone", False)):
            self._tree.kill()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5.0)
        if self._kept is not None:
            keeper.let_go(self._kept)
        if self._pump is not None:
            self._pump.let_go()
        self._private.close()

    def discard(self) -> None:
        """End a kernel that was started ahead and is not to be used: its attempt, which has the same mark, may have
        another one by now."""
        if self._process is not None:
            self._tree = Tree(self._process.pid)
        self.close()
        if self.ahead is not None:
            contextvars.Context().run(asyncio.run, self.ahead.manager.cleanup_resources())

    def manager(self, **options: Any) -> Any:
        """Return the kernel manager that starts this kernel and no other; it has done so where that was done ahead."""
        if self.ahead is not None:
            return self.ahead.manager
        from orchestrator_nb.commands.notebooks.kernel_start import PrivateManager

        return PrivateManager(owner=self, **options)

    def hear(self, on_message: Callable[[dict[str, Any]], None], on_text: Callable[[str], None]) -> None:
        """Hand on what the kernel publishes and what it writes, what it has written until now first."""
        self.on_message, self.on_text = on_message, on_text
        while self._early:
            on_text(self._early.pop(0))

    def _text(self, text: str) -> None:
        self.on_text(text)

    def _keep_text(self, text: str) -> None:
        """Keep what is written before anybody listens, within bounds: it is what a kernel has to say when it starts."""
        if len(self._early) < EARLY:
            self._early.append(text)

    def output(self) -> Any:
        """Return the writing end of a pipe, as a file, whose other end is read until nobody holds it any more."""
        with self._lock:
            if self._ending:
                raise Cancelled("the attempt was asked to end before its kernel was started")
        reading, writing = os.pipe()
        self._pump = Pump(os.fdopen(reading, "rb", buffering=0), self._text)
        return os.fdopen(writing, "wb", buffering=0)

    def started(self, provisioner: Any, seconds: float) -> None:
        """Take notice of the kernel that was started. Raises Cancelled where it is not to live."""
        way = getattr(provisioner, "way", "plain")
        reason = self.plain_reason or getattr(provisioner, "why", "") or ""
        self.on_start(KernelStart(way=way, seconds=seconds, reason=reason))
        process = getattr(provisioner, "process", None)
        if process is None:  # a provisioner of someone else's, which starts kernels elsewhere
            return
        with self._lock:
            self._process, self._tree = process, Tree(process.pid, mark=self._mark)
            ending = self._ending
        if way != FORKED:  # a fork server sees to its kernels itself
            keeper.keep(process.pid)
            self._kept = process.pid
        if ending:
            self._tree.kill()
            raise Cancelled("the attempt was asked to end while its kernel was started")


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


def _ignore(_: object) -> None:
    """Hear nothing."""


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the kernel and what its cell runs in the foreground, as Jupyter's stop button does."""
    if sys.platform == "win32":
        from jupyter_client.win_interrupt import send_interrupt

        send_interrupt(process.win32_interrupt_event)
        return
    with suppress(ProcessLookupError, PermissionError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
