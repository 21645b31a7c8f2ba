"""A journal in memory: the same promises within the life of the process, for simulation and for looking ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator_nb.errors import StoreError
from orchestrator_nb.events import Event


class JournalInMemory:
    """`ports.Journal` over a list."""

    def __init__(self) -> None:
        self._turns: list[tuple[Event, ...]] = []
        self._closed = False

    def append(self, events: Sequence[Event]) -> None:
        """Record one turn. Raises StoreError once it is closed."""
        if self._closed:
            raise StoreError("the journal takes nothing more: it is closed")
        self._turns.append(tuple(events))

    def recover(self) -> bool:
        """Say that nothing can be done: an append fails here only once it is closed. Raises StoreError."""
        raise StoreError("the journal takes nothing more: it is closed")

    def read(self) -> Iterator[Event]:
        """Yield all recorded events in order."""
        return (event for turn in self._turns for event in turn)

    def close(self) -> None:
        """Accept nothing more."""
        self._closed = True
