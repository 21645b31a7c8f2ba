"""Doing something else in the place of what fails: the command in its reduced form, or another command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.state import RunState
from orchestrator_nb.transitions import DONE


class Substitution:
    """A command for which no retry is left is run in its reduced form, where it has one, and then its fallback is run
    in its place, or, where it has none, the commands that provide the same, one after the other. Either way the result
    is the result of the command, and a deviation says how it came about.
    """

    kinds: tuple[type[e.Event], ...] = (e.AttemptFailed, e.AttemptAbandoned)
    decides: tuple[type[e.Event], ...] = (e.AttemptFailed, e.AttemptAbandoned)

    def __call__(self, event: Any, state: RunState) -> Iterable[e.Event]:
        """Return the next form of the command, or nothing where there is none."""
        planned, record = state.planned[event.command], state.commands[event.command]
        failed = f"it failed ({event.failure.message.splitlines()[0][:200] if event.failure.message else event.failure.kind})"
        if planned.degraded and not record.substitute and not planned.degraded.items() <= record.parameters.items():
            told = ", ".join(f"{name} = {value!r}" for name, value in planned.degraded.items())
            adapted = e.CommandAdapted(
                at=event.at, command=event.command, parameters=planned.degraded, reason=f"{failed}; reduced: {told}"
            )
            return _tried_again(adapted, f"run in its reduced form, with {told}: {failed}", record.retry)
        if planned.fallback in state.planned:
            other, known_as = "" if record.substitute else planned.fallback, "its fallback"
        else:
            other, known_as = _alternative(event.command, state), "which provides the same"
        if not other:
            return ()
        adapted = e.CommandAdapted(
            at=event.at, command=event.command, substitute=other, reason=f'{failed}; "{other}", {known_as}, is run'
        )
        return _tried_again(adapted, f'"{other}", {known_as}, was run in its place: {failed}', record.retry)


def _alternative(command: str, state: RunState) -> str:
    """Return the next command that provides the same and could run now, or nothing where there is none."""
    others, tried = state.planned[command].alternatives, state.commands[command].substitute
    left = others[others.index(tried) + 1 :] if tried in others else () if tried else others
    for name in left:
        known = state.planned.get(name)
        if known is not None and all(state.commands[before].state in DONE for before in known.upstream):
            return name
    return ""


def _tried_again(adapted: e.CommandAdapted, deviation: str, retry: int) -> tuple[e.Event, ...]:
    at, command = adapted.at, adapted.command
    return (
        adapted,
        e.DeviationRecorded(at=at, command=command, text=deviation),
        e.RetryScheduled(at=at, command=command, due=at, retry=retry, retries=retry, reason=adapted.reason),
    )
