"""What may be asked of a running loop; each becomes facts before it has any effect.

A request with an `id` is always answered by a fact that bears it: a notice, where it comes to nothing. `by` says who
asked: pid, user, host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.state import RunState
from orchestrator_nb.transitions import DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Start nothing new. When `leaving`, what runs is ended after `grace` seconds and the owner goes."""

    reason: str
    leaving: bool = False
    grace: float = 10.0
    id: str | None = None
    by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Go on after a pause."""

    reason: str = ""
    id: str | None = None
    by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End what runs after `grace` seconds, cancel the rest, end the run. Asked again, the new grace counts."""

    reason: str
    grace: float = 10.0
    id: str | None = None
    by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Take the attempt of a command that is under way for failed, because somebody says so; the policies decide.

    Whoever sends it has the attempt ended. A command that is not under way gets a notice.
    """

    command: str
    message: str
    types: tuple[str, ...] = ()
    id: str | None = None
    by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """Take the result of a command for that of its code as it is now, of which this is the key, and its files as they
    are now, of which these are the hashes."""

    command: str
    key: str
    reads: Mapping[str, str | None] | None = None
    writes: Mapping[str, str | None] | None = None
    id: str | None = None
    by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Record something that a person should know."""

    text: str
    command: str | None = None
    id: str | None = None
    by: Mapping[str, Any] | None = None


Request = Pause | Resume | Stop | Fail | Accept | Tell


def reported(request: Fail, state: RunState, now: float) -> list[e.Event]:
    """Return what somebody's word about a command comes to: a failure of the attempt under way, else a notice."""
    command, record = request.command, state.commands.get(request.command)
    notice = e.NoticeGiven(
        at=now,
        text=f"reported as failed: {request.message}",
        command=command,
        attempt=record.attempt if record is not None else None,
        request=request.id,
        by=request.by,
    )
    if record is None or record.state != "running":
        return [notice]
    failure = e.Failure(kind="exception", message=request.message, types=request.types, stage="reported")
    seconds = max(0.0, now - (record.started or now))
    failed = e.AttemptFailed(at=now, command=command, attempt=record.attempt, seconds=seconds, failure=failure)
    return [notice, failed]


def accepted(request: Accept, state: RunState, now: float) -> e.Event:
    """Return what the acceptance of a result comes to: the fact, or a notice where there is no result."""
    record = state.commands.get(request.command)
    if record is None or record.state not in DONE:
        how = "there is no such command" if record is None else f"it is {record.state} and has no result"
        text = f'"{request.command}" cannot be accepted: {how}'
        return e.NoticeGiven(at=now, text=text, request=request.id, by=request.by)
    return e.CommandAccepted(
        at=now,
        command=request.command,
        key=request.key,
        reads=request.reads,
        writes=request.writes,
        request=request.id,
        by=request.by,
    )
