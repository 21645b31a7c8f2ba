"""Errors: what a user catches, what it says, and that it survives pickling."""

from __future__ import annotations

import pickle

import pytest

from orchestrator_nb import errors


def _subclasses(kind: type) -> list[type]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in _subclasses(child))]


@pytest.mark.parametrize("kind", _subclasses(errors.OrchestratorError), ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling(kind: type[errors.OrchestratorError]) -> None:
    """An error that crosses processes says the same on the other side."""
    error = (
        kind([errors.Mistake("wrong", "/commands/a", line=3)])
        if issubclass(kind, errors.DefinitionError)
        else kind("it went wrong")
    )
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)


def test_a_command_error_keeps_its_failure() -> None:
    """What a command type knows about a failure is there after pickling."""
    error = pickle.loads(pickle.dumps(errors.CommandError("no", kind="exit_code", exit_code=3)))
    assert error.failure == {"kind": "exit_code", "exit_code": 3}


def test_a_mistake_names_place_finding_expectation_and_the_nearest() -> None:
    """One line has everything that is needed to mend it."""
    mistake = errors.Mistake(
        'unknown key "afer"', "/commands/b/afer", "flow.yaml", 7, 5, found="afer", expected="a field", nearest="after"
    )
    text = 'flow.yaml:7:5 /commands/b/afer: unknown key "afer"; found afer; expected a field; did you mean "after"?'
    assert str(mistake) == text


def test_a_control_signal_is_not_eaten() -> None:
    """`except Exception` in a command does not stop it from being cancelled."""
    assert not issubclass(errors.Cancelled, Exception)
