"""A run as its user holds it: to look at, to wait for, to steer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from orchestrator_nb.engine.requests import Pause, Request, Resume, Stop
from orchestrator_nb.errors import OrchestratorError, RunFailed, RunRefused, StoreError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.owner import holder, is_owned
from orchestrator_nb.journal.store import JOURNAL, find_run, find_store
from orchestrator_nb.orchestrator.failure_card import failure_text
from orchestrator_nb.orchestrator.result import RunResult, result_of
from orchestrator_nb.orchestrator.session import Session
from orchestrator_nb.orchestrator.status import Status
from orchestrator_nb.state import RunState, fold
from orchestrator_nb.transitions import IllegalTransition

LOOK_EVERY = 0.2
"""Seconds between two looks at a run of another process."""


class Run:
    """A run: in this process, when it owns it, or a look at one that is kept in a store.

    `id` is its name in the store, `folder` where its files are.
    """

    def __init__(self, folder: Path, *, session: Session | None = None, in_session: str | None = None) -> None:
        """`in_session` names the notebook or program whose functions it needs, if it can be resumed only there."""
        self.folder = folder
        self.id = folder.name
        self._session = session
        self._in_session = in_session

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> RunState:
        """The state as of the last durable turn. Raises StoreError when the journal cannot be read."""
        if self._session is not None:
            return self._session.state
        try:
            return fold(read(self.folder / JOURNAL))
        except IllegalTransition as error:
            raise StoreError(f'the journal of "{self.id}" tells something impossible: {error}') from error

    def status(self) -> Status:
        """Return how it stands, as an object that prints as a table."""
        return Status.of(self.id, self.state, owned=self.is_running)

    @property
    def result(self) -> RunResult:
        """What it has come to so far; complete once it has ended."""
        state = self.state
        live = self._session.live if self._session is not None else None
        return result_of(state, self.folder, live=live, next_steps=self._next_steps(state))

    @property
    def is_running(self) -> bool:
        """True while a living process owns it, this one or another."""
        if self._session is not None:
            return not self._session.is_over
        return is_owned(self.folder)

    def logs(self, command: str) -> str:
        """Return what the last attempt of a command printed. Raises OrchestratorError for an unknown command."""
        state = self.state
        if command not in state.commands:
            raise OrchestratorError(f'"{self.id}" has no command "{command}"; it has {", ".join(state.commands)}')
        record = state.commands[command]
        path = self.folder / (record.log or f"logs/{command}.{record.attempt}.log")
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def _next_steps(self, state: RunState) -> tuple[str, ...]:
        """Return what to type to go on."""
        if state.run.state == "completed" and not state.deviations:
            return ()
        if self._in_session is not None:
            return (f"to go on, in {self._in_session}: flow.resume()",)
        store = self.folder.parent
        elsewhere = "" if find_store() == store else f" --store {_quoted(store)}"
        return (f"to go on: orchestrator-nb resume {self.id}{elsewhere}",)

    # ── waiting ─────────────────────────────────────────────────────────────────────────────────────────────────

    def wait(self, timeout: float | None = None, *, check: bool = True) -> RunResult:
        """Wait until the run has ended or is left, and return its result.

        An interrupt pauses the run durably: what runs gets 10 seconds, a second interrupt ends it now, a third leaves
        at once. Raises RunFailed with the result when it did not complete, unless `check` is False; TimeoutError after
        `timeout` seconds, and the run goes on; StoreError when recording failed, and the journal says what is true.
        """
        if self._session is None:
            self._wait_for_owner(timeout)
        else:
            self._wait_for_session(self._session, timeout)
        result = self.result
        if check and not result.succeeded:
            raise RunFailed(failure_text(result), result)
        return result

    def _wait_for_session(self, session: Session, timeout: float | None) -> None:
        interrupts = 0
        while True:
            try:
                if not session.wait(timeout):
                    raise TimeoutError(f'"{self.id}" has not ended within {timeout} seconds')
                break
            except KeyboardInterrupt:
                interrupts += 1
                if interrupts > 2:
                    raise
                self.interrupt("interrupted", grace=10.0 if interrupts == 1 else 0.0)
        if session.error is not None:
            raise session.error

    def _wait_for_owner(self, timeout: float | None) -> None:
        """Wait until the process that owns the run has let it go; an interrupt ends the waiting only."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while is_owned(self.folder):
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f'"{self.id}" has not ended within {timeout} seconds')
            time.sleep(LOOK_EVERY)

    def __await__(self) -> Generator[Any, None, RunResult]:
        """Wait without blocking the event loop; like `wait`."""
        return self._wait_in_loop().__await__()

    async def _wait_in_loop(self) -> RunResult:
        import asyncio

        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        session = self._session

        def watch() -> None:
            if session is None:
                self._wait_for_owner(None)
            else:
                session.wait(None)
            try:
                loop.call_soon_threadsafe(lambda: None if ended.done() else ended.set_result(None))
            except RuntimeError:  # the event loop was closed meanwhile
                return

        threading.Thread(target=watch, name=f"orchestrator-nb wait {self.id}", daemon=True).start()
        try:
            await ended
        except asyncio.CancelledError:
            if session is not None:
                self.interrupt("the task that awaited it was cancelled")
            raise
        return self.wait()

    # ── steering ────────────────────────────────────────────────────────────────────────────────────────────────

    def pause(self, reason: str = "asked to") -> None:
        """Start nothing new; what runs goes on to its end."""
        self._send(Pause(reason=reason))

    def resume(self) -> None:
        """Go on after `pause`. A run that was left is resumed by `flow.resume()` or from the command line."""
        self._send(Resume(reason="asked to"))

    def interrupt(self, reason: str, *, grace: float = 10.0) -> None:
        """Pause durably and leave: what runs is ended after `grace` seconds and will run again."""
        self._send(Pause(reason=reason, leaving=True, grace=grace))

    def stop(self, reason: str, *, grace: float = 10.0) -> None:
        """End what runs after `grace` seconds and end the run as stopped; it can be resumed."""
        self._send(Stop(reason=reason, grace=grace))

    def _send(self, request: Request) -> None:
        self._mine().send(request)

    def _mine(self) -> Session:
        if self._session is None:
            owner = holder(self.folder) if is_owned(self.folder) else "nobody"
            raise RunRefused(f'"{self.id}" is not a run of this process: it is owned by {owner}')
        return self._session

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.state.phase}>"


def attach(run: str = "latest", *, store: str | os.PathLike[str] | None = None) -> Run:
    """Return a run of the store: by its id, the beginning of its id, or "latest". Raises RunNotFound."""
    return Run(find_run(find_store(store), run))


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
