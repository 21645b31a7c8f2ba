"""A turn that could not be recorded: how long it is tried again, and what is said about it.

Where there is no room it is tried again every second, as long as commands are under way, whose outcomes would be lost
with it, and for a minute at the least: room that comes back costs the run nothing then. Whoever asks the run to be left
or to be stopped does not wait. Any other error of the file system is given a few tries and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator_nb import events as e
from orchestrator_nb.engine.requests import Pause, Request, Stop
from orchestrator_nb.errors import JournalDamaged, StoreError, StoreFull
from orchestrator_nb.state.run_state import RunState

AGAIN_AFTER = 1.0
"""Seconds between two tries."""

PATIENCE = 60.0
"""Seconds that a run waits for room when nothing is under way any more."""

TRIES = 3
"""How often a turn is tried again that fails for another reason than want of room."""

Incoming = Sequence[e.Event | Request]


class HeldTurn:
    """The turn, folded into the state and not yet recorded; `again` is when it is to be tried again."""

    def __init__(self, turn: list[e.Event], error: StoreError, *, now: float) -> None:
        self.turn = turn
        self.again = now
        self._error = error
        self._since = now
        self._tries = 0

    def failed(self, error: StoreError, *, now: float) -> None:
        """Take in that it could not be recorded once more."""
        self._error = error
        self._tries += 1
        self.again = now + AGAIN_AFTER

    def is_news(self) -> bool:
        """Tell whether it is the first time that it has to wait."""
        return self._tries == 1

    def is_left_by(self, state: RunState, incoming: Incoming) -> bool:
        """Tell whether somebody wants the run to be left or to end."""
        leaving = state.run.leaving or state.run.state == "stopping"
        return leaving or any(isinstance(i, Stop) or (isinstance(i, Pause) and i.leaving) for i in incoming)

    def is_given_up(self, published: RunState, incoming: Incoming, *, now: float) -> bool:
        """Tell whether it is not worth while to go on trying."""
        if not isinstance(self._error, StoreFull):
            return isinstance(self._error, JournalDamaged) or self._tries >= TRIES
        if now - self._since < PATIENCE:
            return False
        answered = set(self._answered(incoming))
        running = ((name, published.commands[name]) for name in published.running())
        return all((name, record.attempt) in answered for name, record in running if not record.returned)

    def given_up(self, incoming: Incoming) -> StoreError:
        """Return the error to raise when it is given up: it names the commands whose end is not recorded."""
        lost = ", ".join(sorted({f'"{command}"' for command, _ in self._answered(incoming)}))
        text = str(self._error) + (f"\nnot recorded, so that they will run again: {lost}" if lost else "")
        return type(self._error)(text)

    def trouble(self) -> str:
        """Return what to say while it waits."""
        return f"{self._error}\nmeanwhile nothing new is started and what runs goes on; an interrupt leaves the run"

    def notice(self, now: float) -> e.NoticeGiven:
        """Return the fact that tells of it afterwards."""
        text = f"for {now - self._since:.1f} s nothing could be recorded ({self._error}); nothing was lost by that"
        return e.NoticeGiven(at=now, text=text)

    def _answered(self, incoming: Incoming) -> Iterable[tuple[str, int]]:
        """Yield the attempts that have come to an end which is not recorded."""
        for fact in (*self.turn, *incoming):
            if isinstance(fact, (e.AttemptReturned, e.AttemptFailed, e.AttemptAbandoned)):
                yield fact.command, fact.attempt
