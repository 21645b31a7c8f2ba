"""Where the time of a run went: figures worked out by hand."""

from __future__ import annotations

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.state.timing import timing

PLAN = {
    "clean": {},
    "model": {"upstream": ["clean"]},
    "stats": {"upstream": ["clean"]},
    "publish": {"upstream": ["model", "stats"]},
}


def _returned(command: str, at: float, seconds: float, attempt: int = 1) -> list[e.Event]:
    return [
        e.AttemptReturned(
            at=at, command=command, attempt=attempt, seconds=seconds, used=e.Used(cpu=1.0, memory=int(at))
        ),
        e.CommandSucceeded(at=at, command=command, attempt=attempt),
    ]


def _begun(command: str, at: float, attempt: int = 1) -> e.Event:
    return e.AttemptStarted(at=at, command=command, attempt=attempt)


RUN = [
    e.RunStarted(at=100.0, run="r", workflow="w", slots=2, owner={"pid": 1}),
    e.RunPlanned(at=101.0, commands=PLAN),
    _begun("clean", 101.0),
    e.KernelStarted(at=101.0, command="clean", attempt=1, way="plain", seconds=2.0),
    *_returned("clean", 111.0, 9.5),
    _begun("model", 111.0),
    _begun("stats", 112.0),
    e.AttemptFailed(
        at=116.0, command="model", attempt=1, seconds=5.0, failure=e.Failure(kind="exception", message="no")
    ),
    e.RetryScheduled(at=116.0, command="model", due=118.0, retry=1, retries=3),
    e.RetryDue(at=118.0, command="model"),
    _begun("model", 119.0, 2),
    *_returned("stats", 122.0, 10.0),
    *_returned("model", 129.0, 10.0, 2),
    _begun("publish", 129.0),
    *_returned("publish", 133.0, 4.0),
    e.RunCompleting(at=133.0),
    e.RunEnded(at=134.0, state="completed"),
]


def test_the_figures_of_a_run_are_those_worked_out_by_hand() -> None:
    """Wall time, busy time, speed-up, efficiency, idle slots, waits, waste and coordination."""
    found = timing(RUN)
    assert (found.seconds, found.busy, found.slots) == (34.0, 38.5, 2)
    assert found.speed_up == pytest.approx(38.5 / 34)
    assert found.efficiency == pytest.approx(38.5 / 68)
    assert found.idle == pytest.approx(68 - 38.5)
    assert found.waited == pytest.approx(2.0)  # stats a second, the retry of model a second
    assert found.waste == pytest.approx(5.0)
    assert found.coordination == pytest.approx(2.0)  # a second before the first attempt, one after the last
    assert found.overhead == pytest.approx(2 / 34)
    assert (found.cpu, found.peak_memory) == (4.0, 133)


def test_an_attempt_has_its_phases() -> None:
    """The wait, the kernel, the execution, and what handing it out and taking it back cost."""
    clean, _, stats, again, _ = timing(RUN).spans
    assert (clean.kernel, clean.execution, clean.handing, clean.waited) == (2.0, 7.5, 0.5, 0.0)
    assert (stats.waited, again.waited, again.attempt) == (1.0, 1.0, 2)


def test_the_critical_path_goes_through_the_retry() -> None:
    """The chain that decided the end: what each attempt waited for, retries included."""
    path = timing(RUN).critical_path()
    assert [(step.span.command, step.span.attempt, step.why) for step in path] == [
        ("clean", 1, "start"),
        ("model", 1, "upstream"),
        ("model", 2, "retry"),
        ("publish", 1, "upstream"),
    ]


def test_a_command_that_waited_for_a_slot_comes_after_the_one_that_freed_it() -> None:
    """On one slot, independent commands follow each other on the path."""
    found = timing(
        [
            e.RunStarted(at=0.0, run="r", workflow="w", slots=1),
            e.RunPlanned(at=0.0, commands={"a": {}, "b": {}}),
            _begun("a", 0.0),
            *_returned("a", 3.0, 3.0),
            _begun("b", 3.0),
            *_returned("b", 8.0, 5.0),
            e.RunEnded(at=8.0, state="completed"),
        ]
    )
    assert [(step.span.command, step.why) for step in found.critical_path()] == [("a", "start"), ("b", "slot")]
    assert found.efficiency == 1.0


def test_time_in_which_nobody_drove_the_run_does_not_count() -> None:
    """From an owner's death or leaving to the next one's coming nothing is counted, neither as time nor as a wait."""
    found = timing(
        [
            e.RunStarted(at=0.0, run="r", workflow="w", slots=1, owner={"pid": 1}),
            e.RunPlanned(at=0.0, commands={"a": {}}),
            _begun("a", 0.0),
            e.CellStarted(at=4.0, command="a", attempt=1, cell=0, number=1, of=2),
            e.RunResumed(at=1000.0, owner={"pid": 2}),
            e.AttemptInterrupted(at=1000.0, command="a", attempt=1, reason="its owner died", lost=True),
            _begun("a", 1000.0, 2),
            *_returned("a", 1006.0, 6.0, 2),
            e.RunEnded(at=1006.0, state="completed"),
        ]
    )
    assert found.seconds == 10.0
    assert found.pauses == ((4.0, 1000.0),)
    assert [(span.outcome, span.seconds, span.waited) for span in found.spans] == [
        ("interrupted", 4.0, 0.0),
        ("returned", 6.0, 0.0),
    ]
    assert found.waste == 4.0


def test_a_run_under_way_counts_up_to_its_last_fact() -> None:
    """What runs is as long as is known of it, and what has not ended is named."""
    found = timing(RUN[:9])
    assert (found.seconds, found.ended) == (16.0, 116.0)
    assert found.spans[-1].outcome == "running"
    assert found.spans[-1].seconds == 4.0
    assert found.unfinished == {"model", "stats", "publish"}


def test_a_run_without_attempts_has_no_figures_to_divide() -> None:
    """Nothing is divided by nothing."""
    found = timing([e.RunStarted(at=1.0, run="r", workflow="w")])
    assert (found.speed_up, found.efficiency, found.overhead, found.critical_path()) == (None, None, None, ())
    assert found.figures()["critical_path"] == []


def test_a_command_that_was_done_by_hand_is_there_and_has_waited_for_no_slot() -> None:
    """What a person did follows the attempt that failed, takes no time of the machine, and lets the next one begin."""
    found = timing(
        [
            e.RunStarted(at=0.0, run="r", workflow="w", slots=1),
            e.RunPlanned(at=0.0, commands={"a": {}, "b": {"upstream": ["a"]}}),
            _begun("a", 0.0),
            e.AttemptFailed(
                at=3.0, command="a", attempt=1, seconds=3.0, failure=e.Failure(kind="exception", message="no")
            ),
            e.DecisionRequested(at=3.0, command="a", number=1, question="?", options=("done",), level=3),
            e.DecisionMade(at=63.0, command="a", number=1, answer="done"),
            e.AttemptTakenOver(at=63.0, command="a", attempt=2, decision=1),
            *_returned("a", 63.0, 0.0, 2),
            _begun("b", 63.0),
            *_returned("b", 65.0, 2.0),
            e.RunEnded(at=65.0, state="completed"),
        ]
    )
    assert [(span.command, span.attempt, span.outcome) for span in found.spans] == [
        ("a", 1, "failed"),
        ("a", 2, "returned"),
        ("b", 1, "returned"),
    ]
    assert (found.busy, found.waste, found.waited, found.unfinished) == (5.0, 3.0, 0.0, frozenset())
    path = found.critical_path()
    assert [(step.span.command, step.span.attempt) for step in path] == [("a", 1), ("a", 2), ("b", 1)]
