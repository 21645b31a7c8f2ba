"""Waiting for a run: for the process that owns it, and in an event loop without blocking it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Protocol

from orchestrator_nb.journal.owner import is_owned
from orchestrator_nb.orchestrator.control.driver import Driver

LOOK_EVERY = 0.2
"""Seconds between two looks at a run of another process."""


class Awaited(Protocol):
    """A `Run`, as far as it is waited for."""

    id: str
    folder: Path

    def wait(self) -> Any:
        """Wait for its end and return its result."""

    def interrupt(self, reason: str) -> None:
        """Pause it durably and leave."""


def wait_for_owner(run_folder: Path, timeout: float | None) -> None:
    """Wait until the process that owns a run has let it go; an interrupt ends the waiting only. Raises TimeoutError."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while is_owned(run_folder):
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f'"{run_folder.name}" has not ended within {timeout} seconds')
        time.sleep(LOOK_EVERY)


async def wait_in_loop(run: Awaited, session: Driver | None) -> Any:
    """Wait without blocking the event loop, and return the result; raises what `wait` does. Where the task that awaits
    it is cancelled, a run of this process is paused durably."""
    import asyncio

    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def watch() -> None:
        if session is None:
            wait_for_owner(run.folder, None)
        else:
            session.wait(None)
        try:
            loop.call_soon_threadsafe(lambda: None if ended.done() else ended.set_result(None))
        except RuntimeError:  # the event loop was closed meanwhile
            return

    threading.Thread(target=watch, name=f"orchestrator-nb wait {run.id}", daemon=True).start()
    try:
        while not ended.done():
            # The loop wakes now and then: in a Jupyter kernel an interrupt takes effect only when it does.
            await asyncio.wait([ended], timeout=LOOK_EVERY)
    except asyncio.CancelledError:
        if session is not None:
            run.interrupt("the task that awaited it was cancelled")
        raise
    return run.wait()
