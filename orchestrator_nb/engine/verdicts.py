"""What the verdicts of gates come to: a failure where a blocking one is bad, deviations where others are."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator_nb import events as e
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.sharing import contested_by, refused


def failed_by(command: str, record: CommandRecord, now: float) -> e.AttemptFailed | None:
    """Return the failure of an attempt that has returned and against which blocking gates are, else None.

    It is permanent unless all of these gates say that it may pass by itself.
    """
    bad = [gate for gate in record.gates.values() if not gate.holds]
    if not bad:
        return None
    failure = e.Failure(
        kind="gate",
        message="; ".join(said_of(gate) for gate in bad),
        stage="checking its results",
        transient=all(gate.retry for gate in bad),
    )
    return e.AttemptFailed(
        at=now,
        command=command,
        attempt=record.attempt,
        seconds=record.seconds,
        failure=failure,
        notebook=record.notebook,
        log=record.log,
    )


def clash(command: str, record: CommandRecord, state: RunState, now: float) -> e.AttemptFailed | None:
    """Return the failure of an attempt whose changes of the shared state cannot be taken, else None."""
    changes = record.shared or {}
    contested = contested_by(record.seen, state.versions, command, changes)
    why = refused(state.shared, changes, state.run.merge, contested, record.merged)
    if why is None:
        return None
    text, passing = why
    failure = e.Failure(kind="conflict", message=text, stage="merging the shared state", transient=passing)
    return not_merged(command, record, failure, now)


def not_merged(command: str, record: CommandRecord, failure: e.Failure, now: float) -> e.AttemptFailed:
    """Return the failure of an attempt that has returned and whose changes of the shared state come to nothing."""
    return e.AttemptFailed(
        at=now,
        command=command,
        attempt=record.attempt,
        seconds=record.seconds,
        failure=failure,
        notebook=record.notebook,
        log=record.log,
    )


def warnings(command: str, gates: Iterable[e.GateChecked], now: float) -> list[e.DeviationRecorded]:
    """Return a deviation for each gate that did not pass; `command` is empty for those of the run."""
    bad = (gate for gate in gates if gate.verdict != "passed")
    return [e.DeviationRecorded(at=now, command=command, text=said_of(gate)) for gate in bad]


def said_of(gate: e.GateChecked) -> str:
    """Return what a gate has found, in a sentence."""
    how = "could not be checked" if gate.verdict == "error" else gate.verdict
    return f'the gate "{gate.gate}" {how}' + (f": {gate.message}" if gate.message else "")
