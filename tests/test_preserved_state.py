"""States that commands hand over, as the fold keeps them."""

from __future__ import annotations

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.state.run_state import fold
from orchestrator_nb.state.transitions import IllegalTransition

VALUE = e.Stored(form="json", value={"step": 3})
BEGINNING: list[e.Event] = [
    e.RunStarted(at=1.0, run="r", workflow="w"),
    e.RunPlanned(at=1.0, commands={"a": {"kind": "call"}}),
    e.AttemptStarted(at=2.0, command="a", attempt=1),
    e.OutputRecorded(at=2.0, command="a", attempt=1, name="rows", value=e.Stored(form="json", value=1)),
    e.StatePreserved(at=2.0, command="a", attempt=1, value=VALUE),
]
FAILED: list[e.Event] = [
    e.AttemptFailed(at=3.0, command="a", attempt=1, seconds=1.0, failure=e.Failure(kind="exception", message="no")),
    e.CommandFailed(at=3.0, command="a"),
]


def test_a_state_outlives_attempts_that_hand_over_none() -> None:
    """The last one that was handed over counts, through interrupts and retries."""
    state = fold(
        [
            *BEGINNING,
            e.AttemptInterrupted(at=3.0, command="a", attempt=1, reason="lunch"),
            e.AttemptStarted(at=4.0, command="a", attempt=2),
            e.AttemptInterrupted(at=5.0, command="a", attempt=2, reason="its owner died", lost=True),
            e.AttemptStarted(at=6.0, command="a", attempt=3),
        ]
    )
    assert state.commands["a"].preserved == VALUE
    assert set(state.commands["a"].partial) == {"rows"}


def test_a_new_generation_of_what_failed_goes_on_from_its_state() -> None:
    """So does what the command had recorded."""
    state = fold([*BEGINNING, *FAILED, e.CommandReopened(at=4.0, command="a", reason="it failed")])
    assert state.commands["a"].preserved == VALUE
    assert set(state.commands["a"].partial) == {"rows"}


def test_a_new_generation_of_what_succeeded_begins_anew() -> None:
    """What is run again after a success has nothing to go on from."""
    state = fold(
        [
            *BEGINNING,
            e.AttemptReturned(at=3.0, command="a", attempt=1, seconds=1.0),
            e.CommandSucceeded(at=3.0, command="a", attempt=1),
            e.CommandReopened(at=4.0, command="a", reason="its live result died"),
        ]
    )
    assert state.commands["a"].preserved is None
    assert state.commands["a"].partial == {}


def test_only_an_attempt_under_way_hands_over_a_state() -> None:
    """Late news changes nothing."""
    with pytest.raises(IllegalTransition, match="not under way"):
        fold([*BEGINNING, *FAILED, e.StatePreserved(at=5.0, command="a", attempt=1, value=VALUE)])
