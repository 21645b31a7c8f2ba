"""The state: its tables, its rules, and that nothing changes when a rule is broken."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.transitions import (
    COMMAND_STATES,
    COMMAND_TRANSITIONS,
    ENDED,
    FINAL,
    RUN_TRANSITIONS,
    IllegalTransition,
)

BEGINNING: list[e.Event] = [
    e.RunStarted(at=1.0, run="r", workflow="w"),
    e.RunPlanned(
        at=1.0, commands={"a": {"kind": "call"}, "b": {"kind": "call", "upstream": ["a"]}, "c": {"kind": "call"}}
    ),
]
FAILURE = e.Failure(kind="exception", message="no")


def _snapshot(state: RunState) -> dict[str, Any]:
    return copy.deepcopy(state.__dict__)


def _succeed(command: str, attempt: int = 1, **returned: Any) -> list[e.Event]:
    return [
        e.AttemptStarted(at=2.0, command=command, attempt=attempt),
        e.AttemptReturned(at=3.0, command=command, attempt=attempt, seconds=1.0, **returned),
        e.CommandSucceeded(at=3.0, command=command, attempt=attempt),
    ]


def _fail(command: str, attempt: int = 1) -> list[e.Event]:
    return [
        e.AttemptStarted(at=2.0, command=command, attempt=attempt),
        e.AttemptFailed(at=3.0, command=command, attempt=attempt, seconds=1.0, failure=FAILURE),
    ]


def test_the_tables_name_only_kinds_and_states_that_there_are() -> None:
    """The tables and the events are one language."""
    assert {key.split()[0] for key in RUN_TRANSITIONS} <= e.KINDS.keys()
    assert {key.split()[0] for key in COMMAND_TRANSITIONS} <= e.KINDS.keys()
    named = {state for row in COMMAND_TRANSITIONS.values() for pair in row.items() for state in pair}
    assert named <= set(COMMAND_STATES)
    assert named >= FINAL
    run_states = {state for row in RUN_TRANSITIONS.values() for pair in row.items() for state in pair}
    assert run_states >= ENDED


def test_a_command_goes_from_pending_to_succeeded() -> None:
    """The plain way, and what is known after it."""
    stored = e.Stored(form="json", value=5)
    state = fold([*BEGINNING, *_succeed("a", result=stored, shared={"x": 1})])
    record = state.commands["a"]
    assert (record.state, record.attempt, record.result, record.seconds) == ("succeeded", 1, stored, 1.0)
    assert state.shared == {"x": 1}
    assert state.command_state("b") == "ready"
    assert state.counts == {"pending": 2, "running": 0, "succeeded": 1}


def test_shared_state_changes_only_with_the_success() -> None:
    """What a failed attempt wanted to share was never shared."""
    state = fold([*BEGINNING, *_succeed("a", shared={"x": 1})[:2]])
    assert state.shared == {}


@pytest.mark.parametrize(
    "event",
    [
        e.CommandSucceeded(at=3.0, command="a", attempt=1),
        e.AttemptStarted(at=3.0, command="a", attempt=2),
        e.AttemptStarted(at=3.0, command="b", attempt=1),
        e.AttemptStarted(at=3.0, command="nobody", attempt=1),
        e.AttemptReturned(at=3.0, command="a", attempt=1, seconds=1.0),
        e.RetryDue(at=3.0, command="a"),
        e.RunCompleting(at=3.0),
        e.RunEnded(at=3.0, state="completed"),
        e.RunStarted(at=3.0, run="r", workflow="w"),
        e.CommandReopened(at=3.0, command="a", reason=""),
        e.MetricRecorded(at=3.0, command="a", attempt=1, name="m", value=1.0),
        e.RunPlanned(at=3.0, commands={"a": {"upstream": ["nobody"]}}),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_illegal_event_is_refused_and_changes_nothing(event: e.Event) -> None:
    """All rules are checked before anything is changed."""
    state = fold(BEGINNING)
    before = _snapshot(state)
    with pytest.raises(IllegalTransition):
        state.apply(event)
    assert state.__dict__ == before


def test_a_success_of_another_attempt_is_refused() -> None:
    """A late result of an earlier attempt cannot end the one under way."""
    state = fold([*BEGINNING, *_fail("a"), e.RetryScheduled(at=3.0, command="a", due=4.0, retry=1, retries=1)])
    state.apply(e.RetryDue(at=4.0, command="a"))
    state.apply(e.AttemptStarted(at=4.0, command="a", attempt=2))
    with pytest.raises(IllegalTransition, match="attempt 1"):
        state.apply(e.AttemptReturned(at=5.0, command="a", attempt=1, seconds=1.0))


def test_a_success_needs_a_return() -> None:
    """Nothing succeeds whose results are not recorded."""
    state = fold([*BEGINNING, e.AttemptStarted(at=2.0, command="a", attempt=1)])
    with pytest.raises(IllegalTransition, match="before its attempt has returned"):
        state.apply(e.CommandSucceeded(at=3.0, command="a", attempt=1))


def test_what_a_failed_attempt_recorded_is_given_to_the_next() -> None:
    """Partial results outlive the attempt."""
    value = e.Stored(form="json", value=1)
    started, failed = _fail("a")
    recorded = e.OutputRecorded(at=2.0, command="a", attempt=1, name="rows", value=value)
    state = fold([*BEGINNING, started, recorded, failed])
    assert state.commands["a"].recorded == {"rows": value}
    state.apply(e.RetryScheduled(at=3.0, command="a", due=3.0, retry=1, retries=1))
    state.apply(e.RetryDue(at=3.0, command="a"))
    state.apply(e.AttemptStarted(at=3.0, command="a", attempt=2))
    assert state.commands["a"].partial == {"rows": value}
    assert state.commands["a"].recorded == {}


def test_a_run_is_completed_only_when_every_command_is_good_or_excused() -> None:
    """A failure without a deviation keeps the run from being completed."""
    optional = {"a": {"optional": True}, "b": {"upstream": ["a"], "optional": True}, "c": {}}
    beginning = [BEGINNING[0], e.RunPlanned(at=1.0, commands=optional)]
    events = [*beginning, *_fail("a"), e.CommandFailed(at=3.0, command="a")]
    events += [e.UpstreamFailed(at=3.0, command="b", upstream=("a",)), *_succeed("c"), e.RunCompleting(at=4.0)]
    state = fold(events)
    with pytest.raises(IllegalTransition, match="cannot be completed: a, b"):
        state.apply(e.RunEnded(at=4.0, state="completed"))
    state.apply(e.DeviationRecorded(at=4.0, command="a", text="optional"))
    state.apply(e.DeviationRecorded(at=4.0, command="b", text="optional"))
    state.apply(e.RunEnded(at=4.0, state="completed"))
    assert state.run.state == "completed"


def test_recovering_and_degraded_are_derived() -> None:
    """The two states that follow from the commands have no event of their own."""
    state = fold([*BEGINNING, *_fail("a"), e.RetryScheduled(at=3.0, command="a", due=4.0, retry=1, retries=1)])
    assert state.phase == "recovering"
    state.apply(e.RetryDue(at=4.0, command="a"))
    assert state.phase == "executing"
    state.apply(e.DeviationRecorded(at=4.0, command="c", text="left out"))
    assert state.phase == "degraded"


def test_a_reopened_command_begins_a_generation_and_counts_attempts_on() -> None:
    """(command, attempt) names one execution for ever."""
    state = fold([*BEGINNING, *_succeed("a"), e.CommandReopened(at=4.0, command="a", reason="asked to")])
    assert (state.commands["a"].generation, state.commands["a"].attempt) == (2, 1)
    for event in _succeed("a", attempt=2):
        state.apply(event)
    assert state.commands["a"].state == "succeeded"


def test_a_new_plan_keeps_what_is_known() -> None:
    """Commands that stay keep their record, new ones are pending, the rest is gone."""
    state = fold([*BEGINNING, *_succeed("a")])
    state.apply(e.RunPlanned(at=5.0, commands={"a": {"kind": "call"}, "d": {"kind": "call", "upstream": ["a"]}}))
    assert {name: record.state for name, record in state.commands.items()} == {"a": "succeeded", "d": "pending"}
    assert state.counts == {"succeeded": 1, "pending": 1}


def test_a_result_of_nothing_is_what_was_recorded() -> None:
    """A notebook's result is the mapping of what it recorded; a function's is what it returned."""
    value = e.Stored(form="json", value=1)
    recorded = e.OutputRecorded(at=2.0, command="a", attempt=1, name="rows", value=value)
    start, returned, success = _succeed("a")
    nothing = fold([*BEGINNING, start, recorded, returned, success])
    assert nothing.commands["a"].output() == e.Stored(form="mapping", items={"rows": value})
    five = e.Stored(form="json", value=5)
    start, returned, success = _succeed("a", result=five)
    assert fold([*BEGINNING, start, recorded, returned, success]).commands["a"].output() == five


def test_publishing_brings_a_copy_up_to_date() -> None:
    """Readers see the state of the last turn, whole."""
    state, published = RunState(), RunState()
    for turn in (BEGINNING, _succeed("a", shared={"x": 1}), [e.DeviationRecorded(at=4.0, command="b", text="t")]):
        for event in turn:
            state.apply(event)
        state.publish(published, turn)
        assert published.__dict__ == state.__dict__
    assert published.counts is not state.counts


def test_a_copy_goes_its_own_way() -> None:
    """What is applied to a copy does not show in the original."""
    state = fold(BEGINNING)
    before = _snapshot(state)
    other = state.copy()
    assert other.__dict__ == before
    for event in _succeed("a"):
        other.apply(event)
    assert state.__dict__ == before


@given(st.lists(st.integers(0, 30), max_size=60))
def test_the_counts_are_those_of_the_commands(choices: list[int]) -> None:
    """Whatever legal events come in whatever order, the counts agree with the records, and states with the tables."""
    state = fold(BEGINNING)
    for choice in choices:
        name = "abc"[choice % 3]
        record = state.commands[name]
        options: list[e.Event] = [
            e.AttemptStarted(at=1.0, command=name, attempt=record.attempt + 1),
            e.AttemptReturned(at=1.0, command=name, attempt=record.attempt, seconds=1.0),
            e.CommandSucceeded(at=1.0, command=name, attempt=record.attempt),
            e.AttemptFailed(at=1.0, command=name, attempt=record.attempt, seconds=1.0, failure=FAILURE),
            e.AttemptInterrupted(at=1.0, command=name, attempt=record.attempt, reason=""),
            e.RetryScheduled(at=1.0, command=name, due=1.0, retry=1, retries=3),
            e.RetryDue(at=1.0, command=name),
            e.CommandFailed(at=1.0, command=name),
            e.UpstreamFailed(at=1.0, command=name, upstream=("a",)),
            e.CommandReopened(at=1.0, command=name, reason=""),
        ]
        event = options[choice % len(options)]
        before = record.state
        try:
            state.apply(event)
        except IllegalTransition:
            assert state.commands[name] is record
            continue
        assert COMMAND_TRANSITIONS[type(event).__name__][before] == state.commands[name].state
        states = [item.state for item in state.commands.values()]
        assert {key: count for key, count in state.counts.items() if count} == {
            key: states.count(key) for key in set(states)
        }


def test_a_run_that_was_left_says_when() -> None:
    """A pause that leaves has an end until the run goes on; one whose owner stays has none."""
    left = [*BEGINNING, e.RunPaused(at=9.0, reason="interrupted", leaving=True)]
    assert fold(left).run.ended == 9.0
    assert fold([*left, e.RunResumed(at=20.0, reason="")]).run.ended is None
    assert fold([*BEGINNING, e.RunPaused(at=9.0, reason="asked to")]).run.ended is None


def test_a_deviation_goes_with_its_command() -> None:
    """A command that a new plan is without leaves nothing behind that the run would lack."""
    deviates = e.DeviationRecorded(at=4.0, command="c", text="optional, and it is failed")
    state = fold([*BEGINNING, *_fail("c"), e.CommandFailed(at=4.0, command="c"), deviates])
    assert set(state.deviations) == {"c"}
    state.apply(e.RunPlanned(at=5.0, commands={"a": {"kind": "call"}}))
    assert state.deviations == {}


def test_a_command_that_leaves_the_plan_and_comes_back_counts_its_attempts_on() -> None:
    """(command, attempt) names one execution for ever, whatever became of the definition between two of them."""
    other = e.RunPlanned(at=4.0, commands={"a": {"kind": "call"}})
    state = fold([*BEGINNING, *_succeed("a"), *_succeed("c"), other, BEGINNING[1]])
    assert (state.commands["a"].state, state.commands["c"].state) == ("succeeded", "pending")
    with pytest.raises(IllegalTransition):
        state.apply(e.AttemptStarted(at=5.0, command="c", attempt=1))
    state.apply(e.AttemptStarted(at=5.0, command="c", attempt=2))
    assert fold([*BEGINNING, other, BEGINNING[1]]).commands["c"].attempt == 0
