"""One execution of a notebook by papermill: its cells, what its kernel tells, and why it failed."""

from __future__ import annotations

import ast
import asyncio
import contextvars
import logging
import queue
import re
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator_nb import context
from orchestrator_nb.commands import kernel_messages
from orchestrator_nb.commands.kernel_messages import ARTIFACT, METRIC, OUTPUT, PROGRESS, Told
from orchestrator_nb.commands.kernel_process import KernelProcess
from orchestrator_nb.commands.notebook_file import RAISES_TAG, SKIP_TAG
from orchestrator_nb.commands.notebook_kernel import Kernel
from orchestrator_nb.commands.notebook_output import COMPLETED, FAILED, OutputNotebook, relative_path
from orchestrator_nb.errors import Cancelled, CommandError
from orchestrator_nb.events import (
    ArtifactRecorded,
    CellFinished,
    CellStarted,
    MetricRecorded,
    NoticeGiven,
    OutputRecorded,
)
from orchestrator_nb.ports import Attempt

START_TIMEOUT = 120
"""Seconds a kernel may take to answer for the first time."""

LATE_OUTPUT_TIMEOUT = 60
"""Seconds to wait for the rest of a cell's output after its reply."""

PRINTED_LIMIT = 10 * 2**20
"""Characters of a cell's printed text that are kept in the output notebook; the log of the attempt has its own bound."""

QUOTED_LIMIT = 16 * 1024
"""Characters of a cell's source that go into a failure."""

ASK_TIMEOUT = 5.0
"""Seconds a kernel may take to answer a question about an error."""

_TYPES_OF_LAST_ERROR = (
    '[(t.__module__ + "." if t.__module__ != "builtins" else "") + t.__qualname__ '
    'for t in __import__("sys").last_type.__mro__]'
)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_importing = threading.Lock()


def import_papermill() -> Any:
    """Import papermill, in one thread at a time: its modules import each other in circles."""
    with _importing:
        import papermill
    quiet = logging.getLogger("papermill")
    if not quiet.handlers:  # without one, its warnings would go to the terminal
        quiet.addHandler(logging.NullHandler())
    return papermill


class _LeftEarly(Exception):
    """Raised between two cells, when the one before has asked the kernel to exit."""


@dataclass(slots=True)
class _Cell:
    """A cell whose turn it is: its number among the code cells, when it started, how much it has printed."""

    index: int
    number: int
    source: str
    started: float
    printed: int = 0


class NotebookExecution:
    """Runs one notebook on one kernel and tells about it through the attempt.

    What it goes by is what nbclient's hooks and the kernel's messages say, never what is noted in the notebook.
    Cells are counted from 0 in the notebook as it runs, with the cell of injected parameters.
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
    ) -> None:
        self._attempt = attempt
        self._work = attempt.work
        self._node = node
        self._kernel = kernel
        self._language = language
        self._parameters = dict(parameters)
        self._output = output
        self._cwd = cwd
        self._sink = context.current()  # where shared values and progress of this attempt go
        self._client: Any = None
        self._numbers: dict[int, int] = {}
        self._running: _Cell | None = None
        self._left_at: _Cell | None = None
        self._done = 0
        self._types: tuple[str, ...] = ()

    def run(self, process: KernelProcess) -> None:
        """Run it to its end. Raises CommandError where it failed and Cancelled where it was asked to end."""
        trouble: Exception | None = None
        failed = True
        try:
            papermill = import_papermill()
            # an empty context: Jupyter keeps an event loop in it, which could be that of another thread
            contextvars.Context().run(self._execute, papermill, process)
        except Exception as error:
            trouble = error
        finally:
            stopped = self._running
            if stopped is not None:
                self._end_cell(FAILED)
            failed = not self._is_good(trouble)
            self._output.finish(failed=failed)
        if failed:
            if self._attempt.ending is not None:
                raise Cancelled(self._attempt.ending)
            raise self._failure(trouble, stopped, process.returncode) from trouble

    def _is_good(self, trouble: Exception | None) -> bool:
        all_ran = bool(self._output.node) and self._done == len(self._numbers)
        if self._left_at is not None:
            return all_ran or self._work.definition.allow_early_exit
        return trouble is None and all_ran

    def _execute(self, papermill: Any, process: KernelProcess) -> None:
        from jupyter_core.utils import ensure_event_loop

        loop = ensure_event_loop()
        # without it, every kernel of the user writes to the same file of history
        history = ["--HistoryManager.hist_file=:memory:"] if self._kernel.is_ipykernel else []
        try:
            papermill.execute_notebook(
                self._node,
                None,
                self._parameters or None,
                kernel_name=self._kernel.name,
                language=self._language,
                progress_bar=False,
                start_timeout=START_TIMEOUT,
                iopub_timeout=LATE_OUTPUT_TIMEOUT,
                # papermill's own cwd= would move the whole process, and all its threads with it
                resources={"metadata": {"path": str(self._cwd)}},
                extra_arguments=history,
                kernel_manager_class=process.manager_class(),
                on_notebook_start=lambda notebook: self._notebook_starts(notebook, process),
                on_cell_start=self._cell_comes,
                on_cell_execute=self._cell_starts,
                on_cell_executed=self._cell_executed,
                on_cell_error=self._cell_failed,
            )
        finally:
            _close(loop)

    # ── what nbclient calls, on the thread of the attempt ───────────────────────────────────────────────────────

    def _notebook_starts(self, notebook: Any, process: KernelProcess) -> None:
        self._client = process.client
        code = [index for index, cell in enumerate(notebook.cells) if _runs(cell)]
        self._numbers = {index: number for number, index in enumerate(code, start=1)}
        self._output.begin(notebook)

    def _cell_comes(self, cell: Any, cell_index: int) -> None:
        if self._attempt.ending is not None:
            raise Cancelled(self._attempt.ending)
        if self._left_at is not None and cell_index in self._numbers:
            raise _LeftEarly
        self._output.visited(cell_index)

    def _cell_starts(self, cell: Any, cell_index: int) -> None:
        number, of = self._numbers[cell_index], len(self._numbers)
        self._running = _Cell(cell_index, number, cell.source, time.monotonic())
        command, attempt = self._work.command, self._work.attempt
        self._attempt.report(
            CellStarted(at=time.time(), command=command, attempt=attempt, cell=cell_index, number=number, of=of)
        )
        self._output.save_if_due()

    def _cell_executed(self, cell: Any, cell_index: int, execute_reply: Mapping[str, Any]) -> None:
        reply = execute_reply["content"]
        failed = reply.get("status") != "ok" and RAISES_TAG not in _tags(cell)
        asked = any(item.get("source") == "ask_exit" for item in reply.get("payload") or ())
        if asked or (failed and reply.get("ename") == "SystemExit" and reply.get("evalue") in ("", "0", "None")):
            self._left_at = self._running
            failed = False
        self._done += not failed
        if self._left_at is not None:
            failed = not self._is_good(None)
        self._end_cell(FAILED if failed else COMPLETED, len(cell.outputs))

    async def _cell_failed(self, cell: Any, cell_index: int, execute_reply: Mapping[str, Any]) -> None:
        if self._attempt.ending is None and self._kernel.is_ipykernel and RAISES_TAG not in _tags(cell):
            self._types = await _ask_types(self._client)

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
            )
        )

    # ── what the kernel publishes ───────────────────────────────────────────────────────────────────────────────

    def heard(self, message: dict[str, Any]) -> None:
        """Take a message of the kernel, before nbclient puts it into the notebook."""
        if message.get("msg_type") == "stream":
            self._attempt.write_log(str(message["content"].get("text", "")))
            self._bound(message["content"])
            self._output.save_if_due()
            return
        try:
            for told in kernel_messages.read(message):
                self._tell(told)
        except ValueError as error:
            command, attempt = self._work.command, self._work.attempt
            self._attempt.report(NoticeGiven(at=time.time(), text=str(error), command=command, attempt=attempt))

    def _bound(self, content: dict[str, Any]) -> None:
        """Leave out of the notebook what a cell prints beyond all measure."""
        cell = self._running
        if cell is None:
            return
        text = str(content.get("text", ""))
        room = PRINTED_LIMIT - cell.printed
        cell.printed += len(text)
        if len(text) > room:
            note = "\n[… what the cell printed after this is left out here; see the log of the attempt …]\n"
            content["text"] = text[:room] + note if room >= 0 else ""
            cell.printed = PRINTED_LIMIT + 1

    def _tell(self, told: Told) -> None:
        at, command, attempt = time.time(), self._work.command, self._work.attempt
        name = told.name
        if told.kind == PROGRESS:
            self._sink.progress(told.value, told.text)
        elif told.kind == METRIC:
            value = float(told.value)
            self._attempt.report(MetricRecorded(at=at, command=command, attempt=attempt, name=name, value=value))
        elif told.stored is None:
            self._sink.share(name, told.value)
        else:
            kind = OutputRecorded if told.kind == OUTPUT else ArtifactRecorded
            self._attempt.report(kind(at=at, command=command, attempt=attempt, name=name, value=told.stored))

    # ── why it failed ───────────────────────────────────────────────────────────────────────────────────────────

    def _failure(self, trouble: Exception | None, stopped: _Cell | None, returncode: int | None) -> Exception:
        from nbclient.exceptions import CellTimeoutError
        from papermill.exceptions import PapermillExecutionError

        if self._output.node is None:
            message = f'the kernel "{self._kernel.name}" did not start: {_first_line(trouble)}'
            return CommandError(message, kind="not_started", stage="starting the kernel", types=_names(trouble))
        notebook = relative_path(self._work.command)
        left = self._left_at
        if left is not None:
            message = (
                f"the notebook asked to exit in its cell {left.index}, after {self._done} of {len(self._numbers)} "
                "code cells; if it may, say allow_early_exit: true"
            )
            return CommandError(message, kind="early_exit", notebook=notebook, exit_code=0, **_place(left))
        if isinstance(trouble, PapermillExecutionError):
            return self._exception(trouble, notebook)
        at = stopped or _Cell(0, 0, "", 0.0)
        if isinstance(trouble, CellTimeoutError):
            message = f"the output of cell {at.index} did not arrive within {LATE_OUTPUT_TIMEOUT} s after the cell ended"
            return CommandError(message, kind="timeout", notebook=notebook, **_place(at))
        if returncode is None or trouble is None:
            return trouble or CommandError("not all cells were run", kind="lost", notebook=notebook)
        where = f"while its cell {at.index} ran" if stopped else "between two cells"
        if returncode < 0:
            message = f"the kernel died {where}: {_signal(-returncode)}"
            return CommandError(message, kind="kernel_died", signal=-returncode, notebook=notebook, **_place(stopped))
        message = f"the kernel exited {where}, with code {returncode}"
        return CommandError(message, kind="kernel_died", exit_code=returncode, notebook=notebook, **_place(stopped))

    def _exception(self, trouble: Any, notebook: str) -> CommandError:
        types = self._types or (str(trouble.ename),)
        code = str(trouble.evalue)
        return CommandError(
            _ANSI.sub("", str(trouble.evalue)) or str(trouble.ename),
            kind="exception",
            types=types,
            traceback=_ANSI.sub("", "\n".join(trouble.traceback)) or None,
            notebook=notebook,
            exit_code=int(code) if trouble.ename == "SystemExit" and code.lstrip("-").isdecimal() else None,
            cell=trouble.cell_index,
            cell_source=shortened(trouble.source),
        )


async def _ask_types(client: Any) -> tuple[str, ...]:
    """Ask the kernel for the classes of the exception that it has just shown; its reply names only the first."""
    for _ in range(20):
        question = client.execute(
            "", silent=True, store_history=False, allow_stdin=False, user_expressions={"types": _TYPES_OF_LAST_ERROR}
        )
        try:
            reply = await client.shell_channel.get_msg(timeout=ASK_TIMEOUT)
            while reply["parent_header"].get("msg_id") != question:
                reply = await client.shell_channel.get_msg(timeout=ASK_TIMEOUT)
            if reply["content"].get("status") == "aborted":  # it still drops what was sent before the error
                await asyncio.sleep(0.02)
                continue
            answer = reply["content"]["user_expressions"]["types"]["data"]["text/plain"]
            names = [str(name) for name in ast.literal_eval(answer)]
        except (queue.Empty, KeyError, ValueError, SyntaxError):
            return ()
        end = names.index("Exception") + 1 if "Exception" in names else 1
        return tuple(names[:end])
    return ()


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


def shortened(source: str) -> str:
    """Return as much of a cell's source as is quoted in a failure."""
    return source if len(source) <= QUOTED_LIMIT else source[:QUOTED_LIMIT] + "\n…"


def _runs(cell: Any) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip()) and SKIP_TAG not in _tags(cell)


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", ()))


def _place(cell: _Cell | None) -> dict[str, Any]:
    return {} if cell is None else {"cell": cell.index, "cell_source": shortened(cell.source)}


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"ended by signal {number}"
    often = "; often the system ending it for want of memory" if name == "SIGKILL" else ""
    return f"ended by {name}{often}"


def _first_line(error: Exception | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _names(error: Exception | None) -> tuple[str, ...]:
    return () if error is None else (type(error).__name__,)
