"""Little time is left: optional commands are left for later, and people are asked about what is in trouble."""

from __future__ import annotations

from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.engine.resume import missing_parts
from orchestrator_nb.recovery.deadline import BeforeDeadline
from orchestrator_nb.recovery.retry import Retry
from orchestrator_nb.state.run_state import RunState, fold

NEAR = e.DeadlineNear(at=80.0, deadline=100.0)
PASSING = e.Failure(kind="exception", message="reset", types=("ConnectionError",))


def _state(commands: dict[str, dict[str, Any]], *facts: e.Event) -> RunState:
    started = e.RunStarted(at=0.0, run="r", workflow="w", settings={"deadline": 100.0})
    return fold([started, e.RunPlanned(at=0.0, commands=commands), *facts])


def _started(command: str, attempt: int = 1) -> e.AttemptStarted:
    return e.AttemptStarted(at=1.0, command=command, attempt=attempt)


def _answers(state: RunState) -> list[e.Event]:
    """Answer, and see that the answers fit."""
    facts = list(BeforeDeadline()(NEAR, state))
    for fact in facts:
        state.apply(fact)
    return facts


def test_what_is_optional_is_left_for_a_resumed_run() -> None:
    """It is skipped with a deviation; what something needed comes after, or what runs, is not. A resume takes it up."""
    commands = {
        "core": {},
        "wanted": {"optional": True},
        "last": {"upstream": ["core", "wanted"]},
        "nice": {"optional": True, "upstream": ["core"]},
        "begun": {"optional": True},
    }
    state = _state(commands, _started("core"), _started("begun"))
    _answers(state)
    assert {name for name, record in state.commands.items() if record.state == "skipped"} == {"nice"}
    assert "left for later: the deadline is 20 s away" in state.deviations["nice"][0]
    done = [
        fact
        for name in ("core", "begun", "wanted", "last")
        for fact in (
            *([_started(name)] if name in ("wanted", "last") else []),
            e.AttemptReturned(at=90.0, command=name, attempt=1, seconds=1.0),
            e.CommandSucceeded(at=90.0, command=name, attempt=1),
        )
    ]
    for fact in (*done, e.RunCompleting(at=91.0), e.RunEnded(at=91.0, state="completed")):
        state.apply(fact)
    assert [fact.command for fact in missing_parts(state, 200.0) if isinstance(fact, e.CommandReopened)] == ["nice"]


def test_where_nothing_else_is_left_only_what_would_take_too_long_is_left() -> None:
    """There is time for the others."""
    commands = {"long": {"optional": True, "seconds": 30.0}, "short": {"optional": True, "seconds": 5.0}}
    state = _state(commands)
    _answers(state)
    assert (state.commands["long"].state, state.commands["short"].state) == ("skipped", "pending")


def _failing(command: str, **planned: Any) -> tuple[dict[str, dict[str, Any]], list[e.Event]]:
    failed = e.AttemptFailed(at=2.0, command=command, attempt=1, seconds=1.0, failure=PASSING)
    due = e.RetryScheduled(at=2.0, command=command, due=85.0, retry=1, retries=3)
    return {command: planned}, [_started(command), failed, due]


def test_people_are_asked_about_what_is_in_trouble() -> None:
    """While they have time to do something: about what waits for a retry and what is being tried again, each with a
    number of its own; not about what goes well, nor where nobody wanted to be asked."""
    asking: dict[str, Any] = {"escalation": {"automatic": 300.0}}
    commands, facts = _failing("waits", **asking)
    again, more = _failing("again", **asking)
    silent, silent_facts = _failing("silent")
    commands.update(again, **silent, fine=asking)
    more += [e.RetryDue(at=3.0, command="again"), _started("again", 2), _started("fine")]
    state = _state(commands, *facts, *more, *silent_facts)
    _answers(state)
    asked = {decision.command: decision for decision in state.open_decisions()}
    assert sorted(asked) == ["again", "waits"]
    assert sorted(decision.number for decision in asked.values()) == [1, 2]
    assert "the deadline is 20 s away" in asked["waits"].question
    assert "go on" in asked["again"].options


def test_a_retry_beyond_the_deadline_is_none() -> None:
    """What else there is, a reduced form or a person, still has the time."""
    commands = {"a": {"retry_delay": 1e6, "retries": 9}}
    failed = e.AttemptFailed(at=99.9, command="a", attempt=1, seconds=1.0, failure=PASSING)
    assert list(Retry()(failed, _state(commands, _started("a"), failed))) == []
