"""One thread that calls functions when their time has come, by the monotonic clock."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

Due = Callable[[], None]

LATE = 5.0
"""Seconds by which a call comes too late only where nothing ran for a while: the process was stopped, say."""

WAKE_GRACE = 10.0
"""Seconds that such a call is put off, once: time in which nothing could run is nobody's fault."""


class Timer:
    """Calls each function once, after its delay; the thread is started with the first and ends with `close`.

    A call that the process has slept through comes some seconds after it woke, so that what it is about to end has had
    the time to come to its end by itself.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Due]] = []
        self._put_off: set[int] = set()
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = False

    def after(self, seconds: float, due: Due) -> None:
        """Call `due` on the timer's thread when `seconds` have passed; it has to return quickly and not raise."""
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._heap, (time.monotonic() + max(seconds, 0.0), next(self._order), due))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="orchestrator_nb timer", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Call nothing any more."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._heap or self._heap[0][0] > time.monotonic()):
                    # a wait longer than threading can express is cut, and looked at again
                    left = min(self._heap[0][0] - time.monotonic(), 3600.0) if self._heap else None
                    self._changed.wait(left)
                if self._closed:
                    return
                when, number, due = heapq.heappop(self._heap)
                if time.monotonic() - when > LATE and number not in self._put_off:
                    self._put_off.add(number)
                    heapq.heappush(self._heap, (time.monotonic() + WAKE_GRACE, number, due))
                    continue
                self._put_off.discard(number)
            due()
