"""What a signal does to a run that the command line waits for: pause it, end what runs, leave.

The first interrupt (SIGTERM and SIGHUP alike) pauses the run: nothing new starts, running commands have some seconds
to come to their end. The second ends them now. The third leaves at once; what was recorded stays.
"""

from __future__ import annotations

import os
import signal
import threading
from queue import SimpleQueue
from types import FrameType
from typing import Any

GRACE = 10.0
"""Seconds that running commands have after the first signal."""

NAMES = {"SIGINT": "interrupted", "SIGTERM": "SIGTERM", "SIGHUP": "SIGHUP"}


class Interrupted(BaseException):
    """A signal came before there was a run to pause; a BaseException, so that nothing on the way catches it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


class Signals:
    """Handlers for the time of a `with` block. `first` is the number of the first signal that came, None before."""

    def __init__(self) -> None:
        self.first: int | None = None
        self._count = 0
        self._run: Any = None
        self._over = False
        self._before: dict[int, Any] = {}
        # A handler runs between any two instructions, perhaps with a lock held: it only puts, a thread acts.
        self._arrived: SimpleQueue[int | None] = SimpleQueue()

    def __enter__(self) -> None:
        for name in NAMES:
            number = getattr(signal, name, None)
            # One that is ignored from outside stays ignored: that is how nohup and background jobs ask for it.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        if hasattr(os, "register_at_fork"):  # a process that a command forks, as multiprocessing does, ends by a signal
            os.register_at_fork(after_in_child=self._let_go)

    def __exit__(self, *_: object) -> None:
        self._arrived.put(None)
        self._let_go()

    def _let_go(self) -> None:
        before, self._before = self._before, {}
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def attach(self, run: Any) -> None:
        """From now on signals go to `run`."""
        threading.Thread(target=self._act, name="orchestrator-nb-signals", daemon=True).start()
        self._run = run

    def over(self) -> None:
        """The run has ended: a further signal leaves at once."""
        self._over = True

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self.first = self.first or number
        if self._over or self._count > 2:
            os._exit(128 + self.first)
        if self._run is None:
            raise Interrupted(number)
        self._arrived.put(number)

    def _act(self) -> None:
        grace = GRACE
        while (number := self._arrived.get()) is not None:
            self._run.interrupt(NAMES[signal.Signals(number).name], grace=grace)
            grace = 0.0
