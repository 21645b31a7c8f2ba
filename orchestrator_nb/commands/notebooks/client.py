"""The client that runs the cells of a notebook: papermill's, which notices a dead kernel at once and says the truth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from orchestrator_nb.commands.notebooks.cell_output import plain_output
from orchestrator_nb.commands.notebooks.kernel_process import KernelProcess

QUIET = 0.02
"""Seconds of silence, twice in a row, after which nothing more is expected of a kernel that has died."""

DRAIN_LIMIT = 5.0
"""Seconds that may go into taking what a kernel had sent before it died."""

SAVE_LOOK = 1.0
"""Seconds between two looks whether a silent cell has left something to save."""

Keep = Callable[[Mapping[str, Any]], bool]
"""Says whether a message of the kernel goes into the notebook."""


@lru_cache(maxsize=1)
def client_class() -> type[Any]:
    """Return the class; it is made once, since it derives from papermill's."""
    from jupyter_core.utils import ensure_async, run_sync
    from nbclient.exceptions import CellExecutionError, CellTimeoutError
    from papermill.clientwrap import PapermillNotebookClient

    from orchestrator_nb.kernels.quick_traits import QuicklyConfigured

    quickly: Any = QuicklyConfigured  # whose __init__ takes what papermill's does, which is untyped

    class Client(quickly, PapermillNotebookClient):  # type: ignore[misc]
        """Runs cells on the kernel of `process`, None for one of someone else's.

        `goes_on` is asked before each cell with its index; after a no the cells that are left stay pending.
        """

        def __init__(
            self,
            manager: Any,
            process: KernelProcess | None,
            *,
            goes_on: Callable[[int], bool] = lambda _: True,
            keep: Keep = lambda _: True,
            **options: Any,
        ) -> None:
            super().__init__(manager, **options)
            self._process = process
            self._goes_on = goes_on
            self._keep = keep
            self._messages = 0
            self._interrupted: int | None = None

        def create_kernel_manager(self) -> Any:
            """Return what starts the kernel."""
            if self._process is None:
                return super().create_kernel_manager()
            named = {"kernel_name": self.kernel_name} if self.kernel_name else {}
            self.km = self._process.manager(config=self.config, **named)
            return self.km

        def execute(self, **options: Any) -> Any:
            """Run the notebook. Raises what nbclient does when the kernel dies or a cell's time is over."""
            self.reset_execution_trackers()
            run_sync(self._async_run)(**options)
            return self.nb

        async def _async_run(self, *, cleanup_kc: bool | None = None, **options: Any) -> None:
            """Start the kernel, run the cells, end it: in one go, since each start of an event loop has its price."""
            leaves = self.owns_km if cleanup_kc is None else cleanup_kc
            if self.km is None:
                self.km = self.create_kernel_manager()
            if not self.km.has_kernel:
                await self.async_start_new_kernel(**options)
            if self.kc is None:
                await self.async_start_new_kernel_client()
            try:
                # before the cells, as nbclient does, and not after them: a cell may end its kernel
                info = getattr(self.kc, "kernel_info_reply", None)
                if info is None:
                    info = await self.async_wait_for_reply(await ensure_async(self.kc.kernel_info()))
                if info is not None:
                    self.nb.metadata["language_info"] = info["content"]["language_info"]
                try:
                    await self._async_run_cells()
                finally:
                    self.set_widgets_metadata()
            finally:
                if leaves:
                    await self._async_cleanup_kernel()

        async def _async_run_cells(self) -> None:
            """Run cell after cell, until one raises."""
            for index, cell in enumerate(self.nb.cells):
                if not self._goes_on(index):
                    return
                self.nb_man.cell_start(cell, index)
                try:
                    await self.async_execute_cell(cell, index)
                except CellExecutionError as error:
                    self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
                    return
                except BaseException as error:
                    # papermill would call this cell completed, and all that come after it
                    self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
                    self.shutdown_kernel = "immediate"  # it is gone, or does not listen
                    raise
                finally:
                    self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)

        def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
            """Add an output to those of a cell; one that needs no more than that is not held against the schema."""
            hooks = self.output_hook_stack[msg["parent_header"].get("msg_id")]
            out = None if display_id or hooks or self.clear_before_next_output else plain_output(msg)
            if out is None:
                return super().output(outs, msg, display_id, cell_index)
            outs.append(out)
            return out

        def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
            """Put a message of the running cell into the notebook."""
            self._messages += 1
            content = msg["content"]
            if not self._keep(msg):
                return None
            transient = content.get("transient") or {}
            for other in self._display_id_map.get(transient.get("display_id"), ()):
                self.nb_man.changed(self.nb.cells[other])
            if msg["msg_type"] != "status":
                self.nb_man.changed(cell)
            return super().process_message(msg, cell, cell_index)

        async def _async_poll_kernel_alive(self) -> None:
            """Call off the wait for a reply when the kernel has died; meanwhile see that its output is saved."""
            if self._process is None or self._process.pid is None:
                await super()._async_poll_kernel_alive()
                return
            exited = asyncio.ensure_future(self._process.exited())
            try:
                while not (await asyncio.wait({exited}, timeout=SAVE_LOOK))[0]:
                    self.nb_man.autosave_cell()
            finally:
                exited.cancel()
            await self._drained()
            if self.task_poll_for_reply is not None:
                self.task_poll_for_reply.cancel()

        async def _drained(self) -> None:
            """Return when what the kernel had sent before it died has been taken."""
            deadline, quiet = time.monotonic() + DRAIN_LIMIT, 0
            while quiet < 2 and time.monotonic() < deadline:
                before = self._messages
                await asyncio.sleep(QUIET)
                waiting = await ensure_async(self.kc.iopub_channel.msg_ready())
                quiet = 0 if waiting or self._messages != before else quiet + 1

        async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> Any:
            """Interrupt a cell once where that was asked for; one that goes on after that has to end all the same."""
            if not self.interrupt_on_timeout or self._interrupted == self.code_cells_executed:
                raise CellTimeoutError.error_from_timeout_and_cell("Cell execution timed out", timeout, cell)
            self._interrupted = self.code_cells_executed
            return await super()._async_handle_timeout(timeout, cell)

    return Client
