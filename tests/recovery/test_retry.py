"""Retries: what is tried again, how often, how soon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.engine.simulation import Outcome
from orchestrator_nb.engine.simulator import simulate
from orchestrator_nb.orchestrator.policies import POLICIES
from orchestrator_nb.recovery.causes import is_permanent, is_transient
from orchestrator_nb.recovery.classification import classified
from orchestrator_nb.recovery.retry import LEAST_BUDGET, LONGEST_DELAY, Retry
from orchestrator_nb.recovery.taxonomy import cause_of
from orchestrator_nb.state.breaker import FIRST_REST
from orchestrator_nb.state.records import CauseRecord
from orchestrator_nb.state.run_state import RunState, fold


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


# ── many failures by one cause ──────────────────────────────────────────────────────────────────────────────────


def _simulated(
    commands: dict[str, dict[str, object]], failure: e.Failure, *, failing: int, slots: int = 100
) -> tuple[str, list[e.Event]]:
    outcomes = {name: [Outcome(seconds=0.1, failure=failure)] * failing for name in commands}
    run = simulate(e.RunPlanned(at=0.0, commands=commands), slots=slots, outcomes=outcomes, policies=POLICIES)
    return run.state, list(run.events)


def test_a_dead_service_is_left_alone_and_tried_by_one() -> None:
    """After a few failures by one cause nobody tries for a while; then the first comes alone, and the rest is put off
    when it fails: a hundred commands do not hammer it, and none of them has lost its retries by that."""
    refused = _failure("ConnectionRefusedError", "ConnectionError", message="http://service:80/ refused")
    commands: dict[str, dict[str, object]] = {f"c{number}": {"seconds": 0.1} for number in range(100)}
    state, events = _simulated(commands, refused, failing=2)
    assert state == "completed"
    tried = [event.at for event in events if isinstance(event, e.AttemptStarted) and event.attempt > 1]
    assert min(tried) >= FIRST_REST
    rests = [at for at in tried if at < 2 * FIRST_REST]
    assert len(rests) < 100
    put_off = [event for event in events if isinstance(event, e.RetryScheduled) and event.reason.startswith("put off")]
    assert put_off


def test_writers_that_collided_take_turns() -> None:
    """Those that failed for a locked database are tried again one at a time."""
    locked = _failure("sqlite3.OperationalError", message="database is locked")
    commands: dict[str, dict[str, object]] = {f"c{number}": {"seconds": 1.0} for number in range(4)}
    state, events = _simulated(commands, locked, failing=1)
    assert state == "completed"
    running: set[str] = set()
    for event in events:
        if isinstance(event, e.AttemptStarted) and event.attempt > 1:
            running.add(event.command)
            assert len(running) == 1
        elif isinstance(event, (e.AttemptReturned, e.AttemptFailed)):
            running.discard(event.command)


def test_a_run_has_a_budget_of_retries() -> None:
    """What comes beyond it is given up at once."""
    commands: dict[str, dict[str, object]] = {f"c{number}": {"retries": 9} for number in range(30)}
    state, events = _simulated(commands, _failure("ValueError"), failing=9)
    assert state == "failed"
    assert sum(isinstance(event, e.RetryScheduled) for event in events) == max(LEAST_BUDGET, 2 * len(commands))


def test_a_critical_error_is_not_tried_again() -> None:
    """Unless it is known to pass by itself."""
    gate = _failure(kind="gate", message='the gate "security scan" failed')
    event, state = _failed(gate, retries=3)
    assert list(Retry()(event, state)) == []


def test_retries_go_on_no_longer_than_the_first_level_lasts() -> None:
    """Then a person is asked, though there would be retries left."""
    passing = _failure("ConnectionError")
    event, state = _failed(passing, retries=9, retry_delay=1e6, escalation={"automatic": 0.5})
    assert list(Retry()(event, state)) == []


def test_a_delay_does_not_grow_while_the_same_comes_right_with_others() -> None:
    """It doubles with the failures by that cause since one of them was mended, not with those long before."""
    passing = _failure("ConnectionError")
    event, state = _failed(passing, retry=5, retries=9, retry_delay=1.0)
    cause = cause_of(passing, classified("a", passing, state))
    (alone,) = Retry()(event, state)
    state.causes = {cause: CauseRecord(failures=1, mended=3, commands=("a",))}
    (beside,) = Retry()(event, state)
    assert isinstance(alone, e.RetryScheduled)
    assert isinstance(beside, e.RetryScheduled)
    assert (alone.due - event.at) / 2**5 == pytest.approx((beside.due - event.at) / 2)
