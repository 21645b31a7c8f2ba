"""The last answers: what follows from a fact when no policy has decided otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator_nb import events as e
from orchestrator_nb.records import CommandRecord
from orchestrator_nb.state import RunState
from orchestrator_nb.transitions import GOOD


class AcceptResult:
    """An attempt that returned is a success once all steps about it are done and no blocking gate is against it.

    All gates are checked before a bad one decides, so that everything that is wrong is known; what comes after the
    gates is not done for a failure. A gate that only warns makes the success a deviation.
    """

    kinds: tuple[type[e.Event], ...] = (e.AttemptReturned, e.GateChecked)
    decides: tuple[type[e.Event], ...] = (e.AttemptReturned, e.GateChecked)

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return the success or the failure, or nothing while something is left to be done."""
        command = event.command  # type: ignore[attr-defined]
        if command is None:
            return ()
        record = state.commands[command]
        if record.outstanding:
            if not record.gates or record.outstanding[0].startswith(e.GATE):
                return ()
            return _failed(command, record, event.at)
        return _failed(command, record, event.at) or _succeeded(command, record, event.at)


def _failed(command: str, record: CommandRecord, now: float) -> tuple[e.Event, ...]:
    bad = [gate for gate in record.gates.values() if not gate.holds]
    if not bad:
        return ()
    failure = e.Failure(
        kind="gate",
        message="; ".join(said_of(gate) for gate in bad),
        stage="checking its results",
        transient=all(gate.retry for gate in bad),
    )
    failed = e.AttemptFailed(
        at=now,
        command=command,
        attempt=record.attempt,
        seconds=record.seconds,
        failure=failure,
        notebook=record.notebook,
        log=record.log,
    )
    return (failed,)


def _succeeded(command: str, record: CommandRecord, now: float) -> tuple[e.Event, ...]:
    success = e.CommandSucceeded(at=now, command=command, attempt=record.attempt)
    return (success, *_warnings(command, record.gates.values(), now)) if record.gates else (success,)


def _warnings(command: str, gates: Iterable[e.GateChecked], now: float) -> list[e.Event]:
    bad = (gate for gate in gates if gate.verdict != "passed")
    return [e.DeviationRecorded(at=now, command=command, text=said_of(gate)) for gate in bad]


def said_of(gate: e.GateChecked) -> str:
    """Return what a gate has found, in a sentence."""
    how = "could not be checked" if gate.verdict == "error" else gate.verdict
    return f'the gate "{gate.gate}" {how}' + (f": {gate.message}" if gate.message else "")


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

    One that would be completed is held against what is required of it as a whole; where that does not hold it ends in
    an error.

    That another command ran because of a failure (trigger rules such as one_failed and all_done) excuses nothing: the
    run goes its way and has failed at its end, unless what failed is optional.
    """

    kinds: tuple[type[e.Event], ...] = (e.RunCompleting, e.GateChecked)
    decides: tuple[type[e.Event], ...] = (e.RunCompleting, e.GateChecked)

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return the end of the run, or nothing while something that is required has not been checked."""
        if isinstance(event, e.GateChecked) and event.command is not None:
            return ()
        bad = [
            name for name, record in state.commands.items() if record.state not in GOOD and name not in state.deviations
        ]
        if not bad:
            return _concluded(state, event.at)
        causes = [name for name in bad if state.commands[name].state in ("failed", "crashed")] or bad
        named = ", ".join(f'"{name}" {state.commands[name].state}' for name in causes[:3])
        more = f" and {len(causes) - 3} more" if len(causes) > 3 else ""
        return (e.RunEnded(at=event.at, state="failed", reason=f"{named}{more}"),)


def _concluded(state: RunState, now: float) -> tuple[e.Event, ...]:
    run = state.run
    if run.outstanding:
        return ()
    if not run.gates:
        return (e.RunEnded(at=now, state="completed"),)
    unmet = [gate for gate in run.gates.values() if not gate.holds]
    if unmet:
        return (e.RunEnded(at=now, state="error", reason="; ".join(said_of(gate) for gate in unmet)),)
    return (*_warnings("", run.gates.values(), now), e.RunEnded(at=now, state="completed"))


ENDINGS = (AcceptResult(), GiveUp(), Conclude())
"""Asked after all other policies."""
