"""Going back because of a failure: what a command left goes by itself or a person is told how; a critical error takes all back."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator_nb import events as e
from orchestrator_nb.escalation import FAIL, ROLL_BACK
from orchestrator_nb.state import RunState
from orchestrator_nb.step_facts import ASK, CHECKPOINT, ROLLBACK


class RollBackFailed:
    """What a command has left that failed for good is undone, or a person is told how, as the plan says.

    No other command is touched and none runs again. Files that somebody edited stay, the earlier ones beside them. Who
    was asked about the command has said what becomes of its files, and is not told again.
    """

    kinds: tuple[type[e.Event], ...] = (e.CommandFailed, e.CommandCrashed)
    decides: tuple[type[e.Event], ...] = ()

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return the rollback that is asked for, or the words that propose it."""
        assert isinstance(event, (e.CommandFailed, e.CommandCrashed))
        command, run = event.command, state.run
        asked = run.steps.get("failure", ())
        if not asked or CHECKPOINT not in state.planned[command].steps or not state.commands[command].attempt:
            return ()
        answer = _answer(command, state)
        if (ROLLBACK in asked or answer == ROLL_BACK) and run.rollback is None:
            name = f"{command}.{state.commands[command].attempt}"
            return (
                e.RollbackAsked(
                    at=event.at, rollback=name, undo=(command,), policy="keep-both", because=event.reason, reopen=False
                ),
            )
        if (ROLLBACK not in asked and ASK not in asked) or answer == FAIL:
            return ()
        text = (
            f'"{command}" failed and may have left files half-written; to undo what it left: '
            f"orchestrator-nb rollback {run.run} --undo {command}"
        )
        return (e.NoticeGiven(at=event.at, text=text, command=command),)


def _answer(command: str, state: RunState) -> str | None:
    """Return what somebody has last answered about a command since it was last begun anew."""
    generation, answer = state.commands[command].generation, None
    for decision in state.decisions.values():
        if decision.command == command and decision.generation == generation and not decision.by_default:
            answer = decision.answer
    return answer


class RollBackCritical:
    """A critical error takes the run back to its last checkpoint at once, and leaves it to a person.

    A run that keeps no files has nothing to go back to: what is done then is up to the others.
    """

    kinds: tuple[type[e.Event], ...] = (e.ErrorClassified,)
    decides: tuple[type[e.Event], ...] = ()

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return the pause, the rollback that is asked for, and the notice of the cause."""
        assert isinstance(event, e.ErrorClassified)
        if event.severity != "critical" or not state.checkpoints or state.run.state not in {"executing", "paused"}:
            return ()
        failure = state.commands[event.command].failure
        cause = f"{event.error}: {failure.message}" if failure is not None else event.error
        return at_once(state, cause, command=event.command, now=event.at)


def at_once(state: RunState, cause: str, *, command: str, now: float) -> tuple[e.Event, ...]:
    """Return what a critical error comes to: the run is paused, it goes back to the last checkpoint that holds no
    failure, and a person is told. It stays paused until somebody resumes it."""
    good = next((taken for taken in reversed(state.checkpoints) if taken.boundary != "left"), None)
    paused: tuple[e.Event, ...] = ()
    if state.run.state == "executing":
        paused = (e.RunPaused(at=now, reason=f'a critical error in "{command}": {cause}'),)
    if good is None or state.run.rollback is not None:
        text = f'a critical error in "{command}", and there is no checkpoint to go back to: {cause}'
        return (*paused, e.NoticeGiven(at=now, text=text, command=command))
    name = f"{command}.{state.commands[command].attempt}"
    text = (
        f'a critical error in "{command}": {cause}; the run goes back to {good.id} as soon as nothing of it runs, and '
        f"waits for a person: orchestrator-nb resume {state.run.run}"
    )
    return (
        *paused,
        e.RollbackAsked(at=now, rollback=name, to=good.id, policy="keep-both", because=cause),
        e.NoticeGiven(at=now, text=text, command=command),
    )
