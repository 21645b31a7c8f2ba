"""What a simulated run comes to, and what it is told of its attempts."""

from __future__ import annotations

from msgspec import Struct

from orchestrator_nb import events as e


class Outcome(Struct, frozen=True, kw_only=True):
    """How an attempt goes in a simulation: it takes so many `seconds`, the expected ones if None, and then returns,
    or fails in this way; `crashed` when by the doing of the machine."""

    seconds: float | None = None
    failure: e.Failure | None = None
    crashed: bool = False


class Row(Struct, frozen=True, kw_only=True):
    """One attempt on the timeline, in seconds from the beginning; `outcome` is returned, failed or interrupted."""

    command: str
    attempt: int
    start: float
    end: float
    outcome: str


class Simulation(Struct, frozen=True, kw_only=True):
    """What would happen: the end of the run as its `state`, the `makespan` in seconds, every attempt, every event."""

    state: str
    slots: int
    makespan: float
    timeline: tuple[Row, ...]
    events: tuple[e.Event, ...]
