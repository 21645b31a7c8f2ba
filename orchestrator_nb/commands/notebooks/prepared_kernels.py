"""The pool: kernels that were started ahead, where none can be forked.

What a process gets at its start cannot be changed later in every language, so each of them is started for one attempt
alone, in the directory and the environment of that attempt, its secrets included. It is used by that attempt or by none, and only where nothing of this is different by then.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.notebooks.kernel import Kernel
from orchestrator_nb.commands.notebooks.kernel_process import Ahead, KernelProcess, KernelStart
from orchestrator_nb.kernels.ways import POOLED
from orchestrator_nb.ports import Work

SPARE = 0.1
"""The part of the machine's memory that has to be free for a kernel to be started ahead."""

_Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a kernel is started with besides its environment: which one it is, and in which directory."""

    kernel: Kernel
    cwd: Path

    @property
    def place(self) -> tuple[int, int] | None:
        """What tells the directory from another one that has its name later."""
        try:
            found = os.stat(self.cwd)
        except OSError:
            return None
        return found.st_dev, found.st_ino


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    process: KernelProcess
    wanted: Wanted
    place: tuple[int, int] | None


class PreparedKernels:
    """Kernels of this process that were started ahead, each for one attempt. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kernels: dict[_Key, Future[_Prepared]] = {}
        self._begun: set[_Key] = set()

    def prepare(self, work: Work, wanted: Wanted, process: KernelProcess) -> None:
        """Start a kernel for an attempt that is to come, in the environment of `process`; returns when it is started.

        Does nothing where there is one already, or where the attempt has begun. Raises what goes wrong, after
        everything was cleaned up.
        """
        future: Future[_Prepared] = Future()
        with self._lock:
            comes_late = _key(work) in self._begun or self._kernels.setdefault(_key(work), future) is not future
        if comes_late:
            process.close()
            return
        try:
            place = wanted.place
            contextvars.Context().run(asyncio.run, _started(process, wanted))
        except BaseException as error:
            with self._lock:
                self._kernels.pop(_key(work), None)
            process.discard()
            future.set_exception(error)
            raise
        future.set_result(_Prepared(process=process, wanted=wanted, place=place))

    def has(self, work: Work) -> bool:
        """Tell whether a kernel is there for that attempt, is being started, or would come too late."""
        with self._lock:
            return _key(work) in self._kernels or _key(work) in self._begun

    def take(self, work: Work, wanted: Wanted, environment: Callable[[Path], dict[str, str]]) -> KernelProcess | None:
        """Return the kernel that was started for this attempt, as it is wanted now; None where there is none.

        One that has ended, or would be started in another way now, is ended. `environment` returns what it would have
        to be with that folder of the kernel's own.
        """
        with self._lock:
            self._begun.add(_key(work))
            future = self._kernels.pop(_key(work), None)
        if future is None:
            return None
        begun = time.monotonic()
        try:
            found = future.result()  # it takes no longer than starting another one would
        except Exception:  # noqa: BLE001 - it is started once more, and fails in the attempt, where it is told
            return None
        process = found.process
        try:
            same = (found.wanted, found.place) == (wanted, wanted.place)
            if same and process.returncode is None and process.environment == environment(process.folder):
                assert process.ahead is not None
                start = replace(process.ahead.start, way=POOLED, seconds=time.monotonic() - begun)
                process.ahead = replace(process.ahead, start=start)
                return process
        except BaseException:
            process.discard()
            raise
        process.discard()
        return None

    def keep(self, run_folder: Path, attempts: Collection[tuple[str, int]]) -> None:
        """End the kernels of that run that are not for one of these attempts."""
        with self._lock:
            others = [key for key in self._kernels if key[0] == str(run_folder) and key[1:] not in attempts]
            ended = [self._kernels.pop(key) for key in others]
            self._begun = {key for key in self._begun if key[0] != str(run_folder) or key[1:] in attempts}
        for future in ended:
            future.add_done_callback(_end)

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            ended = list(self._kernels.values())
            self._kernels.clear()
        for future in ended:
            future.add_done_callback(_end)


def memory_is_short() -> bool:
    """Tell whether the machine has no memory to spare for what may not be needed soon."""
    import psutil

    memory = psutil.virtual_memory()
    return bool(memory.available < SPARE * memory.total)


async def _started(process: KernelProcess, wanted: Wanted) -> None:
    told: list[KernelStart] = []
    process.on_start = told.append
    manager: Any = process.manager(kernel_name=wanted.kernel.name)
    await manager.start_kernel(extra_arguments=list(wanted.kernel.arguments), cwd=str(wanted.cwd))
    process.ahead = Ahead(start=told[0], manager=manager)


def _end(future: Future[_Prepared]) -> None:
    if future.exception() is None:
        future.result().process.discard()


def _key(work: Work) -> _Key:
    return str(work.run_folder), work.command, work.attempt


prepared_kernels = PreparedKernels()
"""Those of this process."""
atexit.register(prepared_kernels.close)
