"""What may be asked of a running loop; each becomes facts before it has any effect.

A request with an `id` is always answered by a fact that bears it: a notice, where it comes to nothing. `by` says who
asked: pid, user, host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from orchestrator_nb import events as e
from orchestrator_nb.state.command_facts import RETRY
from orchestrator_nb.state.escalation import DONE_BY_HAND, ask, next_level
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE, FINAL


class Asked(Struct, frozen=True, kw_only=True):
    """What all requests have."""

    id: str | None = None
    by: Mapping[str, Any] | None = None


class Pause(Asked, frozen=True, kw_only=True):
    """Start nothing new. When `leaving`, what runs is ended after `grace` seconds and the owner goes."""

    reason: str
    leaving: bool = False
    grace: float = 10.0


class Resume(Asked, frozen=True, kw_only=True):
    """Go on after a pause."""

    reason: str = ""


class Stop(Asked, frozen=True, kw_only=True):
    """End what runs after `grace` seconds, cancel the rest, end the run. Asked again, the new grace counts."""

    reason: str
    grace: float = 10.0


class Fail(Asked, frozen=True, kw_only=True):
    """Take the attempt of a command that is under way for failed, because somebody says so; the policies decide.

    Whoever sends it has the attempt ended. A command that is not under way gets a notice.
    """

    command: str
    message: str
    types: tuple[str, ...] = ()


class Accept(Asked, frozen=True, kw_only=True):
    """Take the result of a command for that of its code as it is now, of which this is the key, and its files as they
    are now, of which these are the hashes."""

    command: str
    key: str
    reads: Mapping[str, str | None] | None = None
    writes: Mapping[str, str | None] | None = None


class GoBack(Asked, frozen=True, kw_only=True):
    """Bring the run to rest and take it back; the fields are those of `RollbackAsked`."""

    rollback: str
    to: str | None = None
    undo: tuple[str, ...] = ()
    policy: str = "refuse"
    because: str = ""
    go_on: bool = False


class Tell(Asked, frozen=True, kw_only=True):
    """Record something that a person should know."""

    text: str
    command: str | None = None


class Decide(Asked, frozen=True, kw_only=True):
    """Answer a decision. `parameters` are those with which the command is tried again, or what it gave where somebody
    did it by hand."""

    number: int
    answer: str
    note: str = ""
    parameters: Mapping[str, Any] | None = None


class Escalate(Asked, frozen=True, kw_only=True):
    """Ask people about a command that has not come to its end; one level higher, where they were asked already."""

    command: str
    reason: str


class Remind(Asked, frozen=True, kw_only=True):
    """Say that little time is left until the deadline, where the run is under way."""


Request = Pause | Resume | Stop | Fail | Accept | GoBack | Decide | Escalate | Tell | Remind


def facts_of(request: Request, state: RunState, now: float) -> list[e.Event]:
    """Return what a request comes to in this state; nothing when it has no meaning any more and nobody waits for it."""
    run, ask, by = state.run.state, request.id, request.by
    if isinstance(request, Pause) and run in ("executing", "paused", "completing"):
        return [e.RunPaused(at=now, reason=request.reason, leaving=request.leaving, request=ask, by=by)]
    if isinstance(request, Resume) and run == "paused":
        return [e.RunResumed(at=now, reason=request.reason, request=ask, by=by)]
    if isinstance(request, Stop) and run in ("executing", "paused", "stopping", "completing"):
        return [e.RunStopping(at=now, reason=request.reason, request=ask, by=by)]
    if isinstance(request, Tell):
        return [e.NoticeGiven(at=now, text=request.text, command=request.command, request=ask, by=by)]
    if isinstance(request, Remind):
        near = state.run.until is not None and run in ("executing", "paused")
        return [e.DeadlineNear(at=now, deadline=float(state.run.until or now))] if near else []
    if isinstance(request, Fail):
        return reported(request, state, now)
    if isinstance(request, Accept):
        return [accepted(request, state, now)]
    if isinstance(request, GoBack):
        return going_back(request, state, now)
    if isinstance(request, Decide):
        return [made(request, state, now)]
    if isinstance(request, Escalate):
        return [escalated(request, state, now)]
    if ask is None:
        return []
    text = f"asked to {type(request).__name__.lower()}, and there is nothing to do: the run is {run}"
    return [e.NoticeGiven(at=now, text=text, request=ask, by=by)]


def made(request: Decide, state: RunState, now: float) -> e.Event:
    """Return what an answer comes to: the decision, or a notice where it cannot be one."""
    decision = state.decisions.get(request.number)
    wrong = None
    if decision is None:
        numbers = ", ".join(str(open_.number) for open_ in state.open_decisions()) or "none"
        wrong = f"there is no decision {request.number}; open: {numbers}"
    elif decision.answer is not None:
        wrong = f'decision {request.number} was made already: "{decision.answer}"'
    elif not state.is_open(decision):
        wrong = f"decision {request.number} has become needless"
    elif request.answer not in decision.options:
        wrong = f'"{request.answer}" is no answer to decision {request.number}; answers: {", ".join(decision.options)}'
    elif request.parameters and request.answer not in (RETRY, DONE_BY_HAND):
        wrong = f'"{request.answer}" takes no parameters; {RETRY} and {DONE_BY_HAND} do'
    elif state.run.state == "stopping":
        wrong = "the run is being stopped"
    if wrong is not None or decision is None:
        return e.NoticeGiven(at=now, text=f"not decided: {wrong}", request=request.id, by=request.by)
    return e.DecisionMade(
        at=now,
        number=decision.number,
        command=decision.command,
        answer=request.answer,
        parameters=request.parameters or {},
        note=request.note,
        request=request.id,
        by=request.by,
    )


def escalated(request: Escalate, state: RunState, now: float) -> e.Event:
    """Return what an escalation comes to: a question, or a notice where there is nothing to ask about."""
    record = state.commands.get(request.command)
    wrong = None
    if record is None:
        wrong = f'the run has no command "{request.command}"'
    elif record.state in FINAL or record.returned:
        wrong = f'"{request.command}" has come to its end: it is {record.state}'
    elif state.run.state not in ("executing", "paused"):
        wrong = f"the run is {state.run.state}"
    if wrong is not None:
        return e.NoticeGiven(at=now, text=f"not escalated: {wrong}", request=request.id, by=request.by)
    level = next_level(request.command, state)
    why = f"escalated: {request.reason}"
    return ask(request.command, state, at=now, level=level, why=why, request=request.id, by=request.by)


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
