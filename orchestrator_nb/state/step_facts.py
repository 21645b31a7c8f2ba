"""What is done besides commands: steps that follow a returned attempt, or that the run itself takes at its moments.

A step is handed to the executor like an attempt and answered by a fact. A command whose attempt has returned succeeds
when none of its steps is left; a run starts nothing while it has some of its own. Steps that were due when an owner
died are due for the next one: the step is repeated, not the command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.events.checkpoint import CHECKPOINT, checkpoint_step
from orchestrator_nb.state.sharing import by_function
from orchestrator_nb.state.standing import Standing
from orchestrator_nb.state.transitions import IllegalTransition

ROLLBACK, ASK, PROBE = "rollback", "ask", "probe"
"""Names of steps; a rollback, or the question for one, is what the plan may have for a failure, and a probe is a look at
the machine before a retry."""

MERGE = "merge"
"""The name of the last step of a command: its changes of the shared state are merged by functions; one command's at a
time, so that each sees what the one before has made of it."""

STEP_ANSWERS: dict[type[e.Event], str] = {
    e.CheckpointTaken: CHECKPOINT,
    e.CheckpointSkipped: CHECKPOINT,
    e.RolledBack: ROLLBACK,
    e.RollbackFailed: ROLLBACK,
    e.GateChecked: e.GATE,
    e.SharedMerged: MERGE,
    e.ResourcesProbed: PROBE,
}
"""Which step each of these facts answers; one of several of a kind is named by the fact itself, as its `step`."""


def answers_what_is_due(state: Standing, fact: Any) -> bool:
    """Tell whether a fact answers the next step of its command, or of the run; gates are answered in any order."""
    command = getattr(fact, "command", None) or ""
    due, step = state.due.get(command), getattr(fact, "step", STEP_ANSWERS[type(fact)])
    if not due or (step not in due if type(fact) is e.GateChecked else due[0] != step):
        return False
    if command:
        return bool(state.commands[command].attempt == fact.attempt)
    return getattr(fact, "gate", "") != "" or getattr(fact, "boundary", state.run.moment) == state.run.moment


def begin_steps(state: Standing, command: str, *, shared: Mapping[str, Any] | None) -> None:
    """Let the steps be due that follow the attempt of a command that has just returned, with its changes of the shared
    state, if there are any."""
    steps = state.planned[command].steps
    if shared:
        steps = (*steps, *(step for step in state.run.steps.get("shared", ()) if step not in steps))
    if not state.run.keeping:
        steps = tuple(step for step in steps if step != CHECKPOINT)
    if shared and by_function(shared, state.run.merge):
        steps = (*steps, MERGE)
    if steps:
        state.due = {**state.due, command: steps}


def keep_what_is_left(state: Standing, command: str) -> None:
    """Let the step be due that keeps what a command has left that has just failed, once for an attempt."""
    attempt = state.commands[command].attempt
    if not attempt or not state.run.keeping or CHECKPOINT not in state.planned[command].steps:
        return
    kept = (of for of in state.checkpoints if of.boundary == "left" and of.command == command)
    if not any(of.attempt == attempt for of in kept):
        state.due = {**state.due, command: (CHECKPOINT,)}


def look_before_retry(state: Standing, command: str) -> None:
    """Let the step be due that looks at what the retry of a command needs."""
    others = tuple(step for step in state.due.get(command, ()) if step != PROBE)
    state.due = {**state.due, command: (*others, PROBE)}


def forget_what_is_left(state: Standing) -> None:
    """Let no step be due of commands that have come to their end: somebody may have changed their files since."""
    if state.due:
        state.due = {
            name: steps for name, steps in state.due.items() if not name or state.commands[name].state == "running"
        }


def begin_moment(state: Standing, moment: str) -> None:
    """Let the steps be due that the run takes at this moment."""
    run = state.run
    steps = (ROLLBACK,) if moment == ROLLBACK else run.steps.get(moment, ())
    if not run.keeping:
        steps = tuple(step for step in steps if step != CHECKPOINT)
    end_moment(state)
    state.run = replace(run, moment=moment, moments=run.moments + 1)
    if steps:
        state.due = {**state.due, "": steps}


def end_moment(state: Standing) -> None:
    """Let nothing be due any more that the run itself does."""
    if "" in state.due:
        state.due = {command: steps for command, steps in state.due.items() if command}


def _answered(state: Standing, event: Any) -> None:
    """Take the step that this fact answers from those that are due. Raises IllegalTransition where it answers none."""
    command = getattr(event, "command", None) or ""
    if not answers_what_is_due(state, event):
        what = f'of "{command}"' if command else "of the run"
        raise IllegalTransition(f'"{type(event).__name__}" answers no step {what} that is due')
    answered = getattr(event, "step", state.due[command][0])
    left = tuple(step for step in state.due[command] if step != answered)
    others = {name: steps for name, steps in state.due.items() if name != command}
    state.due = {**others, command: left} if left else others


def _gate_checked(state: Standing, event: e.GateChecked) -> None:
    _answered(state, event)
    if event.command is None:
        state.run = replace(state.run, gates={**state.run.gates, event.gate: event})
    else:
        record = state.commands[event.command]
        state.commands[event.command] = replace(record, gates={**record.gates, event.gate: event})
    if event.verdict == "passed":
        _keep_what_passed(state, event)


def _keep_what_passed(state: Standing, event: e.GateChecked) -> None:
    """Let the step be due that keeps what held when this gate was passed: beside the checkpoint of its command, or
    before that of the completed run."""
    command = event.command or ""
    due = state.due.get(command, ())
    if CHECKPOINT not in due or not state.run.steps.get("gate"):
        return
    step, place = checkpoint_step(event.gate), due.index(CHECKPOINT)
    if command:
        place += sum(name.startswith(CHECKPOINT) for name in due)
    state.due = {**state.due, command: (*due[:place], step, *due[place:])}


def _shared_merged(state: Standing, event: e.SharedMerged) -> None:
    _answered(state, event)
    record = state.commands[event.command]
    state.commands[event.command] = replace(record, merged=event.values)


def _resources_probed(state: Standing, event: e.ResourcesProbed) -> None:
    _answered(state, event)


def _checkpoint_taken(state: Standing, event: e.CheckpointTaken) -> None:
    _answered(state, event)
    state.checkpoints = (*state.checkpoints, event)


def _checkpoint_skipped(state: Standing, event: e.CheckpointSkipped) -> None:
    _answered(state, event)
    if event.for_good:
        state.run = replace(state.run, keeping=False)


def _rollback_asked(state: Standing, event: e.RollbackAsked) -> None:
    if state.run.rollback is not None:
        raise IllegalTransition(f'"{event.rollback}" cannot be asked for while "{state.run.rollback.rollback}" is due')
    state.run = replace(state.run, rollback=event)


def _rollback_over(state: Standing, event: e.RolledBack | e.RollbackFailed) -> None:
    asked = state.run.rollback
    if asked is None or asked.rollback != event.rollback:
        raise IllegalTransition(f'nobody has asked for the rollback "{event.rollback}"')
    end_moment(state)
    state.run = replace(state.run, rollback=None, rested=True)


def _rolled_back(state: Standing, event: e.RolledBack) -> None:
    _rollback_over(state, event)
    state.rollbacks = (*state.rollbacks, event)
    if event.shared is not None:
        state.shared = event.shared


def _steps_due(state: Standing, event: e.StepsDue) -> None:
    begin_moment(state, event.moment)
    if event.moment == "pause":
        state.run = replace(state.run, rested=True)


STEP_FACTS: dict[type[e.Event], Callable[[Standing, Any], None]] = {
    e.GateChecked: _gate_checked,
    e.SharedMerged: _shared_merged,
    e.ResourcesProbed: _resources_probed,
    e.CheckpointTaken: _checkpoint_taken,
    e.CheckpointSkipped: _checkpoint_skipped,
    e.RollbackAsked: _rollback_asked,
    e.RolledBack: _rolled_back,
    e.RollbackFailed: _rollback_over,
    e.StepsDue: _steps_due,
}
"""How each of these facts is applied. They raise IllegalTransition, and then nothing has changed."""
