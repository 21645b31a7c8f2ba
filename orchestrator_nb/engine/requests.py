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
class GoBack:
    """Bring the run to rest and take it back; the fields are those of `RollbackAsked`."""

    rollback: str
    to: str | None = None
    undo: tuple[str, ...] = ()
    policy: str = "refuse"
    because: str = ""
    go_on: bool = False
    id: str | None = None
    by: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Record something that a person should know."""

    text: str
    command: str | None = None
    id: str | None = None
    by: Mapping[str, Any] | None = None


Request = Pause | Resume | Stop | Fail | Accept | GoBack | Tell


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


def going_back(request: GoBack, state: RunState, now: float) -> list[e.Event]:
    """Return what it comes to that a rollback is asked for: the fact and a pause, or a notice where it cannot be."""
    run = state.run
    if run.rollback is not None or run.leaving or run.state not in ("executing", "paused"):
        how = f"the run is {run.state}" + (" and is about to be left" if run.leaving else "")
        why = how if run.rollback is None else "another one is under way"
        text = f"a rollback was asked for, and it cannot be: {why}"
        return [e.NoticeGiven(at=now, text=text, request=request.id, by=request.by)]
    asked = e.RollbackAsked(
        at=now,
        rollback=request.rollback,
        to=request.to,
        undo=request.undo,
        policy=request.policy,
        because=request.because,
        go_on=request.go_on and run.state == "executing",
        request=request.id,
        by=request.by,
    )
    return [asked, *([e.RunPaused(at=now, reason="for a rollback")] if run.state == "executing" else [])]


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
    if record is None or record.state != "running" or record.returned:
        return [notice]
    failure = e.Failure(kind="exception", message=request.message, types=request.types, stage="reported")
    seconds = max(0.0, now - (record.started or now))
    failed = e.AttemptFailed(at=now, command=command, attempt=record.attempt, seconds=seconds, failure=failure)
    return [notice, failed]
