"""What becomes of a turn that cannot be recorded: a loop over journals that fail in every way."""

from __future__ import annotations

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.engine import held
from orchestrator_nb.engine.held import HeldTurn
from orchestrator_nb.engine.requests import Pause, Stop, Tell
from orchestrator_nb.errors import JournalDamaged, StoreError, StoreFull
from orchestrator_nb.state.run_state import RunState


def _returned(command: str, attempt: int = 1) -> e.Event:
    return e.AttemptReturned(at=1.0, command=command, attempt=attempt, seconds=1.0, result=e.Stored(form="json"))


def _running(*commands: str) -> RunState:
    state = RunState()
    state.apply(e.RunStarted(at=0.0, run="r", workflow="w", slots=len(commands)))
    state.apply(e.RunPlanned(at=0.0, commands={name: {"upstream": []} for name in commands}))
    for name in commands:
        state.apply(e.AttemptStarted(at=0.0, command=name, attempt=1))
    return state


def _held(error: StoreError, turn: list[e.Event] | None = None) -> HeldTurn:
    return HeldTurn(turn or [], error, now=0.0)


def test_want_of_room_is_waited_for_while_something_is_under_way() -> None:
    """As long as a command runs whose outcome would be lost, and for a minute at the least."""
    state = _running("a", "b")
    turn = _held(StoreFull("no room"), [_returned("a")])
    turn.failed(StoreFull("no room"), now=0.0)
    assert not turn.is_given_up(state, [_returned("b")], now=held.PATIENCE - 1)
    assert not turn.is_given_up(state, [], now=held.PATIENCE + 1)
    assert turn.is_given_up(state, [_returned("b")], now=held.PATIENCE + 1)


def test_other_errors_are_given_a_few_tries() -> None:
    """A medium that fails is not tried for ever; a journal that somebody changed not even once more."""
    state = RunState()
    turn = _held(StoreError("Input/output error"))
    for _ in range(held.TRIES - 1):
        turn.failed(StoreError("Input/output error"), now=0.0)
        assert not turn.is_given_up(state, [], now=0.0)
    turn.failed(StoreError("Input/output error"), now=0.0)
    assert turn.is_given_up(state, [], now=0.0)
    changed = _held(StoreError("Input/output error"))
    changed.failed(JournalDamaged("changed"), now=0.0)
    assert changed.is_given_up(state, [], now=0.0)


@pytest.mark.parametrize(
    ("request_", "leaves"),
    [
        (Stop(reason="enough"), True),
        (Pause(reason="SIGTERM", leaving=True), True),
        (Pause(reason="later"), False),
        (Tell(text="hello"), False),
    ],
)
def test_who_wants_to_leave_does_not_wait(request_: object, leaves: bool) -> None:
    """A stop and an interrupt end the waiting; other requests wait with it."""
    assert _held(StoreFull("no room")).is_left_by(_running("a"), [request_]) is leaves  # type: ignore[list-item]


def test_what_is_lost_is_named() -> None:
    """The error is of the same kind and names every command whose end is not recorded."""
    turn = _held(StoreFull("no room"), [_returned("b")])
    error = turn.given_up([_returned("a"), Tell(text="hello")])
    assert type(error) is StoreFull
    assert str(error).splitlines() == ["no room", 'not recorded, so that they will run again: "a", "b"']
    assert str(_held(StoreFull("no room")).given_up([])) == "no room"


def test_it_is_told_once_and_afterwards() -> None:
    """While it waits it is news once; the fact afterwards says for how long."""
    turn = _held(StoreFull("no room"))
    turn.failed(StoreFull("no room"), now=1.0)
    assert turn.is_news()
    assert turn.again == 1.0 + held.AGAIN_AFTER
    turn.failed(StoreFull("no room"), now=2.0)
    assert not turn.is_news()
    assert turn.notice(12.5).text == "for 12.5 s nothing could be recorded (no room); nothing was lost by that"
