"""Fewer commands beside each other while memory is short, and as many as before once it has eased."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator_nb import events as e
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import FINAL

MANY = 5
"""So many commands are named at the most."""


class FewerWorkers:
    """While memory is short no more commands start than half of those that run, and one at the least; each time that it
    is found short once more, half of that. What is optional, and nothing needed comes after, waits for the others.

    What runs is left alone. When memory has eased the number is doubled, until it is that of the slots.
    """

    kinds: tuple[type[e.Event], ...] = (e.MemoryProbed,)
    decides: tuple[type[e.Event], ...] = ()

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return how many may be under way from now on, and that it is so; nothing where that stays as it is."""
        assert isinstance(event, e.MemoryProbed)
        run, before = state.run, state.run.workers
        told = f"{event.available / 2**20:,.0f} of {event.total / 2**20:,.0f} MiB of memory can be had"
        if event.short:
            most = min(before or run.slots, max(state.counts.get("running", 0), 1))
            workers: int | None = max(1, most // 2)
        else:
            workers = None if before is None or 2 * before >= run.slots else 2 * before
        if workers == before:
            return
        yield e.WorkersChanged(at=event.at, workers=workers, reason=told)
        if before is None:
            text = f"memory is short ({told}): at most {workers} at a time start until it has eased{_later(state)}"
            yield e.NoticeGiven(at=event.at, text=text)
        elif workers is None:
            yield e.NoticeGiven(at=event.at, text=f"memory has eased ({told}): {run.slots} at a time as before")


def _later(state: RunState) -> str:
    """Return in words which commands wait for the others, empty where none do."""
    names = [name for name in state.planned if name in state.deferrable() and state.commands[name].state not in FINAL]
    if not names:
        return ""
    return f"; optional ones wait for the others: {', '.join(names[:MANY])}{' …' if len(names) > MANY else ''}"
