"""A watch over the kernel of a notebook: its time limits, and whether it was stopped from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator_nb.commands.notebooks.kernel_process import KernelProcess
from orchestrator_nb.commands.process_vitals import vitals
from orchestrator_nb.commands.usage import Meter
from orchestrator_nb.events import Used

INTERRUPT_GRACE = 10.0
"""Seconds between the interrupt of a cell that ran out of time and the end of its kernel's whole process tree."""

STOPPED_LIMIT = 10.0
"""Seconds for which a kernel may be stopped (SIGSTOP) before it is taken for dead."""

LOOK_EVERY = 1.0
"""Seconds between two looks at the process of the kernel."""

MEASURE_EVERY = 0.5
"""Seconds between two looks at what the kernel and all that it started take, at the least."""

START, TOTAL, CELL, IDLE, STOPPED = "start_timeout", "timeout", "cell_timeout", "idle_timeout", "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The time limits of a notebook in seconds, None for no limit.

    `start` is for the kernel's first answer, `total` counts from there, `cell` is for each cell, `idle` for how long
    a running cell may be silent.
    """

    start: float | None = None
    total: float | None = None
    cell: float | None = None
    idle: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The limit that was passed: its name, its seconds."""

    limit: str
    seconds: float


class Watch:
    """Ends a kernel that passes one of its limits, on a thread of its own: also one that answers to nothing.

    `expired` is what it was ended for. A cell is interrupted first; what ignores that is killed with all it started.
    `notice` is told, on the watch's thread, of what a person may want to know before the end.
    """

    def __init__(
        self, process: KernelProcess, limits: Limits, *, notice: Callable[[str], None], measures: bool = False
    ) -> None:
        self.expired: Expired | None = None
        self._process = process
        self._limits = limits
        self._measures = measures
        self._notice = notice
        self._changed = threading.Condition()
        self._closed = False
        self._deadlines: dict[str, float] = {}
        self._heard = 0.0
        self._stopped_since: float | None = None
        self._peak: int | None = None
        self._meter: Meter | None = None

    def start(self) -> None:
        """Begin, with the limit for the kernel's first answer."""
        self._set(START, self._limits.start)
        threading.Thread(target=self._run, name="orchestrator_nb watch", daemon=True).start()

    def kernel_is_ready(self) -> None:
        """The kernel has answered: the time of the notebook counts from now."""
        self._clear(START)
        self._set(TOTAL, self._limits.total)

    def cell_started(self) -> None:
        """A cell was sent to the kernel."""
        self._heard = time.monotonic()
        self._set(CELL, self._limits.cell)
        self._set(IDLE, self._limits.idle)

    def cell_ended(self) -> None:
        """The kernel has replied to the cell; sample its memory, since a dead one cannot be asked any more."""
        self._clear(CELL, IDLE)
        self._look()
        self._measure()

    def heard(self) -> None:
        """The cell gave a sign of life. Cheap enough for each line of a flood."""
        self._heard = time.monotonic()

    @property
    def peak_memory(self) -> int | None:
        """The most memory, in bytes, that the kernel's process was seen to have had; None where that is unknown."""
        return self._peak

    def all_done(self) -> None:
        """All cells have run: what is left is to shut down, which has bounds of its own."""
        self._clear(TOTAL)
        self._measure(after=0.0)

    @property
    def used(self) -> Used | None:
        """What the kernel was seen to take, and all that it started; None where that is not measured or unknown."""
        return None if self._meter is None else self._meter.used()

    def close(self) -> None:
        """Watch no longer; `expired` stays as it is. A kernel that is being ended is left to whoever closes it."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _set(self, limit: str, seconds: float | None) -> None:
        if seconds is not None:
            with self._changed:
                self._deadlines[limit] = time.monotonic() + seconds
                self._changed.notify()

    def _clear(self, *limits: str) -> None:
        with self._changed:
            for limit in limits:
                self._deadlines.pop(limit, None)

    # ── on the thread of the watch ──────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while True:
            with self._changed:
                left = min(self._deadlines.values(), default=float("inf")) - time.monotonic()
                self._changed.wait(max(0.0, min(left, LOOK_EVERY)))
                if self._closed:
                    return
                self._measure()
                self.expired = self._passed(time.monotonic()) or self._stopped(time.monotonic())
            if self.expired is not None:
                # a kernel that has not answered yet, or cannot, has nothing to be interrupted in
                self._process.end(0.0 if self.expired.limit in (START, STOPPED) else INTERRUPT_GRACE)
                return

    def _passed(self, now: float) -> Expired | None:
        limits = self._limits
        if limits.idle is not None and IDLE in self._deadlines:
            self._deadlines[IDLE] = self._heard + limits.idle
        for limit, seconds in ((START, limits.start), (TOTAL, limits.total), (CELL, limits.cell), (IDLE, limits.idle)):
            if seconds is not None and self._deadlines.get(limit, now + 1.0) <= now:
                return Expired(limit=limit, seconds=seconds)
        return None

    def _stopped(self, now: float) -> Expired | None:
        if not self._look():
            self._stopped_since = None
        elif self._stopped_since is None:
            self._stopped_since = now
            self._notice(
                f"the kernel's process is stopped (SIGSTOP); it is ended unless it goes on in {STOPPED_LIMIT:g} s"
            )
        elif now - self._stopped_since >= STOPPED_LIMIT:
            return Expired(limit=STOPPED, seconds=STOPPED_LIMIT)
        return None

    def _measure(self, *, after: float = MEASURE_EVERY) -> None:
        if self._measures and self._process.pid is not None:
            self._meter = self._meter or Meter(self._process.pid)
            self._meter.look(after=after)

    def _look(self) -> bool:
        """Sample the memory of the kernel; tell whether it is stopped."""
        pid = self._process.pid
        found = None if pid is None else vitals(pid)
        if found is None:
            return False
        if found.peak_memory is not None:
            self._peak = max(self._peak or 0, found.peak_memory)
        return found.stopped
