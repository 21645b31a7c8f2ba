"""Gates in the story of a run: what their verdicts come to, and who checks them when an owner is gone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.replay import replay, what_if
from orchestrator_nb.engine.requests import Pause, Stop
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.ports import Report, Step, Work
from orchestrator_nb.recovery.retry import Retry
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.transitions import IllegalTransition

GATED: Mapping[str, Mapping[str, Any]] = {"a": {"steps": ("gate x", "gate y")}, "b": {"upstream": ["a"]}}


class Executor:
    """Attempts return at once, with the verdicts of the gates named in `at_once`; other steps are answered at once
    with `verdicts` unless they are held."""

    def __init__(self, at_once=(), held=(), **verdicts):
        self.at_once, self.held, self.verdicts = at_once, held, verdicts
        self.steps: list[str] = []
        self.attempts: list[str] = []
        self.ended: list[str] = []

    def start(self, report: Report) -> None:
        self.report = report

    def submit(self, work: Work) -> None:
        self.attempts.append(f"{work.command}.{work.attempt}")
        returned = e.AttemptReturned(at=1.0, command=work.command, attempt=work.attempt, seconds=1.0)
        gates = self.at_once if work.command == "a" else ()
        self.report(returned, *(self.checked(gate, work.command, work.attempt) for gate in gates))

    def carry_out(self, step: Step) -> None:
        name = f"{step.name} {step.command or step.moment}"
        self.steps.append(name)
        if name in self.held:
            return
        if step.name == "probe":
            self.report(e.ResourcesProbed(at=1.0, command=step.command, attempt=step.attempt))
            return
        if step.name == "checkpoint":
            self.report(e.CheckpointTaken(at=1.0, boundary=step.moment, id="r/1", commit="c", command=step.command,
                                          attempt=step.attempt))  # fmt: skip
        else:
            self.report(self.checked(step.name.removeprefix("gate "), step.command, step.attempt))

    def checked(self, gate: str, command: str | None, attempt: int | None) -> e.GateChecked:
        told = {"verdict": "passed", **self.verdicts.get(gate, {})}
        return e.GateChecked(at=1.0, gate=gate, command=command, attempt=attempt, **told)

    def end(self, command: str, attempt: int, reason: str, grace: float) -> None:
        self.ended.append(command)
        failure = e.Failure(kind=reason, message="ended")
        self.report(e.AttemptFailed(at=1.0, command=command, attempt=attempt, seconds=1.0, failure=failure))

    def close(self) -> None:
        """Nothing is held."""


def loop_over(executor, state=None, *, policies=(), clock=lambda: 1.0):
    journal = JournalInMemory()

    def work(command, state):
        return Work(
            run="r", workflow="w", command=command, attempt=state.commands[command].attempt if command else 0,
            generation=1, definition=CommandDefinition(id="a", call="m:f"), folder=Path(), run_folder=Path(),
        )  # fmt: skip

    scheduler = Scheduler(order=["a", "b"], upstream={"a": (), "b": ("a",)}, downstream={"a": ("b",)}, slots=2)
    loop = Loop(
        state=state or RunState(), scheduler=scheduler, policies=policies, journal=journal, executor=executor,
        make_work=work, clock=clock,
    )  # fmt: skip
    return loop, journal


def begin(loop, commands=GATED, **steps):
    loop.begin([e.RunStarted(at=1.0, run="r", workflow="w"), e.RunPlanned(at=1.0, commands=commands, steps=steps)])


def kinds(journal, command):
    return [type(event).__name__ for event in journal.read() if getattr(event, "command", None) == command]


def test_gates_stand_between_the_return_of_an_attempt_and_its_success():
    """One after the other, then the success, and only then what comes after it starts."""
    executor = Executor()
    loop, journal = loop_over(executor)
    begin(loop)
    assert kinds(journal, "a") == [
        "AttemptStarted",
        "AttemptReturned",
        "GateChecked",
        "GateChecked",
        "CommandSucceeded",
    ]
    assert executor.steps == ["gate x a", "gate y a"]
    assert loop.published.run.state == "completed"
    assert not loop.published.deviations
    assert replay(journal.read(), policies=()).same
    assert what_if(journal.read(), slots=1).state == "completed"


def test_verdicts_that_come_with_the_return_are_of_its_turn():
    """Nothing is handed out for them, and there is no write between: the attempt, its verdicts and its success."""
    executor = Executor(at_once=("y", "x"))
    loop, _ = loop_over(executor)
    turns = []
    loop._observers = (lambda turn, state: turns.append([type(event).__name__ for event in turn]),)
    begin(loop)
    assert executor.steps == []
    assert ["AttemptReturned", "GateChecked", "GateChecked", "CommandSucceeded", "AttemptStarted"] in turns


def test_a_bad_blocking_verdict_is_a_permanent_failure():
    """All gates are checked first, each that is bad is named, and nothing is kept as the command's result before it has failed."""
    bad = {"verdict": "failed", "message": "x is 4"}
    executor = Executor(x=bad, y={"verdict": "error", "message": "no such table"})
    loop, journal = loop_over(executor, policies=(Retry(),))
    begin(loop, {"a": {"steps": ("gate x", "gate y", "checkpoint"), "retries": 3}, "b": {"upstream": ["a"]}})
    assert executor.steps[:2] == ["gate x a", "gate y a"]
    told = kinds(journal, "a")
    assert "CheckpointTaken" not in told[: told.index("CommandFailed")]
    assert executor.attempts == ["a.1"]
    record = loop.published.commands["a"]
    assert (record.state, record.failure.kind, record.failure.transient) == ("failed", "gate", False)
    assert record.failure.message == 'the gate "x" failed: x is 4; the gate "y" could not be checked: no such table'
    assert (loop.published.run.state, loop.published.commands["b"].state) == ("failed", "upstream_failed")
    assert replay(journal.read(), policies=(Retry(),)).same


def test_a_gate_may_ask_for_another_try():
    """Its verdict may pass by itself, so the retry policy decides as about any failure of that sort."""
    executor = Executor(x={"verdict": "failed", "retry": True})
    now = [1.0]
    loop, _ = loop_over(executor, policies=(Retry(),), clock=lambda: now[0])
    begin(loop)
    assert loop.published.commands["a"].state == "waiting"
    executor.verdicts = {}
    now[0] = loop.next_due()
    loop.take_due()
    assert executor.attempts == ["a.1", "a.2", "b.1"]
    assert loop.published.run.state == "completed"


def test_a_warning_lets_the_run_complete_with_deviations():
    """Of the attempt that succeeded only: what an earlier one was warned of is history."""
    executor = Executor(
        x={"verdict": "failed", "blocking": False, "message": "slow"}, y={"verdict": "failed", "retry": True}
    )
    now = [1.0]
    loop, _ = loop_over(executor, policies=(Retry(),), clock=lambda: now[0])
    begin(loop)
    assert not loop.published.deviations
    del executor.verdicts["y"]
    now[0] = loop.next_due()
    loop.take_due()
    assert loop.published.deviations == {"a": ('the gate "x" failed: slow',)}
    assert loop.published.run.state == "completed"


@pytest.mark.parametrize(
    ("verdict", "ends", "deviations"),
    [
        ({}, "completed", {}),
        ({"verdict": "failed", "message": "too few"}, "error", {}),
        ({"verdict": "error", "message": "too few"}, "error", {}),
        ({"verdict": "failed", "message": "too few", "blocking": False}, "completed", {"": ('the gate "r" failed: too few',)}),
    ],
)  # fmt: skip
def test_what_is_required_of_a_run_is_held_against_it_at_its_completion(verdict, ends, deviations):
    """It ends in an error where a blocking requirement does not hold, and the last checkpoint is not taken then."""
    executor = Executor(r=verdict)
    loop, journal = loop_over(executor)
    begin(loop, {"a": {}, "b": {"upstream": ["a"]}}, completion=("gate r", "checkpoint"))
    assert executor.steps == ["gate r completion"] + (["checkpoint completion"] if ends == "completed" else [])
    assert (loop.published.run.state, loop.published.deviations) == (ends, deviations)
    assert ("too few" in loop.published.run.reason) == (ends == "error")
    assert replay(journal.read(), policies=()).same
    if ends == "error":
        again = Executor()
        loop, _ = loop_over(again, fold(journal.read()))
        loop.begin([e.RunResumed(at=2.0, owner={"pid": 1})])
        assert (again.attempts, again.steps[0]) == ([], "gate r completion")
        assert loop.published.run.state == "completed"


def test_nothing_is_required_of_a_run_that_failed_anyway():
    """There is nothing to hold against it that would change its end."""
    executor = Executor(x={"verdict": "failed"})
    loop, _ = loop_over(executor)
    begin(loop, completion=("gate r",))
    assert executor.steps == ["gate x a", "gate y a"]
    assert loop.published.run.state == "failed"


def test_a_gate_that_was_cut_is_repeated_and_not_its_command():
    """What was checked before the owner died stays checked."""
    executor = Executor(held=("gate y a",))
    loop, journal = loop_over(executor)
    begin(loop)
    assert loop.published.commands["a"].state == "running"
    again = Executor()
    loop, _ = loop_over(again, fold(journal.read()))
    loop.begin([e.RunResumed(at=2.0, owner={"pid": 1})])
    assert (again.attempts, again.steps) == (["b.1"], ["gate y a"])
    assert loop.published.run.state == "completed"


def test_a_changed_plan_has_all_its_gates_checked():
    """What is due is done as today's definition says it."""
    executor = Executor(held=("gate y a",))
    loop, journal = loop_over(executor)
    begin(loop)
    again = Executor()
    loop, _ = loop_over(again, fold(journal.read()))
    other = {"a": {"steps": ("gate x", "gate z")}, "b": {"upstream": ["a"]}}
    loop.begin([e.RunResumed(at=2.0, owner={"pid": 1}), e.RunPlanned(at=2.0, commands=other)])
    assert again.steps == ["gate x a", "gate z a"]
    assert set(loop.published.commands["a"].gates) == {"x", "z"}


def test_a_run_is_left_while_a_gate_goes_on_and_the_gate_is_due():
    """After the grace it is ended and not waited for; its command has returned and does not run again."""
    now = [1.0]
    executor = Executor(held=("gate x a",))
    loop, journal = loop_over(executor, clock=lambda: now[0])
    begin(loop)
    loop.send(Pause(reason="interrupted", leaving=True, grace=5.0))
    loop.take_due()
    assert not loop.is_over
    now[0] = loop.next_due()
    loop.take_due()
    assert (executor.ended, loop.is_over) == (["a"], True)
    state = fold(journal.read())
    assert (state.commands["a"].state, state.commands["a"].returned) == ("running", True)
    again = Executor()
    loop, _ = loop_over(again, state)
    loop.begin([e.RunResumed(at=2.0, owner={"pid": 1})])
    assert (again.attempts, loop.published.run.state) == (["b.1"], "completed")


def test_a_stopped_run_ends_the_gate_and_cancels_its_command():
    """Nothing is left under way."""
    executor = Executor(held=("gate x a",))
    loop, _ = loop_over(executor)
    begin(loop)
    loop.send(Stop(reason="enough"))
    loop.take_due()
    assert executor.ended == ["a"]
    assert (loop.published.run.state, loop.published.commands["a"].state) == ("stopped", "cancelled")


def test_the_fold_lets_nothing_through_that_a_gate_is_against():
    """Neither a command whose blocking gate is bad or due, nor a run whose requirement does not hold."""
    executor = Executor(held=("gate x a",))
    loop, journal = loop_over(executor)
    begin(loop, {"a": {"steps": ("gate x",)}, "b": {"upstream": ["a"]}})
    facts = list(journal.read())
    success = e.CommandSucceeded(at=1.0, command="a", attempt=1)
    bad = e.GateChecked(at=1.0, gate="x", command="a", attempt=1, verdict="failed")
    with pytest.raises(IllegalTransition, match='"a" cannot succeed before gate x'):
        fold([*facts, success])
    with pytest.raises(IllegalTransition, match="a blocking gate does not hold"):
        fold([*facts, bad, success])
    with pytest.raises(IllegalTransition, match="answers no step"):
        fold([*facts, e.GateChecked(at=1.0, gate="z", command="a", attempt=1, verdict="passed")])
