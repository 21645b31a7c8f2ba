"""The progress of a run on a stream, in plain lines; a stream that is closed, full or slow never holds up the run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from queue import Empty, Full, Queue
from typing import Protocol, TextIO

from orchestrator_nb import events as e
from orchestrator_nb.orchestrator.display.telling import lines_of
from orchestrator_nb.state.run_state import RunState

BACKLOG = 10_000
"""Lines that wait for a slow reader; what comes beyond them is left out."""

LEAVING = 2.0
"""Seconds that a display has at the end to show what is left."""


class Display(Protocol):
    """An observer of a run that shows it, from `begin` to `close`; turns that come before are kept."""

    def begin(self, introduction: str) -> None:
        """Show the introduction, which stays, and then what happens."""

    def __call__(self, events: Sequence[e.Event], state: RunState) -> None:
        """Take in a turn, at once."""

    def close(self) -> None:
        """Show what is left and let go of the stream."""


class NoDisplay:
    """Shows nothing."""

    def begin(self, introduction: str) -> None:
        """Do nothing."""

    def __call__(self, events: Sequence[e.Event], state: RunState) -> None:
        """Take in a turn."""

    def close(self) -> None:
        """Do nothing."""


class PlainDisplay:
    """One line a change, written by a thread of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: Queue[str] = Queue(maxsize=BACKLOG)
        self._closing = threading.Event()
        self._dropped = False
        self._introduction = ""
        self._writer = threading.Thread(target=self._write, name="orchestrator-nb-progress", daemon=True)

    def begin(self, introduction: str) -> None:
        """Write the introduction, then a line a change."""
        self._introduction = introduction
        self._writer.start()

    def __call__(self, events: Sequence[e.Event], state: RunState) -> None:
        """Put the lines of a turn in the queue."""
        if self._dropped:
            return
        for line in lines_of(events, state):
            with contextlib.suppress(Full):
                self._lines.put_nowait(line)

    def close(self) -> None:
        """Wait a little for the writer; one that is stuck is left behind."""
        self._closing.set()
        if self._writer.is_alive():
            self._writer.join(LEAVING)

    def _write(self) -> None:
        try:
            if self._introduction:
                self._put(self._introduction)
            while True:
                try:
                    self._put(self._lines.get(timeout=0.1))
                except Empty:
                    if self._closing.is_set():
                        return
        except (OSError, ValueError):
            # Closed or full: nobody is looking, the run goes on.
            self._dropped = True

    def _put(self, line: str) -> None:
        self._stream.write(line + "\n")
        if self._lines.empty():
            self._stream.flush()
