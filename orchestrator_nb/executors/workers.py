"""The threads on which attempts run: each goes on with what its own news lets start, the short ones several in a row."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

from orchestrator_nb.events import Event
from orchestrator_nb.executors.attempt import LocalAttempt

SHORT = 100e-6
"""Seconds that attempts take, on the average, for it to cost less to do them one after the other than to wake a thread
for each."""

MOST_AHEAD = 16
"""How many attempts a worker has before it, at the most."""

PATIENCE = 0.005
"""Seconds after which an attempt that was expected to be short holds up the ones behind it no longer."""

QUIET_LOOKS = 100
"""After how many looks in a row at which nothing was held up it is no longer looked."""

Item = TypeVar("Item")


class _Worker:
    """What one of the threads is at, what it does next, and what it has not told yet."""

    __slots__ = ("ahead", "attempt", "telling", "untold")

    def __init__(self) -> None:
        self.ahead: deque[LocalAttempt] = deque()
        self.attempt: LocalAttempt | None = None
        self.untold: deque[Sequence[Event]] = deque()
        self.telling = False


class Workers:
    """Daemon threads that are used again; as many as there are attempts at a time that are not short.

    `perform` runs an attempt and returns what there is to `tell` of it. What is handed out while a worker tells its news
    follows from that, and the worker does it itself: waking another thread would cost more than a short attempt. While
    attempts are short it takes several of them, and tells what they came to together; where one of them turns out to
    be long, the others are given to other threads, and what is untold is told, by a thread that looks after that.
    """

    def __init__(self, *, perform: Callable[[LocalAttempt], Sequence[Event]], tell: Callable[..., None]) -> None:
        self._perform = perform
        self._tell = tell
        self._queue: SimpleQueue[LocalAttempt | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._workers: dict[int, _Worker] = {}
        self._threads = 0
        self._idle = 0
        self._usual = 0.01
        self._closed = False
        self._looking = threading.Event()
        self._relief: threading.Thread | None = None

    def take(self, attempt: LocalAttempt) -> None:
        """Let an attempt be performed. Raises RuntimeError when the system gives no thread for it."""
        worker = self._workers.get(threading.get_ident())
        if worker is not None and worker.telling:
            if not worker.ahead:
                worker.ahead.append(attempt)
                return
            if self._usual < SHORT and len(worker.ahead) < MOST_AHEAD:
                worker.ahead.append(attempt)
                if not self._looking.is_set():
                    self._look_after()
                return
        self._hand_out(attempt)

    def close(self) -> None:
        """Let the threads go, each when it is done with what it is at."""
        self._closed = True
        self._looking.set()
        with self._lock:
            threads, self._threads = self._threads, 0
        for _ in range(threads):
            self._queue.put(None)

    def _hand_out(self, attempt: LocalAttempt) -> None:
        """Give an attempt to a thread that has nothing to do, or to a new one."""
        with self._lock:
            found = self._idle > 0
            if found:
                self._idle -= 1
        if not found:
            threading.Thread(target=self._work, name="orchestrator_nb worker", daemon=True).start()
            with self._lock:
                self._threads += 1
        self._queue.put(attempt)

    def _work(self) -> None:
        this = threading.get_ident()
        worker = self._workers[this] = _Worker()
        while (attempt := self._queue.get()) is not None:
            while attempt is not None:
                attempt = self._done_with(attempt, worker)
            with self._lock:
                self._idle += 1
        del self._workers[this]

    def _done_with(self, attempt: LocalAttempt, worker: _Worker) -> LocalAttempt | None:
        """Perform an attempt, tell what it came to or keep that for the next, and return the one that follows it."""
        worker.attempt = attempt
        news = self._perform(attempt)
        self._usual += (time.monotonic() - attempt.begun - self._usual) * 0.25
        if worker.ahead and self._usual < SHORT:
            worker.untold.append(news)
        else:
            self._tell_news(worker, news)
        return _first(worker.ahead)

    def _tell_news(self, worker: _Worker, news: Sequence[Event]) -> None:
        """Tell what was kept, and what came last."""
        worker.attempt = None
        worker.telling = True
        if worker.untold:
            kept: list[Event] = []
            while (more := _first(worker.untold)) is not None:
                kept += more
            news = [*kept, *news]
        if news:  # an attempt that was answered meanwhile, by its timeout perhaps, has none
            self._tell(*news)
        worker.telling = False

    # ── the thread that looks after those that hold something up ────────────────────────────────────────────────

    def _look_after(self) -> None:
        """Have somebody look from now on whether a worker holds something up."""
        self._looking.set()
        if self._relief is None:
            self._relief = threading.Thread(target=self._relieve, name="orchestrator_nb relief", daemon=True)
            self._relief.start()

    def _relieve(self) -> None:
        quiet = 0
        while self._looking.wait() and not self._closed:
            time.sleep(PATIENCE)
            held_up = self._held_up()
            for worker in held_up:
                attempt = worker.attempt
                if attempt is not None and attempt.seconds() > PATIENCE:
                    while (other := _first(worker.ahead)) is not None:
                        self._hand_out(other)
                    while (news := _first(worker.untold)) is not None:
                        if news:
                            self._tell(*news)
            quiet = 0 if held_up else quiet + 1
            if quiet >= QUIET_LOOKS:
                quiet = 0
                self._looking.clear()
                if self._held_up():  # since just now; whoever comes later sees that nobody is looking
                    self._looking.set()

    def _held_up(self) -> list[_Worker]:
        return [worker for worker in list(self._workers.values()) if worker.ahead or worker.untold]


def _first(queue: deque[Item]) -> Item | None:
    """Take the first of a queue that another thread may take from, None where there is none."""
    try:
        return queue.popleft() if queue else None
    except IndexError:
        return None
