"""What each kind of event changes in the rows of its run besides states; one that is not here changes nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.journal.index.rows import NO_ATTEMPT, NO_FAILURE, USED, Rows, failure_columns
from orchestrator_nb.journal.index.schema import COUNTED
from orchestrator_nb.state.records import ACCEPTED, planned_command


def apply(rows: Rows, event: e.Event, seq: int) -> None:
    """Take in the event that is the `seq`-th of the journal. Raises IllegalTransition, and nothing has changed."""
    driven, under_way = rows.driven(event)
    rows.stepped(event, seq)
    change = CHANGES.get(type(event))
    if change is not None:
        change(rows, event)
    rows.counted(driven, under_way, event.at)


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
            row.update(NO_ATTEMPT)
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


def _attempt_started(rows: Rows, event: e.AttemptStarted | e.AttemptTakenOver) -> None:
    row = rows.command(event.command)
    since = rows.could_start(row)
    waited = 0.0 if since is None else max(0.0, event.at - since)
    row.update(NO_ATTEMPT, attempt=event.attempt, started=event.at, waited=row["waited"] + waited)
    rows.run["attempts"] += 1
    rows.attempts[event.command, event.attempt] = {
        "generation": row["generation"], "retry": row["retry"], "started": event.at, "ended": None, "seconds": None,
        "waited": waited, "kernel_seconds": None, "kernel_way": None, "gate_seconds": None, "checkpoint_seconds": None, **dict.fromkeys(USED), "outcome": "running", "lost": False, "reason": None, **NO_FAILURE, "result_form": None, "result_size": None,
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
    found = {**failure_columns(event.failure), "notebook": event.notebook, "log": event.log}
    rows.attempt_ended(event, "crashed" if event.crashed else "failed", **found)
    rows.command(event.command).update(returned=False, **found)


def _attempt_abandoned(rows: Rows, event: e.AttemptAbandoned) -> None:
    found = failure_columns(event.failure)
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


def _taken_over(rows: Rows, event: e.AttemptTakenOver) -> None:
    row = rows.command(event.command)
    row["free"] = event.at  # it waited for a person, not for a slot
    _attempt_started(rows, event)


def _command_ended(rows: Rows, event: Any) -> None:
    reason = getattr(event, "reason", "")
    if isinstance(event, e.UpstreamFailed):
        reason = f"{', '.join(event.upstream)} did not succeed"
    failure = getattr(event, "failure", None)
    rows.command(event.command).update(
        due=None, reason=reason, settled=event.at, **(failure_columns(failure) if failure is not None else {})
    )


def _reuse_declined(rows: Rows, event: e.ReuseDeclined) -> None:
    rows.command(event.command)["reason"] = event.reason


def _command_reused(rows: Rows, event: e.CommandReused) -> None:
    row = rows.command(event.command)
    found = {"ended": event.at, "reason": event.reason, "notebook": event.notebook, "log": event.log}
    row.update({**NO_ATTEMPT, "started": row["started"], **found}, retry=0, deaths=0, settled=event.at)
    if event.attempt is not None:
        attempt = rows.attempts.setdefault((event.command, event.attempt), {})
        attempt.update(outcome="reused", **found)


def _command_accepted(rows: Rows, event: e.CommandAccepted) -> None:
    rows.command(event.command)["reason"] = ACCEPTED


def _command_reopened(rows: Rows, event: e.CommandReopened) -> None:
    row = rows.command(event.command)
    row.update(NO_ATTEMPT, generation=row["generation"] + 1, retry=0, deaths=0, reason=event.reason)
    row.update(free=event.at, settled=None)
    known = rows.run["deviations"]
    if event.command in known:
        rows.run["deviations"] = {name: texts for name, texts in known.items() if name != event.command}


def _command_restored(rows: Rows, event: e.CommandRestored) -> None:
    row = rows.command(event.command)
    row.update(NO_ATTEMPT, reason=event.reason, started=event.started, ended=event.ended, seconds=event.seconds)
    row.update(retry=event.retry, deaths=event.deaths, returned=event.returned, cell=event.cell, cells=event.cells)
    row.update(notebook=event.notebook, log=event.log, settled=event.at)
    if event.failure is not None:
        row.update(failure_columns(event.failure))
    if event.deviations:
        rows.run["deviations"] = {**rows.run["deviations"], event.command: list(event.deviations)}


# ── checkpoints and decisions ───────────────────────────────────────────────────────────────────────────────────


def _checkpoint_taken(rows: Rows, event: e.CheckpointTaken) -> None:
    rows.checkpoints.append(
        {
            "seq": rows.seq, "at": event.at, "boundary": event.boundary, "taken": True, "id": event.id,
            "commit": event.commit, "message": event.message, "files": event.files, "seconds": event.seconds,
            "command": event.command, "attempt": event.attempt, "reason": None,
        }
    )  # fmt: skip
    if event.command is not None and event.attempt is not None and not event.gate:
        rows.attempts.setdefault((event.command, event.attempt), {})["checkpoint_seconds"] = event.seconds


def _checkpoint_skipped(rows: Rows, event: e.CheckpointSkipped) -> None:
    rows.checkpoints.append(
        {
            "seq": rows.seq, "at": event.at, "boundary": event.boundary, "taken": False, "id": None, "commit": None,
            "message": None, "files": None, "seconds": None, "command": event.command, "attempt": event.attempt,
            "reason": event.reason,
        }
    )  # fmt: skip


def _gate_checked(rows: Rows, event: e.GateChecked) -> None:
    number = isinstance(event.value, (int, float)) and not isinstance(event.value, bool)
    rows.gates.append(
        {
            "seq": rows.seq, "at": event.at, "gate": event.gate, "command": event.command, "attempt": event.attempt,
            "verdict": event.verdict, "blocking": event.blocking, "value": event.value if number else None,
            "expected": event.expected, "message": event.message, "seconds": event.seconds,
        }
    )  # fmt: skip
    if event.command is not None and event.attempt is not None:
        key = (event.command, event.attempt)
        rows.gate_seconds[key] = rows.gate_seconds.get(key, 0.0) + event.seconds


def _decision_requested(rows: Rows, event: e.DecisionRequested) -> None:
    if event.command is not None:
        rows.command(event.command)["due"] = None
    rows.decisions[event.number,] = {
        "started": event.at, "command": event.command, "question": event.question, "options": event.options,
        "level": event.level, "default": event.default, "deadline": event.deadline, "answer": None, "answered": None,
        "by_default": None, "note": None, "person": None,
    }  # fmt: skip


def _decision_made(rows: Rows, event: e.DecisionMade) -> None:
    decision = rows.decisions.setdefault((event.number,), {})
    who = (event.by or {}).get("user")
    decision.update(answer=event.answer, answered=event.at, by_default=event.by_default, note=event.note, person=who)


CHANGES: dict[type[e.Event], Callable[[Rows, Any], None]] = {
    e.RunStarted: _run_started,
    e.RunPlanned: _run_planned,
    e.RunResumed: _run_resumed,
    e.RunPaused: _run_paused,
    e.RunStopping: _run_stopping,
    e.RunEnded: _run_ended,
    e.NoticeGiven: _notice_given,
    e.DeviationRecorded: _deviation_recorded,
    e.CheckpointTaken: _checkpoint_taken,
    e.CheckpointSkipped: _checkpoint_skipped,
    e.GateChecked: _gate_checked,
    e.DecisionRequested: _decision_requested,
    e.DecisionMade: _decision_made,
    e.AttemptTakenOver: _taken_over,
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
    e.CommandRestored: _command_restored,
    e.ReuseDeclined: _reuse_declined,
    e.CommandReused: _command_reused,
    e.CommandAccepted: _command_accepted,
}
"""What a kind of event changes besides the state of the run or of its command."""
