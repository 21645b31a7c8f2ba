"""Escalation: who is asked when, what each answer does, and that nobody is asked without end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.requests import Decide, Escalate, Request
from orchestrator_nb.engine.simulation import Outcome
from orchestrator_nb.engine.simulator import VirtualExecutor, make_scheduler, simulate
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.orchestrator.policies import POLICIES
from orchestrator_nb.state.run_state import RunState, fold

BROKEN = e.Failure(kind="exception", message="broken", types=("ValueError",))
ASKING: dict[str, Any] = {"escalation": {"guided": 60.0, "manual": 600.0}}


class Driven:
    """A run on a virtual clock, whose commands fail as often as they are told to."""

    def __init__(
        self,
        commands: Mapping[str, Mapping[str, Any]],
        *,
        failures: int = 1,
        failing: Collection[str] | None = None,
        decide: str = "wait",
    ) -> None:
        fails = [Outcome(failure=BROKEN)] * failures
        outcomes = {name: fails for name in commands if failing is None or name in failing}
        self.executor = VirtualExecutor(dict.fromkeys(commands, 1.0), outcomes)
        self.journal = JournalInMemory()
        self.loop = Loop(
            state=RunState(),
            scheduler=make_scheduler(commands, slots=2),
            policies=POLICIES,
            journal=self.journal,
            executor=self.executor,
            make_work=self.executor.work,
            clock=self.executor.clock,
        )
        started = e.RunStarted(at=0.0, run="r", workflow="w", slots=2, decide=decide)
        self.loop.begin([started, e.RunPlanned(at=0.0, commands=commands)])

    @property
    def state(self) -> RunState:
        return self.loop.published

    def work(self) -> None:
        """Let everything end that is under way."""
        while self.executor.next_end() is not None:
            self.executor.end_next()

    def wait(self, seconds: float) -> None:
        self.executor.now += seconds
        self.loop.take_due()

    def ask(self, request: Request) -> e.Event:
        self.loop.send(request)
        self.loop.take_due()
        assert self.loop.error is None, self.loop.error
        return next(event for event in self.journal.read() if getattr(event, "request", None) == request.id)

    def decide(self, number: int, answer: str, **more: Any) -> e.Event:
        return self.ask(Decide(number=number, answer=answer, id=f"{number} {answer}", by={"user": "ada"}, **more))


def test_nobody_is_asked_who_did_not_want_it() -> None:
    """Without the option a failure is final, as ever."""
    run = Driven({"a": {}})
    run.work()
    assert run.state.run.state == "failed"
    assert not run.state.decisions


def test_a_command_that_waits_for_a_person_holds_no_slot() -> None:
    """The others go on, and the question is in the state with its evidence."""
    run = Driven({"a": ASKING, "b": {"upstream": ["a"]}})
    run.work()
    assert (run.state.commands["a"].state, run.state.counts.get("running", 0)) == ("waiting", 0)
    (decision,) = run.state.open_decisions()
    assert (decision.number, decision.command, decision.level, decision.options) == (
        1,
        "a",
        2,
        ("retry", "skip", "fail"),
    )
    assert (decision.deadline, decision.default) == (61.0, None)
    assert decision.evidence["message"] == "broken"
    assert run.state.phase == "recovering"


@pytest.mark.parametrize(
    ("answer", "states", "end"),
    [
        ("retry", {"a": "succeeded", "b": "succeeded"}, "completed"),
        ("skip", {"a": "skipped", "b": "skipped"}, "completed"),
        ("fail", {"a": "failed", "b": "upstream_failed"}, "failed"),
    ],
)
def test_an_answer_takes_effect_in_its_turn(answer: str, states: dict[str, str], end: str) -> None:
    """Tried again, left out with a deviation, or given up."""
    run = Driven({"a": ASKING, "b": {"upstream": ["a"]}}, failing=["a"])
    run.work()
    assert isinstance(run.decide(1, answer), e.DecisionMade)
    run.work()
    assert {name: record.state for name, record in run.state.commands.items()} == states
    assert run.state.run.state == end
    assert bool(run.state.deviations) == (answer == "skip")


def test_a_retry_may_have_other_parameters() -> None:
    """They are in the record of the command and in a deviation."""
    run = Driven({"a": ASKING})
    run.work()
    run.decide(1, "retry", parameters={"size": 1})
    assert run.state.commands["a"].parameters == {"size": 1}
    run.work()
    assert run.state.run.state == "completed"
    assert "with size = 1" in run.state.deviations["a"][0]


def test_an_answer_that_is_none_is_told() -> None:
    """An unknown number, an unknown option, parameters for nothing: a notice, and nothing has changed."""
    run = Driven({"a": ASKING})
    run.work()
    for number, answer in ((2, "retry"), (1, "pray"), (1, "done")):
        notice = run.decide(number, answer)
        assert isinstance(notice, e.NoticeGiven)
        assert notice.text.startswith("not decided: ")
    notice = run.ask(Decide(number=1, answer="skip", parameters={"x": 1}, id="with parameters"))
    assert isinstance(notice, e.NoticeGiven)
    assert len(list(run.state.open_decisions())) == 1


def test_the_levels_follow_each_other_and_the_last_parks_the_run() -> None:
    """Guided for its time, then by hand, then handed over; then nobody is waited for any more."""
    run = Driven({"a": ASKING})
    run.work()
    run.wait(59.0)
    assert [decision.level for decision in run.state.open_decisions()] == [2]
    run.wait(2.0)
    (decision,) = run.state.open_decisions()
    assert (decision.number, decision.level, decision.options[0]) == (2, 3, "done")
    run.wait(600.0)
    (decision,) = run.state.open_decisions()
    assert (decision.number, decision.level, decision.deadline) == (3, 4, None)
    assert (run.state.run.state, run.state.run.leaving, run.loop.is_over) == ("paused", True, True)
    assert run.state.run.reason == "parked: decision 3 is pending"


def test_a_failure_after_an_answer_is_escalated_further() -> None:
    """Each failure after a person's answer goes one level higher, so that a default cannot go on for ever."""
    run = Driven({"a": {"escalation": {"guided": 1.0, "manual": 1.0, "default": "retry"}}}, failures=99)
    for _ in range(20):
        run.work()
        if run.loop.is_over:
            break
        run.wait(1.0)
    assert run.loop.is_over
    assert [decision.level for decision in run.state.decisions.values()] == [2, 3, 4]
    assert [decision.by_default for decision in run.state.decisions.values()] == [True, True, False]
    assert run.state.commands["a"].attempt == 3


def test_a_default_is_taken_at_its_deadline_and_not_before() -> None:
    """A run that would park waits for a default, since that comes by itself."""
    run = Driven({"a": {"escalation": {"guided": 60.0, "default": "skip"}}}, decide="park")
    run.work()
    run.wait(59.0)
    assert (run.state.run.state, run.loop.next_due()) == ("executing", 61.0)
    run.wait(2.0)
    assert (run.state.run.state, run.state.commands["a"].state) == ("completed", "skipped")
    assert run.state.decisions[1].by_default


def test_defaults_can_be_taken_at_once() -> None:
    """With `now` nobody is waited for; what has no default parks the run."""
    run = Driven({"a": {"escalation": {"default": "fail"}}, "b": ASKING}, decide="now")
    run.work()
    assert run.state.commands["a"].state == "failed"
    assert (run.state.run.state, run.state.run.leaving) == ("paused", True)


def test_a_run_does_not_park_while_anything_goes_on() -> None:
    """It is left only when nothing runs, nothing can start and no retry is due."""
    run = Driven({"a": ASKING, "b": {"retries": 1, "retry_delay": 50.0}}, decide="park")
    run.work()
    assert run.state.commands["b"].due is not None
    assert run.state.run.state == "executing"
    run.wait(50.0)
    run.work()
    assert run.state.commands["b"].state == "succeeded"
    assert (run.state.run.state, run.state.run.reason) == ("paused", "parked: decision 1 is pending")


def test_a_person_can_do_the_command() -> None:
    """Its results are those that came with the answer; it counts as an attempt, is stored, and is a deviation."""
    run = Driven({"a": ASKING, "b": {"upstream": ["a"]}}, failing=["a"])
    run.work()
    run.wait(61.0)
    run.decide(2, "done", parameters={"rows": 3})
    run.work()
    record = run.state.commands["a"]
    output = record.output()
    assert output is not None
    assert (record.state, record.attempt, record.by_hand, output.value) == ("succeeded", 2, True, {"rows": 3})
    assert (run.state.run.state, run.state.commands["b"].state) == ("completed", "succeeded")
    assert "done by hand" in run.state.deviations["a"][0]


def test_somebody_can_escalate_at_any_time() -> None:
    """What runs goes on until somebody decides otherwise; another escalation is one level higher."""
    run = Driven({"a": {}, "b": {"upstream": ["a"]}}, failures=0)
    asked = run.ask(Escalate(command="a", reason="odd", id="1", by={"user": "ada"}))
    assert isinstance(asked, e.DecisionRequested)
    assert (asked.level, asked.options, asked.evidence["escalated"]) == (
        2,
        ("go on", "retry", "skip", "fail"),
        "escalated: odd",
    )
    assert run.state.commands["a"].state == "running"
    again = run.ask(Escalate(command="a", reason="still", id="2"))
    assert isinstance(again, e.DecisionRequested)
    assert (again.number, again.level) == (2, 3)
    assert [decision.number for decision in run.state.open_decisions()] == [2]
    assert isinstance(run.decide(2, "go on"), e.DecisionMade)
    assert run.state.commands["a"].state == "running"
    run.work()
    assert run.state.run.state == "completed"


def test_a_decision_against_what_runs_ends_it() -> None:
    """Its attempt has failed by it, is ended, and the answer says what becomes of the command."""
    run = Driven({"a": {"retries": 9}}, failures=0)
    run.ask(Escalate(command="a", reason="odd", id="1"))
    run.decide(1, "fail")
    assert run.state.commands["a"].state == "failed"
    assert run.state.run.state == "failed"


def test_a_command_that_has_not_begun_can_be_held_back() -> None:
    """It waits for the decision, and goes on where it was."""
    run = Driven({"a": {}, "b": {"upstream": ["a"]}}, failures=0)
    run.ask(Escalate(command="b", reason="wait for me", id="1"))
    run.work()
    assert (run.state.commands["a"].state, run.state.commands["b"].state) == ("succeeded", "waiting")
    run.decide(1, "go on")
    run.work()
    assert run.state.run.state == "completed"
    assert run.state.commands["b"].retry == 0


def test_a_command_held_back_while_it_was_ready_starts_once() -> None:
    """Ready and waiting for a slot, held back, let go: it is started once, with every slot free."""
    commands = {name: {"seconds": 1.0} for name in "abcdef"}
    run = Driven(commands, failures=0)
    run.ask(Escalate(command="f", reason="later", id="1"))
    run.decide(1, "go on")
    run.work()
    assert run.loop.error is None
    assert run.state.run.state == "completed"
    assert {record.attempt for record in run.state.commands.values()} == {1}


def test_a_decision_becomes_needless_when_its_command_ends() -> None:
    """It is not open any more, and an answer says so."""
    run = Driven({"a": {}, "b": {}}, failures=0)
    run.ask(Escalate(command="a", reason="odd", id="1"))
    run.executor.end_next()
    assert list(run.state.open_decisions()) == []
    notice = run.decide(1, "fail")
    assert isinstance(notice, e.NoticeGiven)
    assert "needless" in notice.text
    late = run.ask(Escalate(command="a", reason="odd", id="2"))
    assert isinstance(late, e.NoticeGiven)


def test_what_is_optional_is_nobodys_question() -> None:
    """Its failure is a deviation, and the run completes."""
    run = simulate(
        e.RunPlanned(at=0.0, commands={"a": {**ASKING, "optional": True}}),
        slots=1,
        outcomes={"a": [Outcome(failure=BROKEN)]},
        policies=POLICIES,
    )
    assert run.state == "completed"
    assert not fold(run.events).decisions


def test_a_stop_cancels_what_waits_for_a_person() -> None:
    """The decision is needless then."""
    from orchestrator_nb.engine.requests import Stop

    run = Driven({"a": ASKING})
    run.work()
    run.ask(Stop(reason="enough", id="s"))
    assert (run.state.run.state, run.state.commands["a"].state) == ("stopped", "cancelled")
    assert list(run.state.open_decisions()) == []


def test_a_person_may_do_what_waits_for_a_slot() -> None:
    """It was asked about while it ran, its retry is due, and others have the slots: somebody's having done it counts."""
    run = Driven({"a": {"retries": 1, "retry_delay": 0.001}, "b": {}, "c": {}, "d": {}}, failing=("a",))
    for number in (1, 2):
        run.ask(Escalate(command="a", reason="odd", id=str(number), by={"user": "ada"}))
    run.executor.end_next()
    run.executor.end_next()
    run.wait(0.5)
    assert (run.state.commands["a"].state, sorted(run.state.running())) == ("pending", ["c", "d"])
    run.decide(2, "done")
    assert run.state.commands["a"].state == "succeeded"
    run.work()
    assert run.state.run.state == "completed"
