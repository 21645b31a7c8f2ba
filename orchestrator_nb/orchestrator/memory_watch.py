"""Whether memory is short while a run goes on: told when it begins to be, now and then while it is, and when it eases."""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator_nb.events import MemoryProbed

LOOK_EVERY = 1.0
"""Seconds between two looks."""

TELL_EVERY = 5.0
"""Seconds after which it is told again that it is short still, or has eased and commands are held back still."""

SHARE, LARGEST = 0.05, 2**30
"""Of all memory, how much has to stay free unless the definition says otherwise; bytes, at the most."""

EASED = 1.5
"""Memory has eased with so many times the reserve: not at once, or it would be short again with the next command."""


class MemoryWatch:
    """Looks at the machine when it is asked to, and tells what has changed. `reserve` are the bytes that are to stay
    free, None for the usual, 0 for never to look; `held` says whether commands are held back, `tell` takes the fact."""

    def __init__(
        self,
        reserve: int | None,
        *,
        held: Callable[[], bool],
        tell: Callable[[MemoryProbed], None],
        clock: Callable[[], float],
        memory: Callable[[], tuple[int, int] | None] | None = None,
    ) -> None:
        self._reserve, self._held, self._tell, self._clock = reserve, held, tell, clock
        self._memory = memory or _free_memory
        self._looked = self._told = float("-inf")
        self._short = False

    def look(self) -> None:
        """Look, unless that was done a moment ago."""
        now = time.monotonic()
        if self._reserve == 0 or now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        found = self._memory()
        if found is None:
            return
        available, total = found
        reserve = min(SHARE * total, LARGEST) if self._reserve is None else self._reserve
        was, self._short = self._short, available < reserve * (EASED if self._short else 1.0)
        if self._short == was and now - self._told < TELL_EVERY:
            return
        # Between the reserve and the ease nothing is told: it is neither short nor has it eased.
        if available < reserve or (not self._short and (was or self._held())):
            self._told = now
            self._tell(MemoryProbed(at=self._clock(), available=available, total=total, short=self._short))


def _free_memory() -> tuple[int, int] | None:
    from orchestrator_nb.executors.machine import free_memory

    return free_memory()
