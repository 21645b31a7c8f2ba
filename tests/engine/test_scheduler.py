"""The scheduler: order, slots, bad ends, the end of the run."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.state.run_state import RunState

FAILURE = e.Failure(kind="exception", message="no")


class Run:
    """A state and a scheduler that are fed together, as the loop does it."""

    def __init__(self, upstream: dict[str, list[str]], slots: int = 2) -> None:
        downstream: dict[str, list[str]] = {name: [] for name in upstream}
        for name, before in upstream.items():
            for one in before:
                downstream[one].append(name)
        self.state = RunState()
        self.scheduler = Scheduler(order=list(upstream), upstream=upstream, downstream=downstream, slots=slots)
        self.feed([
            e.RunStarted(at=0.0, run="r", workflow="w"),
            e.RunPlanned(at=0.0, commands={name: {"upstream": before} for name, before in upstream.items()}),
        ])  # fmt: skip

    def feed(self, events: Iterable[e.Event]) -> None:
        for event in events:
            self.state.apply(event)
            if observer := self.scheduler.observers.get(type(event)):
                observer(event)

    def next(self) -> list[e.Event]:
        """Take the scheduler's steps until none follows, and return them."""
        steps = []
        while new := self.scheduler.next(self.state, 1.0):
            self.feed(new)
            steps += new
        return steps

    def starts(self) -> list[str]:
        return [event.command for event in self.next() if isinstance(event, e.AttemptStarted)]

    def succeed(self, command: str) -> None:
        attempt = self.state.commands[command].attempt
        self.feed([
            e.AttemptReturned(at=1.0, command=command, attempt=attempt, seconds=1.0),
            e.CommandSucceeded(at=1.0, command=command, attempt=attempt),
        ])  # fmt: skip

    def fail(self, command: str) -> None:
        attempt = self.state.commands[command].attempt
        self.feed([
            e.AttemptFailed(at=1.0, command=command, attempt=attempt, seconds=1.0, failure=FAILURE),
            e.CommandFailed(at=1.0, command=command),
        ])  # fmt: skip


def test_a_command_starts_as_soon_as_its_own_upstream_is_done() -> None:
    """No level waits for another."""
    run = Run({"a": [], "b": [], "c": ["a"]})
    assert run.starts() == ["a", "b"]
    run.succeed("a")
    assert run.starts() == ["c"]


def test_no_more_run_than_there_are_slots() -> None:
    """Slots bound what is under way, in the order of the plan."""
    run = Run({"a": [], "b": [], "c": []}, slots=1)
    assert run.starts() == ["a"]
    assert run.starts() == []
    run.succeed("a")
    assert run.starts() == ["b"]


def test_a_bad_end_gives_up_all_that_follows_and_nothing_else() -> None:
    """Independent branches go on; what cannot run is said with its cause."""
    run = Run({"a": [], "b": ["a"], "c": ["b"], "d": []})
    run.next()
    run.fail("a")
    given_up = [event for event in run.next() if isinstance(event, e.UpstreamFailed)]
    assert [(event.command, event.upstream) for event in given_up] == [("b", ("a",)), ("c", ("b",))]
    run.succeed("d")
    assert [type(event) for event in run.next()] == [e.RunCompleting]


def test_a_paused_run_starts_nothing_and_goes_on_where_it_was() -> None:
    """Pause holds dispatch; what became ready meanwhile starts at resume."""
    run = Run({"a": [], "b": ["a"]})
    run.next()
    run.feed([e.RunPaused(at=1.0, reason="lunch")])
    run.succeed("a")
    assert run.next() == []
    run.feed([e.RunResumed(at=2.0)])
    assert run.starts() == ["b"]


def test_a_stopped_run_cancels_what_is_left_once_nothing_runs() -> None:
    """Stop waits for what is being ended, then ends the run."""
    run = Run({"a": [], "b": ["a"], "c": []}, slots=1)
    run.next()
    run.feed([e.RunStopping(at=1.0, reason="enough")])
    assert run.next() == []
    run.feed([e.AttemptInterrupted(at=1.0, command="a", attempt=1, reason="enough")])
    assert [type(event).__name__ for event in run.next()] == ["CommandCancelled"] * 3 + ["RunEnded"]
    assert run.state.run.state == "stopped"


def test_an_abandoned_attempt_keeps_its_slot() -> None:
    """A thread that cannot be ended still uses the machine."""
    run = Run({"a": [], "b": []}, slots=1)
    run.next()
    run.feed([
        e.AttemptAbandoned(at=1.0, command="a", attempt=1, seconds=1.0, failure=FAILURE),
        e.CommandFailed(at=1.0, command="a"),
    ])  # fmt: skip
    assert run.starts() == []


def test_a_retry_that_is_due_starts_again() -> None:
    """A waiting command takes no slot until its time has come."""
    run = Run({"a": [], "b": []}, slots=1)
    run.next()
    run.feed([
        e.AttemptFailed(at=1.0, command="a", attempt=1, seconds=1.0, failure=FAILURE),
        e.RetryScheduled(at=1.0, command="a", due=2.0, retry=1, retries=1),
    ])  # fmt: skip
    assert run.starts() == ["b"]
    run.succeed("b")
    run.feed([e.RetryDue(at=2.0, command="a")])
    assert run.starts() == ["a"]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Graphs of up to twelve commands, each after some of those before it."""
    size = draw(st.integers(1, 12))
    return {
        f"c{number}": [f"c{earlier}" for earlier in range(number) if draw(st.integers(0, 3)) == 0]
        for number in range(size)
    }


@given(graphs(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_any_graph_is_run_in_order_whatever_fails(graph: dict[str, list[str]], slots: int, random: object) -> None:
    """Every command comes to an end, none starts before its upstream is done, no more run than there are slots, and
    a scheduler made anew in the middle decides the same as the one that saw everything."""
    run = Run(graph, slots)
    run.next()
    while running := sorted(run.state.running()):
        assert len(running) <= slots
        for name in running:
            assert all(run.state.commands[before].state == "succeeded" for before in graph[name])
        command = random.choice(running)  # type: ignore[attr-defined]
        (run.succeed if random.random() < 0.8 else run.fail)(command)  # type: ignore[attr-defined]
        again = Run(graph, slots)
        again.state = run.state
        expected = again.scheduler.next(run.state, 1.0)
        assert {str(event) for event in run.scheduler.next(run.state, 1.0)} == {str(event) for event in expected}
        run.scheduler.observers[e.RunResumed](e.RunResumed(at=1.0))
        run.next()
    assert run.state.run.state == "completing"
