"""The last answers: what follows from a fact when no policy has decided otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.engine.verdicts import clash, failed_by, not_merged, said_of, warnings
from orchestrator_nb.state.run_state import RunState


class AcceptResult:
    """An attempt that returned is a success when none of its steps is left and no blocking gate is against it, and its
    changes of the shared state can be taken.

    All gates are checked before a bad one decides, so that everything that is wrong is known; what comes after the
    gates is not done for a failure. A gate that only warns makes the success a deviation.
    """

    kinds: tuple[type[e.Event], ...] = (
        e.AttemptReturned, e.GateChecked, e.CheckpointTaken, e.CheckpointSkipped, e.SharedMerged,
    )  # fmt: skip
    decides: tuple[type[e.Event], ...] = kinds

    def __call__(self, event: Any, state: RunState) -> Iterable[e.Event]:
        """Return the success or the failure, or nothing while something is left to be done."""
        command, attempt = event.command, event.attempt
        if command is None or attempt is None:
            return ()
        due, record = state.due.get(command), state.commands[command]
        if not (due or record.gates or record.shared) and type(event) is e.AttemptReturned:  # the usual, at once
            return (e.CommandSucceeded(at=event.at, command=command, attempt=attempt),)
        if record.state != "running":  # what it had left when it failed was kept
            return ()
        if record.gates and not (due and due[0].startswith(e.GATE)):
            failed = failed_by(command, record, event.at)
            if failed is not None:
                return (failed,)
        if due:
            return ()
        if isinstance(event, e.SharedMerged) and event.failure is not None:
            return (not_merged(command, record, event.failure, event.at),)
        if record.shared:
            clashed = clash(command, record, state, event.at)
            if clashed is not None:
                return (clashed,)
        success = e.CommandSucceeded(at=event.at, command=command, attempt=attempt)
        return (success, *warnings(command, record.gates.values(), event.at)) if record.gates else (success,)


class Reopen:
    """What was rolled back is done once more, unless it has the result again that it had at the moment gone back to."""

    kinds: tuple[type[e.Event], ...] = (e.RolledBack, e.RollbackFailed)
    decides: tuple[type[e.Event], ...] = kinds

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return a new generation of each command, and that the run goes on where that was asked for."""
        assert isinstance(event, (e.RolledBack, e.RollbackFailed))
        facts: list[e.Event] = []
        if isinstance(event, e.RolledBack):
            reason = f"rolled back {event.what}"
            facts += [e.CommandReopened(at=event.at, command=name, reason=reason) for name in event.commands]
            facts += [_restored(event, name, state) for name in event.results]
        if event.go_on and state.run.state == "paused":
            facts.append(e.RunResumed(at=event.at, reason="after the rollback"))
        return facts


def _restored(event: e.RolledBack, command: str, state: RunState) -> e.CommandRestored:
    generation = event.results[command]
    life = state.lives[command, generation]
    record = life.record
    cell, cells = record.cell or (None, None)
    return e.CommandRestored(
        at=event.at,
        command=command,
        generation=generation,
        attempt=record.attempt,
        state=record.state,
        rollback=event.rollback,
        reason=record.reason,
        started=record.started,
        ended=record.ended,
        seconds=record.seconds,
        retry=record.retry,
        deaths=record.deaths,
        returned=record.returned,
        cell=cell,
        cells=cells,
        notebook=record.notebook,
        log=record.log,
        failure=record.failure,
        deviations=life.deviations,
    )


class GiveUp:
    """A failure that nobody mends is final: the command crashed if it was the machine's doing, else it failed."""

    kinds: tuple[type[e.Event], ...] = (e.AttemptFailed, e.AttemptAbandoned)
    decides: tuple[type[e.Event], ...] = (e.AttemptFailed, e.AttemptAbandoned)

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:  # noqa: ARG002 - the contract
        """Return the end of the command."""
        assert isinstance(event, (e.AttemptFailed, e.AttemptAbandoned))
        if isinstance(event, e.AttemptFailed) and event.crashed:
            return (e.CommandCrashed(at=event.at, command=event.command, reason=event.failure.message),)
        return (e.CommandFailed(at=event.at, command=event.command, reason=event.failure.message),)


class Conclude:
    """A run is completed when every command has succeeded, was skipped, or is excused by a deviation; else it failed.

    That another command ran because of a failure (trigger rules such as one_failed and all_done) excuses nothing: the
    run goes its way and has failed at its end, unless what failed is optional. One that would be completed is held
    against what is required of it as a whole; where that does not hold it ends in an error.
    """

    kinds: tuple[type[e.Event], ...] = (e.RunCompleting, e.GateChecked, e.CheckpointTaken, e.CheckpointSkipped)
    decides: tuple[type[e.Event], ...] = kinds

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return the end of the run, once its last steps are done."""
        if state.run.state != "completing":
            return ()
        due, gates = state.due.get(""), state.run.gates
        if gates and not (due and due[0].startswith(e.GATE)):
            unmet = [said_of(gate) for gate in gates.values() if not gate.holds]
            if unmet:
                return (e.RunEnded(at=event.at, state="error", reason="; ".join(unmet)),)
        if due:
            return ()
        bad = state.bad()
        if not bad:
            return (*warnings("", gates.values(), event.at), e.RunEnded(at=event.at, state="completed"))
        causes = [name for name in bad if state.commands[name].state in ("failed", "crashed")] or bad
        named = ", ".join(f'"{name}" {state.commands[name].state}' for name in causes[:3])
        more = f" and {len(causes) - 3} more" if len(causes) > 3 else ""
        return (e.RunEnded(at=event.at, state="failed", reason=f"{named}{more}"),)


ENDINGS = (AcceptResult(), GiveUp(), Conclude(), Reopen())
"""Asked after all other policies."""
