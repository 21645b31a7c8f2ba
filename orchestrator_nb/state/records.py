"""What is known of a run and of each of its commands: records that are replaced, never changed.

Like events, they are no part of any cycle, so the garbage collector has no business with them (`gc=False`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, convert
from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.state.transitions import GOOD
from orchestrator_nb.state.trigger_rules import DEFAULT
from orchestrator_nb.values import Classified


class _None(dict[str, Any]):
    """The type of `NONE`, as msgspec makes a new one for each record of what is plainly an empty dictionary."""


NONE: Mapping[str, Any] = _None()
"""Nothing by any name: one for all records that have nothing there, or these would be most of what they take."""

ACCEPTED = "accepted as up to date"
"""The reason of a command whose result somebody accepted."""


class RunRecord(Struct, frozen=True, gc=False):
    """The run as a whole; replaced, never changed. Times are seconds since the epoch.

    `steps` are what is done at its moments, `moment` is the latest of so many `moments`; `rested` when that of a pause
    has come; `keeping` unless it turned out that no checkpoints can be taken.
    `until` is when its deadline stops it, None where it has none. `workers` is how many commands start beside each other
    while memory is short, None for as many as there are slots.
    `rollback` is one that was asked for and has not come to its end. `gates` are the verdicts about the run as a whole,
    by name.
    """

    run: str = ""
    workflow: str = ""
    state: str = "new"
    parameters: Mapping[str, Any] = {}
    durability: str = "full"
    slots: int = 1
    pools: Mapping[str, int] = {}
    adaptive: bool = True
    settings: Mapping[str, Any] = {}
    owner: Mapping[str, Any] = {}
    reason: str = ""
    leaving: bool = False
    started: float | None = None
    ended: float | None = None
    generation: int = 1
    left_out: int = 0
    steps: Mapping[str, tuple[str, ...]] = {}
    moment: str = ""
    moments: int = 0
    rested: bool = False
    keeping: bool = True
    rollback: e.RollbackAsked | None = None
    gates: Mapping[str, e.GateChecked] = {}
    merge: Mapping[str, str] = {}
    decide: str = "park"
    until: float | None = None
    workers: int | None = None


class EscalationLimits(Struct, frozen=True, gc=False):
    """When a person is asked about a command that keeps failing, and for how long each level lasts, in seconds.

    `automatic` is how long retries alone may go on, `default` the answer that is taken where nobody answers in time.
    """

    automatic: float = 300.0
    guided: float = 900.0
    manual: float = 3600.0
    default: str | None = None


class PlannedCommand(Struct, frozen=True, gc=False):
    """What the plan says of a command, as far as a reader of the journal needs it.

    `rank` is its place in the order in which ready commands start, where that is not the order of the plan; it was
    made with the `seconds` that the command was expected to take and its `priority`. `needs` is what it holds while it
    runs, where that is not one slot; `program` is what it runs, where durations are known. `retry_needs` is
    what it holds instead from its first retry on, where it says so. `trigger_rule` says how its
    upstream has to end for it to start, and `when` is the condition on what came of it, empty where there is none. A
    cell of a matrix has the `matrix` that it is of, the `key` that tells it from the others there, and its values,
    `cell`. `fan_ins` are, where a condition may ask for them, the cells that it comes after: by the id of their matrix
    either one id, or ids by key. `result_key` is what its result depends on besides what upstream commands gave and
    what is in files; see `plan.key`. `escalation` is there where a person is to be asked when it keeps failing.
    `degraded` are the parameters of its reduced form, `fallback` the command that is run in its place when it fails,
    which is on `standby` for that, and `alternatives` those that are, one after the other, since they provide the same;
    `hopeless` are the causes of errors that retries have never mended in earlier runs.
    `steps` are what is done, in order, between the return of an attempt and the success of the command. The result of
    a `milestone` can be delivered by itself.
    """

    kind: str = ""
    upstream: tuple[str, ...] = ()
    optional: bool = False
    retries: int | None = None
    retry_delay: float = 1.0
    idempotent: bool = True
    fingerprint: str = ""
    rank: int | None = None
    seconds: float | None = None
    priority: int = 0
    needs: Mapping[str, int] | None = None
    retry_needs: Mapping[str, int] | None = None
    program: str = ""
    result_key: str = ""
    escalation: EscalationLimits | None = None
    degraded: Mapping[str, Any] = NONE
    fallback: str = ""
    alternatives: tuple[str, ...] = ()
    standby: bool = False
    hopeless: tuple[str, ...] = ()
    trigger_rule: str = DEFAULT
    when: str = ""
    matrix: str = ""
    key: str = ""
    cell: Mapping[str, Any] = NONE
    tags: tuple[str, ...] = ()
    fan_ins: Mapping[str, Any] = NONE
    steps: tuple[str, ...] = ()
    milestone: bool = False

    def held(self, *, retry: bool) -> Mapping[str, int] | None:
        """Return what its next attempt holds, None for one slot."""
        return self.retry_needs if retry and self.retry_needs is not None else self.needs


def planned_command(plain: Mapping[str, Any]) -> PlannedCommand:
    """Return what a `RunPlanned` says of one command; keys that are not known are ignored."""
    return convert(plain, PlannedCommand)


def planned_commands(plain: Mapping[str, Mapping[str, Any]]) -> dict[str, PlannedCommand]:
    """Return what a `RunPlanned` says of its commands, by id."""
    return convert(plain, dict[str, PlannedCommand])


class CommandRecord(Struct, frozen=True, gc=False):
    """One command; replaced, never changed.

    `attempt` counts over the whole run, `retry` the retries in this generation. `cell` is (code cells begun, code
    cells). `seconds` is the duration of the last attempt that ended. `recorded`, `metrics` and `artifacts` are those
    of the last attempt, also when it failed; `partial` is what the attempts before it had recorded. `deaths` counts the
    owners that died in this generation while it was under way. `preserved` is the state that the command last handed
    over for its next attempt. `reads` and `writes` are the hashes of the files that it declares; `origin` is the run
    from which the result of a reused command comes. `gates` are the verdicts about what the attempt gave, by name,
    `seen` is the version of the shared state that it began with, `merged` is what own functions made of its changes.
    `parameters` are those that a decision put in the place of its own, `by_hand` when a person did it; `substitute` is
    the command that is run in its place. `troubled` is when it first failed in this generation. `error` is what kind of
    error its last failure was. `checks` are what is looked at before its next attempt, which was `put_off` so often.
    `host` is where its last failure was, empty where that is not known.
    """

    state: str = "pending"
    generation: int = 1
    attempt: int = 0
    retry: int = 0
    returned: bool = False
    result: e.Stored | None = None
    failure: e.Failure | None = None
    due: float | None = None
    started: float | None = None
    ended: float | None = None
    seconds: float = 0.0
    cell: tuple[int, int] | None = None
    recorded: Mapping[str, e.Stored] = NONE
    partial: Mapping[str, e.Stored] = NONE
    metrics: Mapping[str, float] = NONE
    artifacts: Mapping[str, e.Stored] = NONE
    shared: Mapping[str, Any] | None = None
    notebook: str | None = None
    log: str | None = None
    reason: str = ""
    deaths: int = 0
    preserved: e.Stored | None = None
    reads: Mapping[str, str | None] | None = None
    writes: Mapping[str, str | None] | None = None
    origin: str = ""
    gates: Mapping[str, e.GateChecked] = NONE
    parameters: Mapping[str, Any] = NONE
    by_hand: bool = False
    substitute: str = ""
    troubled: float | None = None
    error: Classified | None = None
    seen: int = 0
    merged: Mapping[str, Any] | None = None
    checks: tuple[str, ...] = ()
    put_off: int = 0
    host: str = ""

    def output(self) -> e.Stored | None:
        """Return the stored result: what the command returned, else the mapping of what it recorded, else None."""
        result = self.result
        if not self.recorded:
            return result
        nothing = result is None or (result.form == "json" and result.value is None and result.artifact is None)
        return e.Stored(form="mapping", items=self.recorded) if nothing else result


class Life(Struct, frozen=True, gc=False):
    """A generation of a command as it was when the next one began: its `record`, and what excused it."""

    record: CommandRecord
    deviations: tuple[str, ...] = ()


class CauseRecord(Struct, frozen=True, gc=False):
    """What the errors of one cause came to that passes by itself, since anything last went well with it; replaced, never
    changed. After every few `failures` nothing is tried again with it `until` then; `rounds` counts these. `commands`
    are those that failed by it, `mended` counts those of them that succeeded later; `succeeded` is how many commands of
    the run had when the first of the failures came.
    """

    failures: int = 0
    rounds: int = 0
    until: float = 0.0
    commands: tuple[str, ...] = ()
    mended: int = 0
    succeeded: int = 0


class DecisionRecord(Struct, frozen=True, gc=False):
    """What a person was asked, and what came of it; replaced, never changed. Times are seconds since the epoch.

    `generation` is that of the command when it was asked. It is `closed` when a later question took its place.
    """

    number: int
    question: str
    options: tuple[str, ...]
    asked: float
    command: str | None = None
    generation: int = 1
    level: int = 2
    default: str | None = None
    deadline: float | None = None
    evidence: Mapping[str, Any] = {}
    closed: bool = False
    answer: str | None = None
    answered: float | None = None
    parameters: Mapping[str, Any] = {}
    note: str = ""
    by_default: bool = False
    by: Mapping[str, Any] | None = None


# ── what becomes of them ────────────────────────────────────────────────────────────────────────────────────────


def run_record(event: e.RunStarted, state: str) -> RunRecord:
    """Return the record of a run that has just begun."""
    return RunRecord(
        run=event.run,
        workflow=event.workflow,
        state=state,
        parameters=event.parameters,
        durability=event.durability,
        slots=event.slots,
        owner=event.owner,
        started=event.at,
        settings=event.settings,
        decide=event.decide,
        until=deadline_of(event.settings, event.at),
    )


def deadline_of(settings: Mapping[str, Any], at: float) -> float | None:
    """Return when a run with these settings is stopped that began, or was taken up, at this time."""
    deadline = settings.get("deadline")
    return at + float(deadline) if isinstance(deadline, int | float) else None


def begun(record: CommandRecord, state: str, event: e.AttemptStarted | e.AttemptTakenOver) -> CommandRecord:
    """Return the record of a command that begins another attempt."""
    fresh = CommandRecord(state, record.generation, event.attempt, record.retry, started=event.at)
    if record.recorded or record.partial or record.deaths or record.preserved or record.troubled:
        partial = {**record.partial, **record.recorded}
        fresh = replace(
            fresh,
            partial=partial,
            deaths=record.deaths,
            preserved=record.preserved,
            parameters=record.parameters,
            substitute=record.substitute,
            troubled=record.troubled,
        )
    return fresh


def reopened(record: CommandRecord, state: str, event: e.CommandReopened) -> CommandRecord:
    """Return the record of a command whose next generation begins."""
    fresh = CommandRecord(state, record.generation + 1, record.attempt, reason=event.reason)
    if record.state not in GOOD:  # it goes on from where it came to
        fresh = replace(fresh, partial={**record.partial, **record.recorded}, preserved=record.preserved)
    return fresh


def restored(record: CommandRecord, life: Life) -> CommandRecord:
    """Return the record of a command that has once more what it had come to in an earlier life; attempts and generations
    count on."""
    return replace(life.record, generation=record.generation, attempt=record.attempt)


def returned(record: CommandRecord, event: e.AttemptReturned) -> CommandRecord:
    """Return the record of a command whose attempt came back."""
    return replace(
        record,
        returned=True,
        result=event.result,
        ended=event.at,
        seconds=event.seconds,
        shared=event.shared,
        notebook=event.notebook,
        log=event.log,
        reads=event.reads,
        writes=event.writes,
    )


def failed(record: CommandRecord, state: str, event: e.AttemptFailed, *, host: str = "") -> CommandRecord:
    """Return the record of a command whose attempt failed, on that host."""
    return replace(
        record,
        state=state,
        returned=False,
        failure=event.failure,
        troubled=record.troubled or event.at,
        ended=event.at,
        seconds=event.seconds,
        notebook=event.notebook,
        log=event.log,
        host=host,
    )


def asked(event: e.DecisionRequested, generation: int) -> DecisionRecord:
    """Return the record of a decision that was just asked for."""
    return DecisionRecord(
        number=event.number,
        question=event.question,
        options=event.options,
        asked=event.at,
        command=event.command,
        generation=generation,
        level=event.level,
        default=event.default,
        deadline=event.deadline,
        evidence=event.evidence,
    )


def reused(record: CommandRecord, state: str, event: e.CommandReused) -> CommandRecord:
    """Return the record of a command that has the result of an earlier run."""
    return CommandRecord(
        state,
        record.generation,
        record.attempt,
        result=event.result,
        started=record.started,
        ended=event.at,
        recorded=event.recorded,
        metrics=event.metrics,
        artifacts=event.artifacts,
        shared=event.shared,
        merged=event.merged,
        notebook=event.notebook,
        log=event.log,
        reason=event.reason,
        reads=event.reads,
        writes=event.writes,
        origin=event.origin,
    )
