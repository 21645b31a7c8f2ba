"""Asking the owner of a run for something, from any process, and waiting for what it comes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from orchestrator_nb.engine.requests import Accept, Decide, Escalate, Fail, GoBack, Pause, Request, Resume, Stop, Tell
from orchestrator_nb.errors import RunNotRunning, RunUnanswered
from orchestrator_nb.events import Event
from orchestrator_nb.journal.file import Position, scan
from orchestrator_nb.journal.inbox import Asked, post, withdraw
from orchestrator_nb.journal.owner import holder, is_owned
from orchestrator_nb.journal.store import JOURNAL

ANSWER_WAIT = 10.0
"""Seconds that whoever asks waits for the owner's answer."""

LOOK_EVERY = 0.05
"""Seconds between two looks for the answer."""


class Answer(Struct, frozen=True, kw_only=True):
    """The fact that a request came to, and the whole turn in which it was recorded."""

    event: Event
    turn: Sequence[Event]


def answer_in(turn: Sequence[Event], request: str) -> Answer | None:
    """Return the answer to a request, if this turn has it."""
    for event in turn:
        if getattr(event, "request", None) == request:
            return Answer(event=event, turn=turn)
    return None


def ask_owner(
    run_folder: Path, kind: str, arguments: Mapping[str, Any], *, since: Position, wait: float = ANSWER_WAIT
) -> Answer:
    """Ask the process that owns a run, and return its answer from the journal, read from `since` on.

    Raises RunNotRunning when no process owns it, and RunUnanswered when the owner does not answer; the request is
    withdrawn then, and never takes effect, unless the message says otherwise.
    """
    if not is_owned(run_folder):
        raise RunNotRunning(f'"{run_folder.name}" is not running: no process drives it')
    request = post(run_folder, kind, arguments, wait=wait)
    position = since
    deadline, withdrawn = time.monotonic() + wait, False
    while True:
        gone = not is_owned(run_folder)
        for turn, after in scan(run_folder / JOURNAL, position):
            position = after
            found = answer_in(turn, request)
            if found is not None:
                return found
        if gone:
            withdraw(run_folder, request)
            raise RunNotRunning(
                f'"{run_folder.name}" is not running any more: its owner left before it took the request'
            )
        if withdrawn or time.monotonic() >= deadline + wait:
            what = "the request was withdrawn" if withdrawn else "it has taken the request and may still act on it"
            raise RunUnanswered(
                f'"{run_folder.name}" is owned by {holder(run_folder)}, which has not answered within {wait:g} s; '
                f"{what}. A frozen owner is ended by resuming with --take-over (take_over=True)"
            )
        if time.monotonic() >= deadline:
            withdrawn = withdraw(run_folder, request)
        time.sleep(LOOK_EVERY)


def request_of(asked: Asked) -> Request:
    """Return what lies in the inbox as a request to the loop. Raises ValueError saying what does not fit."""
    make = _KINDS.get(asked.kind)
    if make is None:
        raise ValueError(f"there is no request {asked.kind!r}; there are {', '.join(sorted(_KINDS))}")
    return make(asked, dict(asked.arguments))


def _text(arguments: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = arguments.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"{name!r} has to be text; found {value!r}")  # noqa: TRY004 - an argument that does not fit
    return value


def _grace(arguments: Mapping[str, Any]) -> float:
    value = arguments.get("grace", 10.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86400:
        raise ValueError(f"'grace' has to be seconds from 0 to 86400; found {value!r}")
    return float(value)


def _pause(asked: Asked, given: dict[str, Any], *, leaving: bool = False) -> Request:
    return Pause(reason=_text(given, "reason"), leaving=leaving, grace=_grace(given), id=asked.id, by=asked.by)


def _interrupt(asked: Asked, given: dict[str, Any]) -> Request:
    return _pause(asked, given, leaving=True)


def _resume(asked: Asked, given: dict[str, Any]) -> Request:
    return Resume(reason=_text(given, "reason", ""), id=asked.id, by=asked.by)


def _stop(asked: Asked, given: dict[str, Any]) -> Request:
    return Stop(reason=_text(given, "reason"), grace=_grace(given), id=asked.id, by=asked.by)


def _fail(asked: Asked, given: dict[str, Any]) -> Request:
    types = given.get("types", [])
    if not isinstance(types, list) or not all(isinstance(name, str) for name in types):
        raise ValueError(f"'types' has to be a list of names; found {types!r}")
    return Fail(
        command=_text(given, "command"),
        message=_text(given, "message"),
        types=tuple(types),
        id=asked.id,
        by=asked.by,
    )


def _accept(asked: Asked, given: dict[str, Any]) -> Request:
    return Accept(
        command=_text(given, "command"),
        key=_text(given, "key"),
        reads=_hashes(given, "reads"),
        writes=_hashes(given, "writes"),
        id=asked.id,
        by=asked.by,
    )


def _decide(asked: Asked, given: dict[str, Any]) -> Request:
    number, parameters = given.get("number"), given.get("parameters", {})
    if type(number) is not int:
        raise ValueError(f"'number' has to be a whole number; found {number!r}")
    if not isinstance(parameters, dict):
        raise ValueError(f"'parameters' has to be a mapping; found {parameters!r}")  # noqa: TRY004 - as above
    return Decide(
        number=number,
        answer=_text(given, "answer"),
        note=_text(given, "note", ""),
        parameters=parameters,
        id=asked.id,
        by=asked.by,
    )


def _escalate(asked: Asked, given: dict[str, Any]) -> Request:
    return Escalate(command=_text(given, "command"), reason=_text(given, "reason"), id=asked.id, by=asked.by)


def _hashes(arguments: Mapping[str, Any], name: str) -> dict[str, str | None] | None:
    value = arguments.get(name)
    fits = value is None or (isinstance(value, dict) and all(isinstance(item, str | None) for item in value.values()))
    if not fits:
        raise ValueError(f"{name!r} has to be a mapping of paths to hashes; found {value!r}")
    return value


def _rollback(asked: Asked, given: dict[str, Any]) -> Request:
    undo = given.get("undo", [])
    if not isinstance(undo, list) or not all(isinstance(name, str) for name in undo):
        raise ValueError(f"'undo' has to be a list of names; found {undo!r}")
    return GoBack(
        rollback=_text(given, "rollback"),
        to=None if given.get("to") is None else _text(given, "to"),
        undo=tuple(undo),
        policy=_text(given, "policy", "refuse"),
        because=_text(given, "because", ""),
        id=asked.id,
        by=asked.by,
    )


def _tell(asked: Asked, given: dict[str, Any]) -> Request:
    command = _text(given, "command") if given.get("command") is not None else None
    return Tell(text=_text(given, "text"), command=command, id=asked.id, by=asked.by)


_KINDS: dict[str, Callable[[Asked, dict[str, Any]], Request]] = {
    "pause": _pause,
    "interrupt": _interrupt,
    "resume": _resume,
    "stop": _stop,
    "fail": _fail,
    "accept": _accept,
    "rollback": _rollback,
    "decide": _decide,
    "escalate": _escalate,
    "tell": _tell,
}
