"""The time of day as a run takes it: it follows the clock of its beginning, whatever the system's is set to later."""

from __future__ import annotations

import time
from collections.abc import Callable

_ELAPSED = getattr(time, "CLOCK_BOOTTIME", None)
"""On Linux the clock that also counts the time in which the machine was suspended."""


def steady_clock() -> Callable[[], float]:
    """Return a clock in seconds since the epoch that never goes back and never jumps: what is due after some seconds
    is due after so many, and facts stand in the order of their times, also when somebody sets the system's clock."""
    if _ELAPSED is None:
        elapsed = time.monotonic
        begun = time.time() - elapsed()
        return lambda: begun + elapsed()
    clock, number = time.clock_gettime, _ELAPSED
    begun = time.time() - clock(number)
    return lambda: begun + clock(number)
