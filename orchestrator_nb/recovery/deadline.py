"""Little time is left: what is optional is left for later, and people are asked about what is in trouble."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.state.escalation import ask, next_level
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import FINAL

DEFERRED = "deferred"
"""The cause for which a command is skipped that is left for later."""


class BeforeDeadline:
    """Optional commands that nothing needed comes after do not start any more while others are still to be done, nor
    where they would take longer than what is left: a resumed run takes them up. A command that waits for its retry, or
    is being tried again, goes to a person where its definition wants that.
    """

    kinds: tuple[type[e.Event], ...] = (e.DeadlineNear,)
    decides: tuple[type[e.Event], ...] = ()

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return what is left for later, and what people are asked."""
        assert isinstance(event, e.DeadlineNear)
        left = max(0.0, event.deadline - event.at)
        yield from _deferred(event, state, left)
        number = len(state.decisions)
        for name, record in state.commands.items():
            planned = state.planned[name]
            troubled = record.state == "waiting" or (record.state == "running" and record.retry and not record.returned)
            if not troubled or planned.escalation is None or planned.optional or state.open_decision(name) is not None:
                continue
            why = f"the deadline is {left:.0f} s away"
            number += 1
            yield replace(ask(name, state, at=event.at, level=next_level(name, state), why=why), number=number)


def _deferred(event: e.DeadlineNear, state: RunState, left: float) -> Iterable[e.Event]:
    later = state.deferrable()
    needed = any(record.state not in FINAL for name, record in state.commands.items() if name not in later)
    for name in state.planned:
        record, seconds = state.commands[name], state.planned[name].seconds
        if name not in later or record.state not in ("pending", "waiting"):
            continue
        if needed or (seconds is not None and seconds > left):
            reason = f"left for later: the deadline is {left:.0f} s away"
            yield e.CommandSkipped(at=event.at, command=name, reason=reason, cause=DEFERRED)
            text = f"optional, and {reason}; a resumed run takes it up"
            yield e.DeviationRecorded(at=event.at, command=name, text=text)
