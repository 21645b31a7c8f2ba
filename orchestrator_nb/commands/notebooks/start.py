"""The kernel for an attempt at a notebook: one that was started ahead for it, or one to start when the notebook runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from orchestrator_nb.commands.arguments import Coming
from orchestrator_nb.commands.notebooks import imports as notebook_imports
from orchestrator_nb.commands.notebooks.file import Notebook
from orchestrator_nb.commands.notebooks.kernel import Kernel
from orchestrator_nb.commands.notebooks.kernel_environment import environment, is_known_ahead
from orchestrator_nb.commands.notebooks.kernel_process import KernelProcess, KernelStart
from orchestrator_nb.commands.notebooks.kernel_way import KernelWay, kernel_way
from orchestrator_nb.commands.notebooks.prepared_kernels import Wanted, memory_is_short, prepared_kernels
from orchestrator_nb.commands.processes import MARK, marks
from orchestrator_nb.events import KernelStarted
from orchestrator_nb.kernels.ways import FORK, POOL
from orchestrator_nb.ports import Attempt, Work

NONE_READY = "none that was started ahead was there for it"


def process_of(attempt: Attempt, notebook: Notebook, kernel: Kernel, cwd: Path) -> KernelProcess:
    """Return the process of the attempt's kernel, whose environment is set; the caller closes it.

    How the kernel was started is told when it was. Raises UsageError where the environment cannot be put together.
    """
    work = attempt.work
    process = prepared_kernels.take(work, Wanted(kernel=kernel, cwd=cwd), lambda folder: environment(attempt, folder))
    if process is not None and process.ahead is not None:
        attempt.report(_told(work, process.ahead.start))
        return process
    process = _new(work)
    try:
        process.environment = environment(attempt, process.folder)
        way = _way(work, kernel, process.environment)
        if way.reason is not None:
            process.plain_reason = f"{way.reason}; {NONE_READY}" if way.start == POOL else way.reason
        process.preload = notebook_imports.preload(work, notebook, kernel, cwd) if way.start == FORK else ()
    except BaseException:
        process.close()
        raise
    process.on_start = lambda start: attempt.report(_told(work, start))
    return process


def prepare(work: Work, kernel: Kernel, cwd: Path) -> bool:
    """Start the kernel of an attempt that is to come, where kernels of its kind come from the pool and the machine has
    memory to spare; return False where none is to be started for this command. Raises what hinders it."""
    if prepared_kernels.has(work):
        return True
    if not is_known_ahead(work):
        return False
    way = _way(work, kernel, environment(Coming(work), Path()))
    if way.start != POOL:
        return False
    if memory_is_short():
        return True
    process = _new(work)
    try:
        process.environment = environment(Coming(work), process.folder)
        process.plain_reason = way.reason
    except BaseException:
        process.close()
        raise
    prepared_kernels.prepare(work, Wanted(kernel=kernel, cwd=cwd), process)
    return True


def _new(work: Work) -> KernelProcess:
    return KernelProcess(mark=marks(work.run_folder, work.command, work.attempt)[MARK])


def _way(work: Work, kernel: Kernel, variables: Mapping[str, str]) -> KernelWay:
    return kernel_way(kernel, work.definition.kernels, work.kernels, variables)


def _told(work: Work, start: KernelStart) -> KernelStarted:
    return KernelStarted(
        at=time.time(),
        command=work.command,
        attempt=work.attempt,
        way=start.way,
        seconds=start.seconds,
        reason=start.reason,
    )
