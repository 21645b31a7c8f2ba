"""What drives a run in this process, as far as whoever holds the run needs to know it."""

from __future__ import annotations

from typing import Any, Protocol

from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.engine.requests import Request
from orchestrator_nb.orchestrator.control.asking import Answer
from orchestrator_nb.state.run_state import RunState


class Picture(Protocol):
    """How far the commands under way are."""

    def picture(self) -> dict[str, dict[str, Any]]:
        """Return it by command; see `Run.live`."""


class Driver(Protocol):
    """A `Session`. A run that is only looked at has none, and is spared what one imports.

    `live` has the results that are in this process only, `error` is what made it break off, if anything did.
    """

    live: LiveResults
    error: BaseException | None

    @property
    def view(self) -> Picture:
        """How far the commands under way are."""

    @property
    def state(self) -> RunState:
        """The state as of the last durable turn."""

    @property
    def is_over(self) -> bool:
        """True when it has ended and the run is let go."""

    @property
    def is_doubtful(self) -> bool:
        """True when the last turn could not be recorded: then the journal alone says what is true."""

    @property
    def is_current(self) -> bool:
        """False when the run was let go and somebody else has gone on with it."""

    def send(self, request: Request) -> None:
        """Hand in a request."""

    def ask(self, request: Request) -> Answer | None:
        """Hand in a request and return what it came to; see `Session.ask`."""

    def wait(self, timeout: float | None) -> bool:
        """Wait for the end, `timeout` seconds at the most; tell whether it has come."""
