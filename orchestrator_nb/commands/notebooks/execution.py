"""One execution of a notebook by papermill: its cells as they run, and what its kernel tells."""

from __future__ import annotations

import asyncio
import contextvars
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.notebooks import engine as notebook_engine
from orchestrator_nb.commands.notebooks import failure as notebook_failure
from orchestrator_nb.commands.notebooks import kernel_messages
from orchestrator_nb.commands.notebooks.bounds import Bounds
from orchestrator_nb.commands.notebooks.engine import LATE_OUTPUT_TIMEOUT, import_papermill
from orchestrator_nb.commands.notebooks.file import RAISES_TAG, SKIP_TAG
from orchestrator_nb.commands.notebooks.kernel import Kernel
from orchestrator_nb.commands.notebooks.kernel_messages import METRIC, OUTPUT, PROGRESS, SHARED, Told
from orchestrator_nb.commands.notebooks.kernel_process import KernelProcess
from orchestrator_nb.commands.notebooks.output import COMPLETED, FAILED, OutputNotebook, relative_path
from orchestrator_nb.commands.notebooks.watch import Expired, Limits, Watch
from orchestrator_nb.errors import Cancelled, CommandError, ResultRefused
from orchestrator_nb.events import (
    ArtifactRecorded,
    CellFinished,
    CellStarted,
    MetricRecorded,
    NoticeGiven,
    OutputRecorded,
)
from orchestrator_nb.ports import Attempt

START_SLACK = 30.0
"""Seconds after its start timeout for which a kernel is still waited for, while it is being ended."""


@dataclass(slots=True)
class _Cell:
    """A cell whose turn it is: its number among the code cells, when it started, how much it may yet print."""

    index: int
    number: int
    source: str
    started: float
    bounds: Bounds = field(default_factory=Bounds)


class NotebookExecution:
    """Runs one notebook on one kernel and tells about it through the attempt.

    What it goes by is what nbclient's hooks and the kernel's messages say, never what is noted in the notebook.
    `told` is the file to which the kernel appends what it tells. Cells are counted from 0 in the notebook as it runs, with the cell of injected parameters.
    """

    def __init__(
        self,
        attempt: Attempt,
        node: Any,
        *,
        kernel: Kernel,
        language: str,
        parameters: Mapping[str, Any],
        output: OutputNotebook,
        cwd: Path,
        told: Path,
        limits: Limits,
    ) -> None:
        self._attempt = attempt
        self._work = attempt.work
        self._node = node
        self._kernel = kernel
        self._language = language
        self._parameters = dict(parameters)
        self._output = output
        self._cwd = cwd
        self._told = told
        self._told_to = 0
        self._limits = limits
        self._watch: Watch | None = None
        self._client: Any = None
        self._numbers: dict[int, int] = {}
        self._running: _Cell | None = None
        self._last: _Cell | None = None
        self._left_at: _Cell | None = None
        self._done = 0
        self._types: tuple[str, ...] = ()
        self._evidence: dict[str, Any] = {}

    def run(self, process: KernelProcess) -> None:
        """Run it to its end. Raises CommandError where it failed and Cancelled where it was asked to end."""
        trouble: Exception | None = None
        failed = True
        self._watch = Watch(process, self._limits, notice=self._notice, measures=self._attempt.measures)
        self._watch.start()
        try:
            papermill = import_papermill()
            # an empty context: Jupyter keeps an event loop in it, which could be that of another thread
            contextvars.Context().run(self._execute, papermill, process)
        except Exception as error:  # noqa: BLE001 - told apart below, once the kernel has been let go
            trouble = error
        finally:
            self._watch.close()
            self._attempt.used = self._watch.used
            stopped = self._running
            self._read_told()
            if stopped is not None:
                self._end_cell(FAILED)
            failed = not self._is_good(trouble)
            if self._output.finish(failed=failed):
                self._attempt.notebook = relative_path(self._work.command)
        if failed:
            if self._attempt.ending is not None:
                raise Cancelled(self._attempt.ending)
            raise self._failure(trouble, stopped or self._last, process.returncode) from trouble

    def _is_good(self, trouble: Exception | None) -> bool:
        all_ran = bool(self._output.node) and self._done == len(self._numbers)
        if self._expired is not None:
            return False
        if self._left_at is not None:
            return all_ran or self._work.definition.allow_early_exit
        return trouble is None and all_ran

    @property
    def _expired(self) -> Expired | None:
        return None if self._watch is None else self._watch.expired

    def _execute(self, papermill: Any, process: KernelProcess) -> None:
        from jupyter_core.utils import ensure_event_loop

        loop = ensure_event_loop()
        try:
            # what papermill.execute_notebook does, which would write the notebook into a text and read it again, twice
            kernel, language = self._kernel.name, self._language
            prepared = notebook_engine.prepared(self._node, self._parameters, kernel=kernel, language=language)
            papermill.execute.raise_for_execution_errors(notebook_engine.Engine.execute_notebook(
                prepared,
                kernel,
                progress_bar=False,
                # the watch ends a kernel that does not answer; this is for one that it cannot end
                start_timeout=None if self._limits.start is None else self._limits.start + START_SLACK,
                # papermill's own cwd= would move the whole process, and all its threads with it
                resources={"metadata": {"path": str(self._cwd)}},
                extra_arguments=list(self._kernel.arguments),
                process=process,
                saves=self._output,
                goes_on=self._goes_on,
                keep=self._keep,
                on_notebook_start=lambda notebook: self._kernel_is_ready(notebook, process),
                on_cell_execute=self._cell_starts,
                on_cell_executed=self._cell_executed,
                on_cell_error=self._cell_failed,
            ), None)  # fmt: skip
        finally:
            _close(loop)

    # ── what nbclient calls, on the thread of the attempt ───────────────────────────────────────────────────────

    def _kernel_is_ready(self, notebook: Any, process: KernelProcess) -> None:
        self._client = process.client
        code = [index for index, cell in enumerate(notebook.cells) if _runs(cell)]
        self._numbers = {index: number for number, index in enumerate(code, start=1)}
        if self._watch is not None:
            self._watch.kernel_is_ready()

    def _goes_on(self, index: int) -> bool:
        """Whether the cell's turn comes: not once the notebook was asked to end, or has asked to."""
        if self._attempt.ending is not None or self._expired is not None:
            return False
        return self._left_at is None or index not in self._numbers

    def _keep(self, message: Mapping[str, Any]) -> bool:
        return self._running is None or self._running.bounds.keep(message)

    def _cell_starts(self, *, cell: Any, cell_index: int) -> None:
        number, of = self._numbers[cell_index], len(self._numbers)
        self._running = self._last = _Cell(cell_index, number, cell.source, time.monotonic())
        command, attempt = self._work.command, self._work.attempt
        self._attempt.report(
            CellStarted(at=time.time(), command=command, attempt=attempt, cell=cell_index, number=number, of=of)
        )
        if self._watch is not None:
            self._watch.cell_started()

    def _cell_executed(self, *, cell: Any, execute_reply: Mapping[str, Any], **_: Any) -> None:
        if self._watch is not None:
            self._watch.cell_ended()
        reply = execute_reply["content"]
        failed = reply.get("status") != "ok" and RAISES_TAG not in _tags(cell)
        asked = any(item.get("source") == "ask_exit" for item in reply.get("payload") or ())
        if asked or (failed and reply.get("ename") == "SystemExit" and reply.get("evalue") in ("", "0", "None")):
            self._left_at = self._running
            failed = False
        failed = failed or self._expired is not None
        self._done += not failed
        if self._watch is not None and self._done == len(self._numbers):
            self._watch.all_done()
        if self._left_at is not None:
            failed = not self._is_good(None)
        self._read_told()
        self._end_cell(FAILED if failed else COMPLETED, len(cell.outputs))

    async def _cell_failed(self, *, cell: Any, **_: Any) -> None:
        if self._attempt.ending is None and self._kernel.is_ipykernel and RAISES_TAG not in _tags(cell):
            self._types, self._evidence = await notebook_failure.ask_about_error(self._client)

    def _end_cell(self, status: str, outputs: int = 0) -> None:
        cell = self._running
        if cell is None:
            return
        self._running = None
        self._output.ended(cell.index, status)
        command, attempt, seconds = self._work.command, self._work.attempt, time.monotonic() - cell.started
        self._attempt.report(
            CellFinished(
                at=time.time(),
                command=command,
                attempt=attempt,
                cell=cell.index,
                status=status,
                seconds=seconds,
                outputs=outputs,
                peak_memory=None if self._watch is None else self._watch.peak_memory,
            )
        )

    # ── what the kernel publishes ───────────────────────────────────────────────────────────────────────────────

    def heard(self, message: dict[str, Any]) -> None:
        """Take a message of the kernel, before nbclient puts it into the notebook."""
        if self._watch is not None and message.get("msg_type") != "status":
            self._watch.heard()
        if message.get("msg_type") == "stream":
            self._attempt.write_log(str(message["content"].get("text", "")))
            return
        if kernel_messages.is_written(message):
            self._read_told()
        try:
            for told in kernel_messages.read(message):
                self._tell(told)
        except (ValueError, ResultRefused) as error:
            self._notice(str(error))

    def heard_text(self, text: str) -> None:
        """Take what the process of the kernel has written past Jupyter. From any thread."""
        if self._watch is not None:
            self._watch.heard()
        self._attempt.write_log(text)

    def _read_told(self) -> None:
        """Tell what the kernel has written down since this was called last."""
        try:
            with self._told.open("rb") as file:
                file.seek(self._told_to)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]  # the rest is still being written
        self._told_to += len(whole)
        for line in whole.splitlines():
            try:
                self._tell(kernel_messages.parse(json.loads(line)))
            except (ValueError, ResultRefused) as error:
                self._notice(str(error))

    def _notice(self, text: str) -> None:
        command, attempt = self._work.command, self._work.attempt
        self._attempt.report(NoticeGiven(at=time.time(), text=text, command=command, attempt=attempt))

    def _tell(self, told: Told) -> None:
        at, command, attempt = time.time(), self._work.command, self._work.attempt
        name = told.name
        if told.kind == PROGRESS:
            self._attempt.progress(told.value, told.text)
        elif told.kind == METRIC:
            value = float(told.value)
            self._attempt.report(MetricRecorded(at=at, command=command, attempt=attempt, name=name, value=value))
        elif told.kind == SHARED:
            self._attempt.share(name, told.value if told.stored is None else told.stored)
        else:
            stored = self._attempt.store(told.value, at=name) if told.stored is None else told.stored
            kind = OutputRecorded if told.kind == OUTPUT else ArtifactRecorded
            self._attempt.report(kind(at=at, command=command, attempt=attempt, name=name, value=stored))

    # ── why it failed ───────────────────────────────────────────────────────────────────────────────────────────

    def _failure(self, trouble: Exception | None, stopped: _Cell | None, returncode: int | None) -> Exception:
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        source = {"source": str(self._output.source)}
        if self._client is None:
            return notebook_failure.not_started(self._kernel.name, trouble, self._expired, **source)
        files = {**source, "notebook": relative_path(self._work.command)}
        place = {**files, **_place(stopped)}
        if self._expired is not None:
            return notebook_failure.ran_out(self._expired, **place)
        if self._left_at is not None:
            return notebook_failure.left_early(self._done, len(self._numbers), **files, **_place(self._left_at))
        if isinstance(trouble, PapermillExecutionError):
            return notebook_failure.raised(trouble, self._types, self._evidence, **files)
        if isinstance(trouble, CellTimeoutError):
            message = f"the output of a cell did not arrive within {LATE_OUTPUT_TIMEOUT} s after the cell had ended"
            return CommandError(message, kind="timeout", **place)
        if isinstance(trouble, DeadKernelError) and returncode is not None:
            memory = None if self._watch is None else self._watch.peak_memory
            return notebook_failure.died(returncode, memory, **place)
        return trouble or CommandError("not all of its cells were run", kind="lost", **files)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Let go of the event loop that this thread was given for the notebook."""
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    if pending:
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    asyncio.set_event_loop(None)


def _runs(cell: Any) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip()) and SKIP_TAG not in _tags(cell)


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", ()))


def _place(cell: _Cell | None) -> dict[str, Any]:
    return {} if cell is None else {"cell": cell.index, "cell_source": notebook_failure.shortened(cell.source)}
