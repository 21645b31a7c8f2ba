"""The loop: the story of a run, turn by turn, with an executor that answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.requests import Pause, Resume, Stop
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.ports import Report, Work
from orchestrator_nb.recovery.optional import Optional
from orchestrator_nb.recovery.retry import Retry
from orchestrator_nb.state import RunState, fold

Answer = Callable[[Work], Sequence[e.Event]]


class Clock:
    """A time that moves only when it is asked for: a second at each look."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


class AnsweringExecutor:
    """Answers each attempt at once with what the test wants of it; holds back those it was told to hold."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.submitted: list[str] = []
        self.ended: list[tuple[str, str, float]] = []
        self.held = threading.Event()

    def start(self, report: Report) -> None:
        self.report = report

    def submit(self, work: Work) -> None:
        self.submitted.append(f"{work.command}.{work.attempt}")
        for event in self.answers.get(work.command, returns())(work):
            self.report(event)
        self.held.set()

    def end(self, command: str, attempt: int, reason: str, grace: float) -> None:
        self.ended.append((command, reason, grace))
        failure = e.Failure(kind=reason, message=f"was {reason}")
        self.report(e.AttemptFailed(at=1.0, command=command, attempt=attempt, seconds=1.0, failure=failure))

    def close(self) -> None:
        """Nothing is held."""


def returns(value: object = None) -> Answer:
    return lambda work: [
        e.AttemptReturned(
            at=1.0, command=work.command, attempt=work.attempt, seconds=1.0, result=e.Stored(form="json", value=value)
        )
    ]


def fails(times: int = 99, types: tuple[str, ...] = ("builtins.ConnectionError",)) -> Answer:
    failure = e.Failure(kind="exception", message="no", types=types)

    def answer(work: Work) -> Sequence[e.Event]:
        if work.attempt > times:
            return returns()(work)
        return [e.AttemptFailed(at=1.0, command=work.command, attempt=work.attempt, seconds=1.0, failure=failure)]

    return answer


def holds(work: Work) -> Sequence[e.Event]:
    return ()


class Story:
    """A loop over a small graph, and what its journal says in the end."""

    def __init__(
        self,
        commands: dict[str, dict[str, object]],
        answers: dict[str, Answer] | None = None,
        *,
        journal: JournalInMemory | None = None,
        slots: int = 2,
        state: RunState | None = None,
    ) -> None:
        upstream = {name: tuple(item.get("upstream", ())) for name, item in commands.items()}  # type: ignore[call-overload]
        downstream = {name: [other for other in upstream if name in upstream[other]] for name in upstream}
        self.journal = journal or JournalInMemory()
        self.executor = AnsweringExecutor(answers or {})
        self.seen: list[tuple[list[str], str]] = []
        self.loop = Loop(
            state=state or RunState(),
            scheduler=Scheduler(order=list(commands), upstream=upstream, downstream=downstream, slots=slots),
            policies=(Retry(), Optional()),
            journal=self.journal,
            executor=self.executor,
            make_work=self._work,
            clock=Clock(),
            observers=[lambda events, state: self.seen.append(([kind(x) for x in events], state.run.state))],
        )
        self.beginning: list[e.Event] = [
            e.RunStarted(at=1.0, run="r", workflow="w"),
            e.RunPlanned(at=1.0, commands=commands),
        ]

    def _work(self, command: str, state: RunState) -> Work:
        return Work(
            run="r",
            workflow="w",
            command=command,
            attempt=state.commands[command].attempt,
            generation=1,
            definition=CommandDefinition(id=command, call="m:f"),
            folder=Path(),
            run_folder=Path(),
        )

    def run(self) -> Story:
        self.loop.run(self.beginning)
        return self

    def lines(self) -> list[str]:
        return [line(event) for event in self.journal.read()]


def kind(event: e.Event) -> str:
    return type(event).__name__


def line(event: e.Event) -> str:
    words = [
        kind(event),
        getattr(event, "command", ""),
        str(getattr(event, "attempt", "")),
        getattr(event, "state", ""),
    ]
    return " ".join(word for word in words if word)


def test_the_story_of_two_commands() -> None:
    """Each fact and its answers are recorded together, in order."""
    story = Story({"a": {}, "b": {"upstream": ["a"]}}).run()
    assert story.lines() == [
        "RunStarted",
        "RunPlanned",
        "AttemptStarted a 1",
        "AttemptReturned a 1",
        "CommandSucceeded a 1",
        "AttemptStarted b 1",
        "AttemptReturned b 1",
        "CommandSucceeded b 1",
        "RunCompleting",
        "RunEnded completed",
    ]
    assert len(story.seen) == 3


def test_the_fold_of_the_journal_is_the_live_state() -> None:
    """Nothing is known that is not recorded."""
    story = Story({"a": {}, "b": {"upstream": ["a"], "optional": True}}, {"b": fails(types=())}).run()
    assert fold(story.journal.read()).__dict__ == story.loop.published.__dict__


def test_a_resumed_loop_publishes_everything_from_the_start() -> None:
    """Readers of a resumed run see also the commands that nothing happens to any more."""
    story = Story({"a": {}, "b": {"upstream": ["a"]}})
    before = [*story.beginning, e.AttemptStarted(at=1.0, command="a", attempt=1)]
    before += [*returns(5)(story._work("a", fold(before))), e.CommandSucceeded(at=1.0, command="a", attempt=1)]
    again = Story({"a": {}, "b": {"upstream": ["a"]}}, state=fold(before))
    again.beginning = [e.RunResumed(at=2.0)]
    again.run()
    assert {name: record.state for name, record in again.loop.published.commands.items()} == {
        "a": "succeeded",
        "b": "succeeded",
    }
    assert again.executor.submitted == ["b.1"]


def test_a_transient_failure_is_retried_and_the_rest_goes_on() -> None:
    """A waiting retry holds no slot; the default is three retries."""
    story = Story({"a": {}, "b": {}}, {"a": fails(times=2)}, slots=1).run()
    assert story.executor.submitted == ["a.1", "b.1", "a.2", "a.3"]
    assert story.loop.published.run.state == "completed"


def test_retries_run_out() -> None:
    """After the last retry the command is given up, and with it the run."""
    story = Story({"a": {}}, {"a": fails()}).run()
    assert story.executor.submitted == ["a.1", "a.2", "a.3", "a.4"]
    assert story.lines()[-4:] == ["AttemptFailed a 4", "CommandFailed a", "RunCompleting", "RunEnded failed"]


def test_an_ordinary_error_is_not_retried_by_default() -> None:
    """Only what is likely to pass is tried again unasked."""
    story = Story({"a": {}}, {"a": fails(types=("builtins.ValueError",))}).run()
    assert story.executor.submitted == ["a.1"]


def test_retries_that_were_written_cover_ordinary_errors_but_not_permanent_ones() -> None:
    """Whoever writes a number means it, except for what can only fail again."""
    story = Story({"a": {"retries": 2}}, {"a": fails(types=("builtins.ValueError",))}).run()
    assert story.executor.submitted == ["a.1", "a.2", "a.3"]
    story = Story({"a": {"retries": 2}}, {"a": fails(types=("builtins.SyntaxError",))}).run()
    assert story.executor.submitted == ["a.1"]


def test_an_optional_failure_is_a_deviation() -> None:
    """The run completes and says what it lacks."""
    story = Story({"a": {"optional": True}, "b": {}}, {"a": fails(types=())}).run()
    assert story.loop.published.run.state == "completed"
    assert story.loop.published.deviations == {"a": ("optional, and it is failed: no",)}


def test_what_follows_a_failure_is_given_up() -> None:
    """Core commands behind an optional failure fail the run."""
    story = Story({"a": {"optional": True}, "b": {"upstream": ["a"]}}, {"a": fails(types=())}).run()
    assert story.loop.published.commands["b"].state == "upstream_failed"
    assert story.loop.published.run.state == "failed"


def test_late_news_of_an_attempt_that_is_over_means_nothing() -> None:
    """A second answer to one attempt is dropped, whatever it says."""
    story = Story({"a": {}}, {"a": lambda work: [*returns()(work), *fails()(work), *returns()(work)]}).run()
    assert story.lines().count("AttemptReturned a 1") == 1
    assert story.loop.published.run.state == "completed"


def test_an_interrupt_ends_what_runs_and_leaves_the_run_paused() -> None:
    """What was under way will run again; nothing counts as failed."""
    story = Story({"a": {}, "b": {"upstream": ["a"]}}, {"a": holds})
    thread = threading.Thread(target=story.run, daemon=True)
    thread.start()
    assert story.executor.held.wait(10)
    story.loop.send(Pause(reason="interrupted", leaving=True, grace=0.0))
    thread.join(10)
    assert story.executor.ended == [("a", "cancelled", 0.0)]
    assert story.lines()[-2:] == ["RunPaused", "AttemptInterrupted a 1"]
    assert story.loop.published.commands["a"].state == "pending"


def test_what_finishes_in_the_time_that_an_interrupt_leaves_is_done() -> None:
    """Nothing is ended that comes to its end by itself, and the owner leaves as soon as nothing runs."""
    story = Story({"a": {}, "b": {"upstream": ["a"]}}, {"a": holds})
    thread = threading.Thread(target=story.run, daemon=True)
    thread.start()
    assert story.executor.held.wait(10)
    story.loop.send(Pause(reason="interrupted", leaving=True, grace=1e6))
    for event in returns()(story._work("a", story.loop.published)):
        story.loop.report(event)
    thread.join(10)
    assert not thread.is_alive()
    assert story.executor.ended == []
    assert story.lines()[-3:] == ["RunPaused", "AttemptReturned a 1", "CommandSucceeded a 1"]


def test_no_fact_is_left_lying_when_threads_meet() -> None:
    """What comes in while another thread is done with its turn, but has not let go, is taken all the same."""

    class AnswersAside(AnsweringExecutor):
        """Answers the end of an attempt from another thread, at a moment at which the asking one is within a turn."""

        def end(self, command: str, attempt: int, reason: str, grace: float) -> None:
            aside = threading.Thread(target=super().end, args=(command, attempt, reason, grace))
            aside.start()
            aside.join(10)

    story = Story({"a": {}}, {"a": holds})
    story.executor = AnswersAside({"a": holds})
    story.loop._executor = story.executor
    thread = threading.Thread(target=story.run, daemon=True)
    thread.start()
    assert story.executor.held.wait(10)
    story.loop.send(Pause(reason="interrupted", leaving=True, grace=3.0))
    thread.join(10)
    assert not thread.is_alive()
    assert story.lines()[-1] == "AttemptInterrupted a 1"


def test_pause_and_resume_within_the_process() -> None:
    """A pause lets what runs go on to its end and starts nothing; resume goes on."""
    story = Story({"a": {}, "b": {"upstream": ["a"]}}, {"a": holds})
    thread = threading.Thread(target=story.run, daemon=True)
    thread.start()
    assert story.executor.held.wait(10)
    story.loop.send(Pause(reason="lunch"))
    for event in returns()(story._work("a", story.loop.published)):
        story.loop.report(event)
    story.loop.send(Resume())
    thread.join(10)
    assert story.lines()[3:8] == [
        "RunPaused",
        "AttemptReturned a 1",
        "CommandSucceeded a 1",
        "RunResumed",
        "AttemptStarted b 1",
    ]


def test_stop_ends_what_runs_and_cancels_the_rest() -> None:
    """A stopped run has no command left open."""
    story = Story({"a": {}, "b": {"upstream": ["a"]}}, {"a": holds})
    thread = threading.Thread(target=story.run, daemon=True)
    thread.start()
    assert story.executor.held.wait(10)
    story.loop.send(Stop(reason="enough", grace=1.0))
    thread.join(10)
    assert {record.state for record in story.loop.published.commands.values()} == {"cancelled"}
    assert story.lines()[-1] == "RunEnded stopped"


class FailingJournal(JournalInMemory):
    """Accepts a number of turns; then the disk is full."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self.turns = turns

    def append(self, events: Sequence[e.Event]) -> None:
        if not self.turns:
            raise StoreError("no space left")
        self.turns -= 1
        super().append(events)

    def recover(self) -> bool:
        """The turn is not there."""
        return False


def test_nothing_starts_that_could_not_be_recorded() -> None:
    """When recording fails, nothing of the turn is published or handed out, and what runs is ended."""
    story = Story({"a": {}, "b": {"upstream": ["a"]}}, journal=FailingJournal(1))
    with pytest.raises(StoreError, match="no space left"):
        story.run()
    assert story.executor.submitted == ["a.1"]
    assert story.loop.published.commands["a"].state == "running"
    assert len(story.seen) == 1


def test_an_observer_that_fails_does_not_fail_the_run() -> None:
    """A view is a view."""
    story = Story({"a": {}})

    def broken(events: Sequence[e.Event], state: RunState) -> None:
        raise RuntimeError("broken view")

    story.loop._observers = [broken, *story.loop._observers]
    assert story.run().loop.published.run.state == "completed"
