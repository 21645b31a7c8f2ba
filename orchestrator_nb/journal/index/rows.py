"""What each kind of event changes in the rows of its run: the fold of `state`, kept as rows.

States follow the same tables of transitions, for every kind of event that is in them. `CHANGES` says what else a kind
changes; one that is not there changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.journal.index.schema import COUNTED
from orchestrator_nb.records import ACCEPTED, planned_command
from orchestrator_nb.transitions import COMMAND_TRANSITIONS, ENDED, RUN_TRANSITIONS, IllegalTransition

Row = dict[str, Any]

_NO_FAILURE: Row = {"failure_kind": None, "failure_type": None, "failure_message": None}

_NO_ATTEMPT: Row = {
    "returned": False, "started": None, "ended": None, "seconds": 0.0, "due": None, "reason": "", "cell": None,
    "cells": None, "notebook": None, "log": None, **_NO_FAILURE,
}  # fmt: skip
"""A command as it is when an attempt or a generation of it begins."""

USED = e.Used.__struct_fields__
"""The columns of an attempt that say what it took of the machine."""


def new_run(run: str) -> Row:
    """Return the row of a run of which nothing is known yet, without its key."""
    return {
        "run": run, "workflow": "", "state": "new", "phase": "new", "parent": None, "parameters": {},
        "settings": {}, "durability": "full", "slots": 1, "version": "", "owner": {}, "reason": "", "leaving": False, "generation": 1,
        "resumes": 0, "started": None, "going": None, "ended": None, "last_attempt_ended": None, "commands": 0,
        **dict.fromkeys(COUNTED, 0), "attempts": 0, "retries": 0, "busy": 0.0, "deviations": {}, "notices": 0,
        "events": 0, "damaged": None,
    }  # fmt: skip


class Rows:
    """The rows of one run that events have changed, until they are written.

    `commands` has to hold the rows of all commands that the events are about, see `commands_of`, `settled` when those
    came to their end that they are after and that are not among them. A row in `attempts`
    or `cells` is whole when it is new, else it has the columns that changed. `gone` are commands that left the plan,
    `seq` is the number of the event that is being taken in.
    """

    def __init__(self, run: Row, commands: dict[str, Row], settled: Mapping[str, float | None] | None = None) -> None:
        self.run = run
        self.commands = commands
        self._settled = settled or {}
        self.attempts: dict[tuple[str, int], Row] = {}
        self.cells: dict[tuple[str, int, int], Row] = {}
        self.metrics: list[Row] = []
        self.notices: list[Row] = []
        self.gone: set[str] = set()
        self.seq = 0

    def apply(self, event: e.Event, seq: int) -> None:
        """Take in the event that is the `seq`-th of the journal. Raises IllegalTransition, and nothing has changed."""
        self.seq = seq
        kind = type(event).__name__
        if kind in COMMAND_TRANSITIONS:
            self._step_command(event, COMMAND_TRANSITIONS[kind])
        else:
            key = f"{kind} {event.state}" if isinstance(event, e.RunEnded) else kind
            if key in RUN_TRANSITIONS or isinstance(event, e.RunEnded):
                self._step_run(key)
        change = CHANGES.get(type(event))
        if change is not None:
            change(self, event)
        run = self.run
        run["events"] = seq
        run["phase"] = _phase(run)

    def command(self, name: str) -> Row:
        """Return the row of a command. Raises IllegalTransition when the plan has none of that name."""
        row = self.commands.get(name)
        if row is None:
            raise IllegalTransition(f'the plan has no command "{name}"')
        return row

    def could_start(self, row: Row) -> float | None:
        """Return since when a command could have started: since all that it waits for had come to its end, since it
        was put back, and while the run was going on."""
        settled = (
            self.commands[name]["settled"] if name in self.commands else self._settled.get(name)
            for name in row["upstream"]
        )
        return max((at for at in (*settled, row["free"], self.run["going"]) if at is not None), default=None)

    def attempt_ended(self, event: Any, outcome: str, **changes: Any) -> None:
        """Note the end of an attempt in its own row, in that of the command and in that of the run."""
        row, run = self.command(event.command), self.run
        run["busy"] += event.seconds - (row["seconds"] if row["returned"] else 0.0)
        run["last_attempt_ended"] = event.at
        row["spent"] += event.seconds - (row["seconds"] if row["returned"] else 0.0)
        row.update(ended=event.at, seconds=event.seconds)
        attempt = self.attempts.setdefault((event.command, event.attempt), {})
        attempt.update(outcome=outcome, ended=event.at, seconds=event.seconds, **changes, **_used(event))

    def _step_command(self, event: Any, table: dict[str, str]) -> None:
        row = self.command(event.command)
        before, kind = row["state"], type(event).__name__
        after = table.get(before)
        if after is None:
            raise IllegalTransition(f'"{kind}" cannot come while "{event.command}" is {before}')
        if before != after:
            row["state"] = after
            self.run[before] -= 1
            self.run[after] += 1

    def _step_run(self, key: str) -> None:
        before = self.run["state"]
        after = RUN_TRANSITIONS.get(key, {}).get(before)
        if after is None:
            raise IllegalTransition(f'"{key}" cannot come while the run is {before}')
        if key == "RunResumed":
            self.run["generation"] += before in ENDED
        self.run["state"] = after


def commands_of(events: Iterable[e.Event]) -> set[str] | None:
    """Return the ids of the commands whose rows these events may change, None for all that there are."""
    names: set[str] = set()
    for event in events:
        if isinstance(event, e.RunPlanned):
            return None
        name = getattr(event, "command", None)
        if name is not None:
            names.add(name)
    return names


def _phase(run: Row) -> str:
    """Return the state of a run with the two derived from its commands, as `RunState.phase` has it."""
    if run["state"] == "executing":
        if run["waiting"]:
            return "recovering"
        if run["deviations"]:
            return "degraded"
    return str(run["state"])


def _used(event: Any) -> Row:
    """Return what the attempt took of the machine, as far as its last event says."""
    used: e.Used | None = getattr(event, "used", None)
    return {} if used is None else {name: value for name in USED if (value := getattr(used, name)) is not None}


def _failure(failure: e.Failure) -> Row:
    first = failure.types[0] if failure.types else None
    return {"failure_kind": failure.kind, "failure_type": first, "failure_message": failure.message}


# ── the run ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _run_started(rows: Rows, event: e.RunStarted) -> None:
    rows.run.update(
        workflow=event.workflow,
        parent=event.parent,
        parameters=event.parameters,
        settings=event.settings,
        durability=event.durability,
        slots=event.slots,
        version=event.version,
        owner=event.owner,
        started=event.at,
    )


def _run_planned(rows: Rows, event: e.RunPlanned) -> None:
    run = rows.run
    run.update(dict.fromkeys(COUNTED, 0), commands=len(event.commands), going=event.at)
    rows.gone.update(rows.commands.keys() - event.commands.keys())
    rows.gone.difference_update(event.commands)
    before, rows.commands = rows.commands, {}
    for position, (name, plain) in enumerate(event.commands.items()):
        row = before.get(name)
        if row is None:
            row = {"command": name, "state": "pending", "generation": 1, "attempt": 0, "retry": 0, "deaths": 0}
            row.update(spent=0.0, waited=0.0, free=None, settled=None)
            row.update(_NO_ATTEMPT)
        planned = planned_command(plain)
        row.update(
            position=position,
            kind=planned.kind,
            upstream=planned.upstream,
            optional=planned.optional,
            fingerprint=planned.fingerprint,
            program=planned.program,
            tags=planned.tags,
        )
        rows.commands[name] = row
        run[row["state"]] += 1
    run["deviations"] = {name: texts for name, texts in run["deviations"].items() if name in event.commands}


def _run_resumed(rows: Rows, event: e.RunResumed) -> None:
    run = rows.run
    run.update(
        owner=event.owner or run["owner"],
        slots=event.slots or run["slots"],
        reason="",
        leaving=False,
        ended=None,
        going=event.at,
        resumes=run["resumes"] + 1,
    )


def _run_paused(rows: Rows, event: e.RunPaused) -> None:
    rows.run.update(reason=event.reason, leaving=event.leaving, ended=event.at if event.leaving else None)


def _run_stopping(rows: Rows, event: e.RunStopping) -> None:
    rows.run["reason"] = event.reason


def _run_ended(rows: Rows, event: e.RunEnded) -> None:
    rows.run.update(reason=event.reason, ended=event.at)


def _notice_given(rows: Rows, event: e.NoticeGiven) -> None:
    rows.run["notices"] += 1
    rows.notices.append(
        {"seq": rows.seq, "at": event.at, "command": event.command, "attempt": event.attempt, "text": event.text}
    )


def _deviation_recorded(rows: Rows, event: e.DeviationRecorded) -> None:
    rows.command(event.command)
    known = rows.run["deviations"]
    rows.run["deviations"] = {**known, event.command: [*known.get(event.command, ()), event.text]}


# ── an attempt ──────────────────────────────────────────────────────────────────────────────────────────────────


def _attempt_started(rows: Rows, event: e.AttemptStarted) -> None:
    row = rows.command(event.command)
    since = rows.could_start(row)
    waited = 0.0 if since is None else max(0.0, event.at - since)
    row.update(_NO_ATTEMPT, attempt=event.attempt, started=event.at, waited=row["waited"] + waited)
    rows.run["attempts"] += 1
    rows.attempts[event.command, event.attempt] = {
        "generation": row["generation"], "retry": row["retry"], "started": event.at, "ended": None, "seconds": None,
        "waited": waited, "kernel_seconds": None, "kernel_way": None, **dict.fromkeys(USED), "outcome": "running", "lost": False, "reason": None, **_NO_FAILURE, "result_form": None, "result_size": None,
        "notebook": None, "log": None,
    }  # fmt: skip


def _kernel_started(rows: Rows, event: e.KernelStarted) -> None:
    attempt = rows.attempts.setdefault((event.command, event.attempt), {})
    attempt.update(kernel_seconds=event.seconds, kernel_way=event.way)


def _cell_started(rows: Rows, event: e.CellStarted) -> None:
    rows.command(event.command).update(cell=event.number, cells=event.of)
    rows.cells[event.command, event.attempt, event.cell] = {
        "number": event.number, "of": event.of, "started": event.at, "ended": None, "seconds": None,
        "status": "running", "outputs": None, "peak_memory": None,
    }  # fmt: skip


def _cell_finished(rows: Rows, event: e.CellFinished) -> None:
    cell = rows.cells.setdefault((event.command, event.attempt, event.cell), {})
    cell.update(ended=event.at, seconds=event.seconds, status=event.status, outputs=event.outputs)
    if event.peak_memory is not None:
        cell["peak_memory"] = event.peak_memory


def _metric_recorded(rows: Rows, event: e.MetricRecorded) -> None:
    rows.metrics.append(
        {"seq": rows.seq, "command": event.command, "attempt": event.attempt, "name": event.name, "at": event.at}
        | {"value": event.value}
    )


def _attempt_returned(rows: Rows, event: e.AttemptReturned) -> None:
    files = {"notebook": event.notebook, "log": event.log}
    result = event.result
    form, size = (None, None) if result is None else (result.form, result.size)
    rows.attempt_ended(event, "returned", result_form=form, result_size=size, **files)
    rows.command(event.command).update(returned=True, **files)


def _attempt_failed(rows: Rows, event: e.AttemptFailed) -> None:
    found = {**_failure(event.failure), "notebook": event.notebook, "log": event.log}
    rows.attempt_ended(event, "crashed" if event.crashed else "failed", **found)
    rows.command(event.command).update(returned=False, **found)


def _attempt_abandoned(rows: Rows, event: e.AttemptAbandoned) -> None:
    found = _failure(event.failure)
    rows.attempt_ended(event, "abandoned", **found)
    rows.command(event.command).update(found)


def _attempt_interrupted(rows: Rows, event: e.AttemptInterrupted) -> None:
    row = rows.command(event.command)
    row.update(returned=False, free=event.at, reason=event.reason, deaths=row["deaths"] + event.lost)
    attempt = rows.attempts.setdefault((event.command, event.attempt), {})
    attempt.update(outcome="interrupted", ended=event.at, reason=event.reason, lost=event.lost)


def _retry_scheduled(rows: Rows, event: e.RetryScheduled) -> None:
    rows.run["retries"] += 1
    rows.command(event.command).update(retry=event.retry, due=event.due)


# ── a command ───────────────────────────────────────────────────────────────────────────────────────────────────


def _retry_due(rows: Rows, event: e.RetryDue) -> None:
    rows.command(event.command).update(due=None, free=event.at)


def _command_succeeded(rows: Rows, event: e.CommandSucceeded) -> None:
    rows.command(event.command)["settled"] = event.at


def _command_ended(rows: Rows, event: Any) -> None:
    reason = getattr(event, "reason", "")
    if isinstance(event, e.UpstreamFailed):
        reason = f"{', '.join(event.upstream)} did not succeed"
    failure = getattr(event, "failure", None)
    rows.command(event.command).update(
        due=None, reason=reason, settled=event.at, **(_failure(failure) if failure is not None else {})
    )


def _reuse_declined(rows: Rows, event: e.ReuseDeclined) -> None:
    rows.command(event.command)["reason"] = event.reason


def _command_reused(rows: Rows, event: e.CommandReused) -> None:
    row = rows.command(event.command)
    found = {"ended": event.at, "reason": event.reason, "notebook": event.notebook, "log": event.log}
    row.update({**_NO_ATTEMPT, "started": row["started"], **found}, retry=0, deaths=0, settled=event.at)
    if event.attempt is not None:
        attempt = rows.attempts.setdefault((event.command, event.attempt), {})
        attempt.update(outcome="reused", **found)


def _command_accepted(rows: Rows, event: e.CommandAccepted) -> None:
    rows.command(event.command)["reason"] = ACCEPTED


def _command_reopened(rows: Rows, event: e.CommandReopened) -> None:
    row = rows.command(event.command)
    row.update(_NO_ATTEMPT, generation=row["generation"] + 1, retry=0, deaths=0, reason=event.reason)
    row.update(free=event.at, settled=None)
    known = rows.run["deviations"]
    if event.command in known:
        rows.run["deviations"] = {name: texts for name, texts in known.items() if name != event.command}


CHANGES: dict[type[e.Event], Callable[[Rows, Any], None]] = {
    e.RunStarted: _run_started,
    e.RunPlanned: _run_planned,
    e.RunResumed: _run_resumed,
    e.RunPaused: _run_paused,
    e.RunStopping: _run_stopping,
    e.RunEnded: _run_ended,
    e.NoticeGiven: _notice_given,
    e.DeviationRecorded: _deviation_recorded,
    e.AttemptStarted: _attempt_started,
    e.KernelStarted: _kernel_started,
    e.CellStarted: _cell_started,
    e.CellFinished: _cell_finished,
    e.MetricRecorded: _metric_recorded,
    e.AttemptReturned: _attempt_returned,
    e.AttemptFailed: _attempt_failed,
    e.AttemptAbandoned: _attempt_abandoned,
    e.AttemptInterrupted: _attempt_interrupted,
    e.RetryScheduled: _retry_scheduled,
    e.RetryDue: _retry_due,
    e.CommandSucceeded: _command_succeeded,
    e.CommandFailed: _command_ended,
    e.CommandCrashed: _command_ended,
    e.CommandSkipped: _command_ended,
    e.UpstreamFailed: _command_ended,
    e.CommandCancelled: _command_ended,
    e.CommandReopened: _command_reopened,
    e.ReuseDeclined: _reuse_declined,
    e.CommandReused: _command_reused,
    e.CommandAccepted: _command_accepted,
}
"""What a kind of event changes besides the state of the run or of its command."""
