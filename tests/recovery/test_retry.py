"""Retries: what is tried again, how often, how soon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.recovery.causes import is_permanent, is_transient
from orchestrator_nb.recovery.retry import LONGEST_DELAY, Retry
from orchestrator_nb.state import RunState, fold


def _failure(*types: str, kind: str = "exception", message: str = "no") -> e.Failure:
    return e.Failure(kind=kind, message=message, types=types)


def _failed(failure: e.Failure, *, retry: int = 0, **planned: object) -> tuple[e.AttemptFailed, RunState]:
    """The state right after the failure of an attempt that followed so many retries."""
    events: list[e.Event] = [
        e.RunStarted(at=1.0, run="r", workflow="w"),
        e.RunPlanned(at=1.0, commands={"a": dict(planned)}),
    ]
    for number in range(retry + 1):
        failed = e.AttemptFailed(at=100.0, command="a", attempt=number + 1, seconds=1.0, failure=failure)
        events += [e.AttemptStarted(at=1.0, command="a", attempt=number + 1), failed]
        if number < retry:
            events += [
                e.RetryScheduled(at=1.0, command="a", due=1.0, retry=number + 1, retries=9),
                e.RetryDue(at=1.0, command="a"),
            ]
    return failed, fold(events)


@pytest.mark.parametrize(
    ("failure", "transient", "permanent"),
    [
        (_failure("ConnectionResetError", "ConnectionError", "OSError", "Exception"), True, False),
        (_failure("TimeoutError", "OSError", "Exception"), True, False),
        (_failure("socket.gaierror", "OSError", "Exception"), True, False),
        (_failure("sqlite3.OperationalError", message="database is locked"), True, False),
        (_failure("sqlite3.OperationalError", message="no such table: t"), False, False),
        (_failure(kind="kernel_died"), True, False),
        (_failure(kind="not_started"), True, False),
        (_failure("ValueError", "Exception"), False, False),
        (_failure("ModuleNotFoundError", "ImportError", "Exception"), False, True),
        (_failure("SyntaxError", "Exception"), False, True),
        (_failure("orchestrator_nb.errors.ResultRefused", kind="result_refused"), False, True),
        (_failure(kind="exit_code"), False, False),
        (_failure(kind="timeout"), False, False),
    ],
    ids=lambda value: f"{value.kind} {' '.join(value.types[:1])}" if isinstance(value, e.Failure) else str(value),
)
def test_causes_are_told_apart(failure: e.Failure, transient: bool, permanent: bool) -> None:
    """What passes by itself, what never will, and what nobody can tell."""
    assert (is_transient(failure), is_permanent(failure)) == (transient, permanent)


@pytest.mark.parametrize(
    ("failure", "planned", "granted"),
    [
        (_failure("ConnectionError"), {}, 3),
        (_failure("ValueError"), {}, 0),
        (_failure("ValueError"), {"retries": 2}, 2),
        (_failure("ConnectionError"), {"retries": 0}, 0),
        (_failure("ConnectionError"), {"idempotent": False}, 0),
        (_failure("ConnectionError"), {"idempotent": False, "retries": 1}, 1),
        (_failure("SyntaxError"), {"retries": 5}, 0),
    ],
)
def test_how_often(failure: e.Failure, planned: dict[str, object], granted: int) -> None:
    """Three times by default and for transient failures only; a written number covers all but the permanent ones."""
    given_retries = 0
    while True:
        event, state = _failed(failure, retry=given_retries, **planned)
        answer = list(Retry()(event, state))
        if not answer:
            break
        given_retries += 1
        assert (answer[0].retry, answer[0].retries) == (given_retries, granted)  # type: ignore[attr-defined]
    assert given_retries == granted


@given(retry=st.integers(0, 20), delay=st.floats(0.001, 1000))
def test_a_retry_waits_at_most_its_doubled_delay(retry: int, delay: float) -> None:
    """Full jitter between nothing and the back-off, never beyond the longest."""
    event, state = _failed(_failure("ConnectionError"), retry=retry, retries=99, retry_delay=delay)
    (scheduled,) = Retry()(event, state)
    assert isinstance(scheduled, e.RetryScheduled)
    assert 0 <= scheduled.due - event.at <= min(delay * 2**retry, LONGEST_DELAY)


def test_the_same_facts_give_the_same_answer() -> None:
    """The draw is seeded by run, command and attempt: a replay decides the same, and commands do not retry in step."""
    event, state = _failed(_failure("ConnectionError"))
    assert list(Retry()(event, state)) == list(Retry()(event, state))
    dues = set()
    for attempt in range(4):
        event, state = _failed(_failure("ConnectionError"), retry=attempt, retries=9, retry_delay=100.0)
        dues.add(next(iter(Retry()(event, state))).due)  # type: ignore[attr-defined]
    assert len(dues) == 4
