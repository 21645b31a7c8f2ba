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
from orchestrator_nb.engine.resume import lost_attempts
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.ports import Report, Step, Work
from orchestrator_nb.recovery.optional import Optional
from orchestrator_nb.recovery.retry import Retry
from orchestrator_nb.state.run_state import RunState, fold

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

    def carry_out(self, step: Step) -> None:
        """Nothing is missing before a retry."""
        assert step.command is not None
        assert step.attempt is not None
        self.report(e.ResourcesProbed(at=1.0, command=step.command, attempt=step.attempt))

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


def _edited(before: list[e.Event], plan: dict[str, dict[str, object]]) -> Story:
    """Go on with a run whose owner died, with an edited definition."""
    story = Story(plan, state=fold(before))
    lost = lost_attempts(fold(before), 2.0)
    story.beginning = [e.RunResumed(at=2.0, owner={"pid": 2}), *lost, e.RunPlanned(at=2.0, commands=plan)]
    return story


@pytest.mark.parametrize("waiting", [False, True])
def test_a_command_that_was_under_way_may_be_gone_from_the_definition(*, waiting: bool) -> None:
    """Neither what ran when the owner died nor what waited for a retry is missed."""
    before = [*Story({"a": {}, "b": {}}).beginning, e.AttemptStarted(at=1.0, command="b", attempt=1)]
    if waiting:
        before += _failed_and_waits("b")
    story = _edited(before, {"a": {}}).run()
    assert story.executor.submitted == ["a.1"]
    assert story.loop.published.run.state == "completed"


def test_a_retry_waits_for_an_upstream_that_was_added() -> None:
    """Whoever finds the cause in a missing step adds it, and what waits for its retry follows it."""
    before = [*Story({"b": {}}).beginning, e.AttemptStarted(at=1.0, command="b", attempt=1), *_failed_and_waits("b")]
    story = _edited(before, {"a": {}, "c": {"upstream": ["a"]}, "b": {"upstream": ["c"]}}).run()
    assert story.executor.submitted == ["a.1", "c.1", "b.2"]
    assert story.loop.published.run.state == "completed"


def test_a_retry_whose_new_upstream_fails_is_given_up() -> None:
    """It waited for its time while its upstream failed; the run does not wait for ever."""
    before = [*Story({"b": {}}).beginning, e.AttemptStarted(at=1.0, command="b", attempt=1)]
    before += _failed_and_waits("b", due=1010.0)
    story = _edited(before, {"a": {}, "b": {"upstream": ["a"]}})
    story.executor.answers["a"] = fails(types=())
    story.run()
    assert story.loop.published.commands["b"].state == "upstream_failed"
    assert story.lines()[-1] == "RunEnded failed"


def _failed_and_waits(command: str, due: float = 3.0) -> list[e.Event]:
    failure = e.Failure(kind="exception", message="no")
    return [
        e.AttemptFailed(at=1.0, command=command, attempt=1, seconds=1.0, failure=failure),
        e.RetryScheduled(at=1.0, command=command, due=due, retry=1, retries=3),
    ]


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


def test_a_plain_pause_takes_back_the_end_that_an_interrupt_has_set() -> None:
    """Whoever pauses an interrupted run lets what runs come to its end, and the owner stays."""
    story = Story({"a": {}}, {"a": holds})
    story.loop.begin(story.beginning)
    story.loop.send(Pause(reason="interrupted", leaving=True, grace=5.0))
    story.loop.take_due()
    assert story.loop.next_due() is not None
    story.loop.send(Pause(reason="not so fast"))
    story.loop.take_due()
    assert story.loop.next_due() is None
    assert not story.loop.is_over
    assert story.executor.ended == []


@pytest.mark.parametrize("needs", [{}, {"needs": {"cpu": 1, "gpu": 1}}])
def test_a_thread_that_does_not_heed_an_interrupt_keeps_its_slot(needs: dict[str, object]) -> None:
    """Its command is to run again, but not beside it: the slot is taken for as long as the process lives."""

    class Deaf(AnsweringExecutor):
        def end(self, command: str, attempt: int, reason: str, grace: float) -> None:
            if command == "a":
                failure = e.Failure(kind=reason, message="does not heed")
                self.report(e.AttemptAbandoned(at=1.0, command=command, attempt=attempt, seconds=1.0, failure=failure))

    story = Story({"a": needs, "b": {}}, slots=2)
    story.executor = story.loop._executor = Deaf({"a": holds, "b": holds})
    start, _ = story.beginning
    story.loop.begin([start, e.RunPlanned(at=1.0, commands={"a": needs, "b": {}}, pools={"gpu": 1} if needs else {})])
    story.loop.send(Pause(reason="interrupted", leaving=True, grace=0.0))
    story.loop.take_due()
    story.loop.send(Resume())
    story.loop.take_due()
    assert story.executor.submitted == ["a.1", "b.1"]
    assert story.loop.published.commands["a"].state == "pending"


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
