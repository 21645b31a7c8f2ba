"""Which failures may pass by themselves, and whose word counts most."""

from __future__ import annotations

import pytest

from orchestrator_nb.events import Failure
from orchestrator_nb.recovery.causes import is_permanent, is_transient


@pytest.mark.parametrize(
    ("failure", "transient", "permanent"),
    [
        (Failure(kind="exception", message="", types=("ConnectionResetError", "ConnectionError")), True, False),
        (Failure(kind="exception", message="", types=("ValueError",)), False, False),
        (Failure(kind="exception", message="", types=("NameError",)), False, True),
        (Failure(kind="kernel_died", message=""), True, False),
        (Failure(kind="result_refused", message=""), False, True),
    ],
)
def test_a_failure_is_judged_by_what_happened(failure: Failure, transient: bool, permanent: bool) -> None:
    """By its kind, and by the classes of its exception."""
    assert (is_transient(failure), is_permanent(failure)) == (transient, permanent)


@pytest.mark.parametrize("types", [("ConnectionError",), ("NameError",), ("ValueError",), ()])
@pytest.mark.parametrize("hint", [True, False])
def test_what_the_command_says_about_its_failure_holds(types: tuple[str, ...], hint: bool) -> None:
    """Whoever failed knows best; only without a word from there the classes are asked."""
    failure = Failure(kind="exception", message="", types=types, transient=hint)
    assert (is_transient(failure), is_permanent(failure)) == (hint, not hint)
