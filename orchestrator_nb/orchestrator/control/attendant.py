"""What an owner does besides driving its run: it reads the inbox, tells watchers how far the commands are, and looks
whether memory is short."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestrator_nb.engine.requests import Request, Tell
from orchestrator_nb.journal.inbox import Asked, Inbox
from orchestrator_nb.orchestrator.control.asking import request_of
from orchestrator_nb.orchestrator.control.live_view import LiveView
from orchestrator_nb.orchestrator.memory_watch import MemoryWatch

LOOK_EVERY = 0.2
"""Seconds between two looks into the inbox."""


class Attendant:
    """A thread beside the loop. `hand_in` takes a request and the function to be called once it is recorded."""

    def __init__(
        self,
        run_folder: Path,
        *,
        hand_in: Callable[[Request, Callable[[], None]], None],
        view: LiveView,
        memory: MemoryWatch,
    ) -> None:
        self._folder = run_folder
        self._hand_in = hand_in
        self._view = view
        self._memory = memory
        self._leaving = threading.Event()
        self._thread = threading.Thread(
            target=self._attend, name=f"orchestrator-nb inbox {run_folder.name}", daemon=True
        )

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def close(self) -> None:
        """End it, and remove what was for watchers only."""
        self._leaving.set()
        if self._thread.is_alive():
            self._thread.join()
        self._view.close()

    def _attend(self) -> None:
        inbox = Inbox(self._folder)
        while not self._leaving.wait(LOOK_EVERY):
            with suppress(Exception):  # a file that nobody foresaw must not make the owner deaf
                self._read(inbox)
            with suppress(Exception):
                self._view.write()
            with suppress(Exception):
                self._memory.look()

    def _read(self, inbox: Inbox) -> None:
        for found in inbox.look():
            if not isinstance(found, Asked):
                self._hand_in(Tell(text=f'"{found.name}" in the inbox was ignored: {found.reason}'), _nothing)
                continue
            try:
                request = request_of(found)
            except ValueError as error:
                text = f'the request "{found.id}" in the inbox was ignored: {error}'
                request = Tell(text=text, id=found.id, by=found.by)
            self._hand_in(request, lambda request=found.id: inbox.done(request))  # type: ignore[misc]


def _nothing() -> None:
    """What there is to do for a request without an id."""
