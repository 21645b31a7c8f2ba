"""Steps: what follows a returned attempt, and what the run does at its own moments, handed out once and answered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.replay import replay, what_if
from orchestrator_nb.engine.requests import GoBack, Pause, Resume
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.ports import Report, Step, Work
from orchestrator_nb.recovery.rollbacks import at_once
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.transitions import IllegalTransition

MOMENTS = dict.fromkeys(("start", "recovery", "pause", "completion", "shared"), ("checkpoint",))
A_THEN_B: Mapping[str, Mapping[str, Any]] = {"a": {"steps": ("checkpoint",)}, "b": {"upstream": ["a"]}}


class Executor:
    """Attempts return at once; steps are answered at once unless they are held, and noted in the order they came."""

    def __init__(self, held: tuple[str, ...] = (), shared: Mapping[str, Any] | None = None) -> None:
        self.held, self.shared = held, shared
        self.steps: list[str] = []

    def start(self, report: Report) -> None:
        self.report = report

    def submit(self, work: Work) -> None:
        self.report(
            e.AttemptReturned(at=1.0, command=work.command, attempt=work.attempt, seconds=1.0, shared=self.shared)
        )

    def carry_out(self, step: Step) -> None:
        name = f"{step.name} {step.command or step.moment}"
        self.steps.append(name)
        if name not in self.held:
            self.report(answer(step))

    def end(self, command: str, attempt: int, reason: str, grace: float) -> None:
        """Nothing is under way for long."""

    def close(self) -> None:
        """Nothing is held."""


def answer(step: Step) -> e.Event:
    if step.name == "rollback":
        return e.RolledBack(at=1.0, rollback="x", what="without a", commands=("a",), shared={}, go_on=True)
    return e.CheckpointTaken(
        at=1.0, boundary=step.moment, id="r/1", commit="c", command=step.command, attempt=step.attempt
    )


def loop_over(executor: Executor, state: RunState | None = None, *, slots: int = 2) -> tuple[Loop, JournalInMemory]:
    journal = JournalInMemory()

    def work(command: str, state: RunState) -> Work:
        return Work(
            run="r", workflow="w", command=command, attempt=state.commands[command].attempt, generation=1,
            definition=CommandDefinition(id=command, call="m:f"), folder=Path(), run_folder=Path(),
        )  # fmt: skip

    scheduler = Scheduler(order=["a", "b"], upstream={"a": (), "b": ("a",)}, downstream={"a": ("b",)}, slots=slots)
    loop = Loop(
        state=state or RunState(), scheduler=scheduler, policies=(), journal=journal, executor=executor,
        make_work=work, clock=lambda: 1.0,
    )  # fmt: skip
    return loop, journal


def begin(loop: Loop, commands: Mapping[str, Mapping[str, Any]] = A_THEN_B, **steps: tuple[str, ...]) -> None:
    loop.begin(
        [
            e.RunStarted(at=1.0, run="r", workflow="w"),
            e.RunPlanned(at=1.0, commands=commands, steps=steps or MOMENTS),
        ]
    )


def said(journal: JournalInMemory) -> list[str]:
    named = (
        (type(event).__name__, getattr(event, "command", None) or getattr(event, "boundary", ""))
        for event in journal.read()
    )
    return [" ".join(part for part in parts if part) for parts in named]


def test_a_step_comes_between_the_return_of_an_attempt_and_the_success_of_its_command():
    """The run begins after its own step, a command succeeds after its own, what follows starts then, the end comes last."""
    executor = Executor()
    loop, journal = loop_over(executor)
    begin(loop)
    assert said(journal) == [
        "RunStarted", "RunPlanned", "CheckpointTaken start",
        "AttemptStarted a", "AttemptReturned a", "CheckpointTaken a", "CommandSucceeded a",
        "AttemptStarted b", "AttemptReturned b", "CommandSucceeded b",
        "RunCompleting", "CheckpointTaken completion", "RunEnded",
    ]  # fmt: skip
    assert executor.steps == ["checkpoint start", "checkpoint a", "checkpoint completion"]
    assert loop.published.run.state == "completed"
    assert [taken.boundary for taken in loop.published.checkpoints] == ["start", "command", "completion"]


def test_a_run_without_steps_says_what_it_always_said():
    """Not one event more, and nothing is handed out besides the attempts."""
    executor = Executor()
    loop, journal = loop_over(executor)
    begin(loop, {"a": {}, "b": {"upstream": ["a"]}}, other=("checkpoint",))
    assert executor.steps == []
    assert not [line for line in said(journal) if "Checkpoint" in line]


def test_a_change_of_the_shared_state_has_its_step():
    """A command that has no step of its own has that of the shared state when it changed it."""
    executor = Executor(shared={"rows": 3})
    loop, _ = loop_over(executor)
    begin(loop, {"a": {}, "b": {"upstream": ["a"]}}, shared=("checkpoint",))
    assert executor.steps == ["checkpoint a", "checkpoint b"]
    assert loop.published.shared == {"rows": 3}


def test_what_was_not_answered_is_repeated_by_the_next_owner():
    """The step is done again, and not the command; the run's own comes when no command has one left."""
    executor = Executor(held=("checkpoint a",))
    loop, journal = loop_over(executor)
    begin(loop)
    assert said(journal)[-1] == "AttemptReturned a"
    assert loop.published.run.state == "executing"

    again = Executor()
    loop, journal = loop_over(again, fold(journal.read()))
    loop.begin([e.RunResumed(at=2.0, owner={"pid": 1})])
    assert again.steps == ["checkpoint a", "checkpoint recovery", "checkpoint completion"]
    assert "AttemptStarted a" not in said(journal)
    assert loop.published.run.state == "completed"


def test_a_run_whose_first_step_was_cut_begins_with_it_again():
    """Nothing has started before it is answered, by whichever owner."""
    executor = Executor(held=("checkpoint start",))
    loop, journal = loop_over(executor)
    begin(loop)
    assert said(journal) == ["RunStarted", "RunPlanned"]
    again = Executor()
    loop, _ = loop_over(again, fold(journal.read()))
    loop.begin([e.RunResumed(at=2.0, owner={"pid": 1})])
    assert again.steps[0] == "checkpoint start"
    assert loop.published.run.state == "completed"


def test_late_and_foreign_answers_mean_nothing():
    """An answer to what is not due is dropped, and the fold refuses it."""
    executor = Executor(held=("checkpoint a",))
    loop, journal = loop_over(executor)
    begin(loop)
    before = said(journal)
    loop.report(answer(Step(name="checkpoint", moment="pause")))
    loop.report(answer(Step(name="checkpoint", moment="command", command="a", attempt=7)))
    assert said(journal) == before
    with pytest.raises(IllegalTransition, match='"CheckpointTaken" answers no step'):
        fold([*journal.read(), answer(Step(name="checkpoint", moment="pause"))])
    with pytest.raises(IllegalTransition, match='"a" cannot succeed before checkpoint'):
        fold([*journal.read(), e.CommandSucceeded(at=1.0, command="a", attempt=1)])
    loop.report(answer(Step(name="checkpoint", moment="command", command="a", attempt=1)))
    assert loop.published.run.state == "completed"


def test_a_pause_has_its_step_once_nothing_runs():
    """It comes when the run is at rest, once for each pause."""
    executor = Executor(held=("checkpoint a",))
    loop, journal = loop_over(executor)
    begin(loop)
    loop.send(Pause(reason="lunch"))
    loop.take_due()
    assert executor.steps == ["checkpoint start", "checkpoint a"]
    loop.report(answer(Step(name="checkpoint", moment="command", command="a", attempt=1)))
    assert executor.steps[2:] == ["checkpoint pause"]
    loop.send(Pause(reason="still"))
    loop.take_due()
    assert executor.steps[2:] == ["checkpoint pause"]
    loop.send(Resume())
    loop.take_due()
    assert loop.published.run.state == "completed"
    assert replay(journal.read(), policies=()).same


def test_a_checkpoint_that_cannot_be_taken_fails_nothing():
    """With a reason that holds for the whole run, no other one is asked for."""
    executor = Executor(held=("checkpoint start",))
    loop, journal = loop_over(executor)
    begin(loop)
    loop.report(e.CheckpointSkipped(at=1.0, boundary="start", reason="there is no git", for_good=True))
    assert executor.steps == ["checkpoint start"]
    assert loop.published.run.state == "completed"
    assert replay(journal.read(), policies=()).same


def test_a_rollback_waits_for_rest_and_opens_commands_anew():
    """What is under way comes to its end first; then the run goes back, and on where that was asked for."""
    executor = Executor(held=("checkpoint b",))
    loop, journal = loop_over(executor)
    begin(loop, {"a": {}, "b": {"upstream": ["a"], "steps": ("checkpoint",)}})
    loop.send(GoBack(rollback="x", undo=("a",), go_on=True))
    loop.take_due()
    assert loop.published.run.state == "paused"
    assert "rollback rollback" not in executor.steps
    executor.held = ()
    loop.report(answer(Step(name="checkpoint", moment="command", command="b", attempt=1)))
    assert loop.published.run.state == "completed"
    record = loop.published.commands["a"]
    assert (record.state, record.generation, record.attempt) == ("succeeded", 2, 2)
    assert loop.published.commands["b"].generation == 1
    assert loop.published.rollbacks[0].commands == ("a",)
    assert replay(journal.read(), policies=()).same


def test_a_second_rollback_is_not_taken_while_one_is_under_way():
    """Whoever asks gets a notice with their request."""
    executor = Executor(held=("checkpoint a", "rollback rollback"))
    loop, journal = loop_over(executor)
    begin(loop)
    for name in ("x", "y"):
        loop.send(GoBack(rollback=name, undo=("a",), id=name))
        loop.take_due()
    told = [event for event in journal.read() if isinstance(event, e.NoticeGiven)]
    assert [(event.request, "another one is under way" in event.text) for event in told] == [("y", True)]


def test_a_simulation_does_without_steps():
    """What if looks at durations only: there are no files to keep."""
    executor = Executor()
    loop, journal = loop_over(executor)
    begin(loop)
    assert what_if(journal.read(), slots=1).state == "completed"


def test_what_a_command_left_that_failed_is_kept_before_the_run_ends():
    """Its failure stands, the run waits for the step, and a new owner does not take edits made since for its work."""
    executor = Executor(held=("checkpoint a",))
    executor.submit = lambda work: executor.report(  # type: ignore[method-assign]
        e.AttemptFailed(
            at=1.0, command=work.command, attempt=work.attempt, seconds=1.0,
            failure=e.Failure(kind="exception", message="no"),
        )
    )  # fmt: skip
    loop, journal = loop_over(executor)
    begin(loop)
    assert loop.published.commands["a"].state == "failed"
    assert loop.published.run.state == "executing"
    assert fold([*journal.read(), e.RunResumed(at=2.0, owner={"pid": 1})]).due == {"": ("checkpoint",)}
    loop.report(e.CheckpointTaken(at=1.0, boundary="left", id="r/2", commit="c", command="a", attempt=1))
    assert loop.published.run.state == "failed"
    assert replay(journal.read(), policies=()).same


@pytest.mark.parametrize("kept", [True, False])
def test_a_critical_error_takes_the_run_back_and_waits_for_a_person(kept):
    """The run is paused and goes back to the last good checkpoint, with a notice of the cause; without one it waits."""
    executor = Executor(held=("checkpoint b", "rollback rollback"))
    loop, journal = loop_over(executor)
    steps = MOMENTS if kept else {"other": ()}
    begin(loop, {"a": {}, "b": {"upstream": ["a"], "steps": ("checkpoint",)}}, **steps)
    state = fold(journal.read())
    facts = at_once(state, "the disk is damaged", command="b", now=5.0)
    for fact in facts:
        state.apply(fact)
    assert state.run.state == "paused"
    assert "the disk is damaged" in state.notices[-1].text
    assert (state.run.rollback is not None) is kept
    if state.run.rollback is not None:
        assert (state.run.rollback.to, state.run.rollback.policy) == ("r/1", "keep-both")
