from __future__ import annotations

import pytest

from orchestrator_nb.errors import CommandError, ResultRefused
from orchestrator_nb.executors.failures import failure_of, shortened, type_names


class Base(Exception):
    pass


class Derived(Base, KeyError):
    pass


def caught(error):
    try:
        raise error  # noqa: TRY301 - to have a frame of its own
    except BaseException as same:
        return same


def test_types_are_named_up_to_exception():
    """Built-in classes by their name, others with their module, most derived first."""
    module = type_names.__module__.partition(".")[0]
    assert module == "orchestrator_nb"
    assert type_names(Derived) == (f"{__name__}.Derived", f"{__name__}.Base", "KeyError", "LookupError", "Exception")
    assert type_names(SystemExit) == ("SystemExit",)
    assert type_names(BaseException) == ("BaseException",)


def test_the_traceback_is_the_users():
    """It begins with the first frame outside of this package."""
    failure = failure_of(caught(ValueError("wrong")))
    assert failure.message == "wrong"
    assert failure.traceback.startswith("Traceback (most recent call last):\n")
    assert failure.traceback.count("File ") == 1
    assert failure.traceback.endswith("ValueError: wrong\n")


def test_without_a_frame_of_the_user_there_is_no_traceback():
    """An error that was never raised in the user's code has none to show."""
    assert failure_of(ValueError("x")).traceback is None


def test_the_cause_is_shown():
    """What led to an error is part of its traceback."""
    error = RuntimeError("outer")
    error.__cause__ = caught(KeyError("inner"))
    assert "KeyError: 'inner'" in failure_of(caught(error)).traceback


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError(), "exception"), (ResultRefused("x"), "result_refused"), (CommandError("x", kind="lost"), "lost")],
)
def test_the_kind_is_what_is_known(error, kind):
    """Refused results and failures of a command type have kinds of their own."""
    assert failure_of(error).kind == kind


def test_a_command_error_brings_its_fields():
    """Known fields are taken, others are not, and what is given besides wins."""
    error = CommandError("said", kind="signal", signal=9, traceback="theirs", nonsense=1)
    failure = failure_of(error, kind="kernel_died", stage="start")
    assert (failure.kind, failure.signal, failure.traceback, failure.stage) == ("kernel_died", 9, "theirs", "start")


def test_long_texts_lose_their_middle():
    """Head and tail stay, and a line says how much is missing."""
    text = shortened("a" * 100 + "b" * 100, 20)
    assert text == f"{'a' * 10}\n… 180 characters left out …\n{'b' * 10}"
    assert shortened("short", 20) == "short"
    assert len(failure_of(ValueError("x" * 10**6)).message) < 17_000
