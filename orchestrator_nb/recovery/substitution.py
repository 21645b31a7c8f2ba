"""Doing something else in the place of what fails: the command in its reduced form, or another command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE, FINAL

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds after which it is looked again whether a fallback can run, doubled each further time, and at the most."""


class Substitution:
    """A command for which no retry is left is run in its reduced form, where it has one, and then its fallback is run
    in its place, or, where it has none, the commands that provide the same, one after the other. Either way the result
    is the result of the command, and a deviation says how it came about.

    A fallback that comes after something that is not done yet waits for that. Where that came to a bad end, or waits
    for this command itself, there is no fallback, and it is said why.
    """

    kinds: tuple[type[e.Event], ...] = (e.AttemptFailed, e.AttemptAbandoned, e.RetryDue, e.CommandFailed)
    decides: tuple[type[e.Event], ...] = (e.AttemptFailed, e.AttemptAbandoned)

    def __call__(self, event: Any, state: RunState) -> Iterable[e.Event]:
        """Return the next form of the command, or nothing where there is none."""
        planned, record = state.planned[event.command], state.commands[event.command]
        if isinstance(event, e.CommandFailed):
            return _why_without(event, state)
        if isinstance(event, e.RetryDue):
            return _waited(event, state)
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
        if not other or _never(event.command, other, state):
            return ()
        adapted = e.CommandAdapted(
            at=event.at, command=event.command, substitute=other, reason=f'{failed}; "{other}", {known_as}, is run'
        )
        return _tried_again(adapted, f'"{other}", {known_as}, was run in its place: {failed}', record.retry)


def _waited(event: e.RetryDue, state: RunState) -> Iterable[e.Event]:
    """Return a later time for a substitute whose upstream is not done, or the end of what waits for it in vain."""
    record = state.commands[event.command]
    other = record.substitute
    if other not in state.planned or record.state != "pending":
        return ()
    missing = [name for name in state.planned[other].upstream if state.commands[name].state not in DONE]
    if not missing:
        return ()
    why = _never(event.command, other, state)
    if why:
        return (e.CommandFailed(at=event.at, command=event.command, reason=f'"{other}" cannot take its place: {why}'),)
    wait = min(FIRST_WAIT * 2.0**record.put_off, LONGEST_WAIT)
    return (
        e.RetryScheduled(
            at=event.at,
            command=event.command,
            due=event.at + wait,
            retry=record.retry,
            retries=record.retry,
            reason=f'put off: "{other}", which takes its place, waits for {", ".join(missing)}',
            put_off=record.put_off + 1,
        ),
    )


def _never(command: str, other: str, state: RunState) -> str:
    """Return why another command can never run in the place of this one, empty where it can, perhaps later."""
    open_, seen = list(state.planned[other].upstream), set()
    for name in open_:
        record = state.commands[name]
        if record.state in DONE or name in seen:
            continue
        seen.add(name)
        if name == command:
            return f'what it comes after waits for "{command}" itself'
        if record.state in FINAL and name in state.planned[other].upstream:
            return f'"{name}", which it comes after, is {record.state.replace("_", " ")}'
        open_ += state.planned[name].upstream  # it grows
    return ""


def _why_without(event: e.CommandFailed, state: RunState) -> Iterable[e.Event]:
    """Return why the fallback of a command that is given up was not run, where that is not plain."""
    fallback = state.planned[event.command].fallback
    if fallback not in state.planned or state.commands[event.command].substitute:
        return ()
    why = _never(event.command, fallback, state)
    return (
        (e.NoticeGiven(at=event.at, text=f'"{fallback}" did not take its place: {why}', command=event.command),)
        if why
        else ()
    )


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
