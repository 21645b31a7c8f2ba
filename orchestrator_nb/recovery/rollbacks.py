"""Going back because of a failure: of a command, of several in a row, or of a critical error; done, or told how."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator_nb import events as e
from orchestrator_nb.events.checkpoint import CHECKPOINT
from orchestrator_nb.state.escalation import FAIL, ROLL_BACK
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.step_facts import ASK, ROLLBACK
from orchestrator_nb.state.transitions import DONE

CASCADE = 3
"""So many failures without a success between them, or so many commands held back by one, are more than one's own fault."""

_FAILED = frozenset({"failed", "crashed"})


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
        if decision.command == command and decision.generation == generation:
            answer = answer if decision.by_default and decision.answer != ROLL_BACK else decision.answer
    return answer


class ProposeStepByStep:
    """A run that fails in a way that undoing one command does not mend: going back step by step is proposed, not done.

    Only people know what a good state is, or have a check for it. Nothing is said where the plan has nobody asked about
    rollbacks and none done.
    """

    kinds: tuple[type[e.Event], ...] = (e.RunCompleting,)
    decides: tuple[type[e.Event], ...] = ()

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return the words that propose it."""
        why = why_step_back(state)
        return () if why is None else (e.NoticeGiven(at=event.at, text=f"{why}; {how_to_step_back(state.run.run)}"),)


def why_step_back(state: RunState) -> str | None:
    """Return why going back step by step is better than undoing what failed; None where it is not, or not wanted.

    It is on cascading failures, and where a command that failed has left what no checkpoint has. There has to be a
    success to step back over.
    """
    if not state.run.steps.get("failure") or not any(taken.boundary == "command" for taken in state.checkpoints):
        return None
    failed = {name: record for name, record in state.commands.items() if record.state in _FAILED}
    if not failed:
        return None
    if (row := _most_in_a_row(state.commands.values())) >= CASCADE:
        return f"{row} commands failed one after another"
    if (held := state.counts.get("upstream_failed", 0)) >= CASCADE:
        return f"{held} commands did not run because of {_named(failed)}"
    kept = {(taken.command, taken.attempt) for taken in state.checkpoints if taken.boundary == "left"}
    lost = [
        name
        for name, record in failed.items()
        if CHECKPOINT in state.planned[name].steps and record.attempt and (name, record.attempt) not in kept
    ]
    return f"there is no checkpoint of what {_named(lost)} left" if lost else None


def how_to_step_back(run: str) -> str:
    """Return what to type for it, and where to see the steps that there are."""
    return (
        f"to go back step by step until a check of the files passes: orchestrator-nb rollback {run} --check PROGRAM, or "
        f'attach("{run}").rollback_step_by_step(check=lambda folder: ...); the steps: orchestrator-nb checkpoints {run}'
    )


def _most_in_a_row(records: Iterable[CommandRecord]) -> int:
    """Return how many commands failed without a success between them, in the order in which they ended, at the most."""
    ended = sorted(
        (record.ended, record.state in DONE)
        for record in records
        if record.ended is not None and (record.state in DONE or record.state in _FAILED)
    )
    most = row = 0
    for _, good in ended:
        row = 0 if good else row + 1
        most = max(most, row)
    return most


def _named(commands: Iterable[str]) -> str:
    first, *others = (f'"{name}"' for name in commands)
    return f"{first} and {len(others)} more" if others else first


class TellOfRollback:
    """Whoever comes to a run that went back by itself is told of it: why, what became of it, what can be done now."""

    kinds: tuple[type[e.Event], ...] = (e.RolledBack, e.RollbackFailed)
    decides: tuple[type[e.Event], ...] = ()

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return the notice; nothing of a rollback that somebody asked for."""
        assert isinstance(event, (e.RolledBack, e.RollbackFailed))
        if not event.because:
            return ()
        run = state.run.run
        if isinstance(event, e.RollbackFailed):
            text = (
                f"the run was to go back by itself, because of {event.because}, and could not: {event.reason}; what "
                f"there is to go back to: orchestrator-nb checkpoints {run}"
            )
            return (e.NoticeGiven(at=event.at, text=text),)
        names = [each.rollback for each in state.rollbacks]
        number = names.index(event.rollback) + 1 if event.rollback in names else len(names) + 1
        text = (
            f"the run went back by itself, {event.what}, because of {event.because}: {_became(event)}; with the cause "
            f"mended: orchestrator-nb resume {run}; to undo it: orchestrator-nb rollback {run} --undo rollback-{number}"
        )
        return (e.NoticeGiven(at=event.at, text=text),)


def _became(event: e.RolledBack) -> str:
    """Return what a rollback came to, in a few words."""
    of = (
        ("restored", event.restored), ("removed", event.removed), ("the earlier content put beside", event.beside),
        ("left as they are", tuple(event.conflicts)), ("to run again", event.commands),
    )  # fmt: skip
    told = [f"{word} {_named(names)}" for word, names in of if names]
    return ", ".join(told) or "no file was touched"


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
