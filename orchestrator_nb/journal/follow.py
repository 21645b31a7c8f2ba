"""Following a journal that its owner is writing, turn by turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator_nb.errors import StoreError
from orchestrator_nb.events import Event
from orchestrator_nb.journal.file import Position, scan
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import IllegalTransition


class Follower:
    """A reader of a journal that knows how far it has come. `state` is what the events so far add up to.

    For one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = Position()
        self.state = RunState()

    def turns(self) -> Iterator[list[Event]]:
        """Take in, one by one, the turns that were recorded since the last call, and yield them.

        Raises StoreError; JournalDamaged when it does not say what was written to it.
        """
        for turn, position in scan(self.path, self.position):
            try:
                for event in turn:
                    self.state.apply(event)
            except IllegalTransition as error:
                raise StoreError(f'the journal "{self.path}" tells something impossible: {error}') from error
            self.position = position
            yield turn

    def catch_up(self) -> RunState:
        """Take in all that was recorded, and return the state."""
        for _ in self.turns():
            pass
        return self.state
