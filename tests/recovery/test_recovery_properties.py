"""Under any sequence of faults, answers, escalations and deaths a run ends or waits for people, and nothing is lost."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.replay import replay
from orchestrator_nb.engine.requests import Decide, Escalate
from orchestrator_nb.engine.resume import lost_attempts, missing_parts
from orchestrator_nb.engine.simulation import Outcome
from orchestrator_nb.engine.simulator import VirtualExecutor, make_scheduler
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.orchestrator.policies import POLICIES
from orchestrator_nb.ports import Step
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.transitions import DONE, ENDED, FINAL

FAILURES = (
    e.Failure(kind="exception", message="http://s:1/ reset", types=("ConnectionResetError", "ConnectionError")),
    e.Failure(kind="exception", message="database is locked", types=("sqlite3.OperationalError",)),
    e.Failure(kind="exception", message="broken", types=("ValueError",)),
    e.Failure(kind="exception", message="no module", types=("ModuleNotFoundError", "ImportError")),
    e.Failure(kind="gate", message='the gate "security scan" failed', transient=False),
    e.Failure(kind="timeout", message="too long"),
    e.Failure(kind="exception", message="[Errno 28] No space left on device", types=("OSError",)),
)
ANSWERS = ("retry", "skip", "fail", "done", "go on")
NAMES = ("a", "b", "c", "d", "spare")


@st.composite
def plans(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Four commands that may ask people, have a reduced form, a fallback, or be optional; and the fallback."""
    plan: dict[str, dict[str, Any]] = {}
    for name in NAMES[:-1]:
        item: dict[str, Any] = {"upstream": [other for other in plan if draw(st.integers(0, 2)) == 0]}
        if draw(st.booleans()):
            default = draw(st.sampled_from((None, "retry", "skip", "fail")))
            item["escalation"] = {"guided": 5.0, "manual": 5.0, "default": default}
        for key, value in (("degraded", {"x": 1}), ("fallback", "spare"), ("optional", True), ("retries", 1)):
            if draw(st.integers(0, 3)) == 0:
                item[key] = value
        plan[name] = item
    # What it comes after may fail, be on its way, or be the very command that it stands by for.
    plan["spare"] = {"standby": True, "upstream": [other for other in plan if draw(st.integers(0, 4)) == 0]}
    return plan


class Wanting(VirtualExecutor):
    """A virtual executor on a machine whose disk is full at every other look."""

    looks = 0

    def carry_out(self, step: Step) -> None:
        self.looks += 1
        assert step.command is not None
        assert step.attempt is not None
        disk = {"/": 0} if self.looks % 2 else {}
        self._report(e.ResourcesProbed(at=self.now, command=step.command, attempt=step.attempt, disk=disk))


class Story:
    """A run on a virtual clock, its owner mortal."""

    def __init__(self, plan: dict[str, dict[str, Any]], faults: dict[str, list[int]], decide: str) -> None:
        self.plan, self.decide = plan, decide
        outcomes = {name: [Outcome(failure=FAILURES[place]) for place in places] for name, places in faults.items()}
        self.executor = Wanting(dict.fromkeys(NAMES, 1.0), outcomes)
        self.outcomes = outcomes
        self.journal = JournalInMemory()
        self.asked = 0
        started = e.RunStarted(at=0.0, run="r", workflow="w", slots=2, decide=decide)
        self.open([started, e.RunPlanned(at=0.0, commands=plan)])

    def open(self, facts: list[e.Event]) -> None:
        now, self.executor = self.executor.now, Wanting(dict.fromkeys(NAMES, 1.0), self.outcomes)
        self.executor.now = now
        self.loop = Loop(
            state=fold(self.journal.read()),
            scheduler=make_scheduler(self.plan, slots=2),
            policies=POLICIES,
            journal=self.journal,
            executor=self.executor,
            make_work=VirtualExecutor.work,
            clock=self.executor.clock,
        )
        self.loop.begin(facts)

    def die(self) -> None:
        """The owner dies or has left, and another one goes on."""
        state, now = fold(self.journal.read()), self.executor.now
        if state.run.state not in ENDED:
            lost, missing = lost_attempts(state, now), missing_parts(state, now)
            self.open([e.RunResumed(at=now, owner={"pid": 1}, slots=2, decide=self.decide), *lost, *missing])

    def step(self) -> bool:
        """Let the next thing happen that is due by itself; False where nothing is."""
        due, end = self.loop.next_due(), self.executor.next_end()
        if self.loop.is_over or (due is None and end is None):
            return False
        if end is not None and (due is None or end <= due):
            self.executor.end_next()
        else:
            assert due is not None
            self.executor.now = max(self.executor.now, due)
            self.loop.take_due()
        return True

    def hear(self, what: str, short: bool = True) -> None:
        """A fact about the machine or the time comes in."""
        now = self.executor.now
        if not self.loop.is_over:
            self.loop.report(
                e.MemoryProbed(at=now, available=1, total=9, short=short)
                if what == "memory"
                else e.DeadlineNear(at=now, deadline=now + 10.0)
            )

    def send(self, request: Any) -> None:
        if not self.loop.is_over:
            self.loop.send(request)
            self.loop.take_due()

    def check(self) -> RunState:
        assert self.loop.error is None, self.loop.error
        state = fold(self.journal.read())
        assert state.__dict__ == self.loop.published.__dict__
        for decision in state.open_decisions():
            assert decision.command is None or state.commands[decision.command].state not in FINAL
        return state


STEPS = st.lists(
    st.one_of(
        st.just(("step",)),
        st.just(("step",)),
        st.just(("die",)),
        st.tuples(st.just("memory"), st.booleans()),
        st.just(("deadline",)),
        st.tuples(st.just("escalate"), st.sampled_from(NAMES)),
        st.tuples(st.just("decide"), st.integers(1, 6), st.sampled_from(ANSWERS)),
    ),
    max_size=30,
)


@settings(max_examples=150)
@given(
    plan=plans(),
    faults=st.dictionaries(st.sampled_from(NAMES), st.lists(st.integers(0, 6), max_size=6)),
    decide=st.sampled_from(("wait", "now", "park")),
    steps=STEPS,
)
def test_a_run_ends_or_waits_for_people(
    plan: dict[str, dict[str, Any]], faults: dict[str, list[int]], decide: str, steps: list[tuple[Any, ...]]
) -> None:
    """Whatever comes: no command runs after its success, none is lost, and a replay decides the same."""
    story = Story(plan, faults, decide)
    for what, *how in steps:
        if what == "step":
            story.step()
        elif what == "die":
            story.die()
        elif what == "escalate":
            story.send(Escalate(command=how[0], reason="odd"))
        elif what in ("memory", "deadline"):
            story.hear(what, *how)
        else:
            story.send(Decide(number=how[0], answer=how[1]))
        story.check()
    for _ in range(400):
        if not story.step():
            break
    state = story.check()
    if state.run.state not in ENDED:
        assert (state.run.state, story.loop.is_over) == ("paused", True)
        assert all(decision.default is None for decision in state.open_decisions())
        assert list(state.open_decisions()), "nobody is asked, and nothing goes on"
        assert state.counts.get("running", 0) == 0
    else:
        assert {record.state for record in state.commands.values()} <= FINAL
    _check_history(list(story.journal.read()))
    again = replay(story.journal.read(), policies=POLICIES)
    assert again.same, again.difference


def test_a_fallback_that_waits_for_what_people_decide_keeps_no_run_from_parking() -> None:
    """It looks again and again whether it can run, and that alone goes on: the run parks, and its owner is free."""
    people = {"guided": 5.0, "manual": 5.0, "default": None}
    plan: dict[str, dict[str, Any]] = {
        "a": {"upstream": [], "escalation": people},
        "b": {"upstream": ["a"]},
        "c": {"upstream": [], "fallback": "spare"},
        "spare": {"standby": True, "upstream": ["b"]},
    }
    story = Story(plan, {"a": [2], "c": [2]}, "park")
    while story.step():
        story.check()
    assert (story.loop.published.run.state, story.loop.is_over) == ("paused", True)
    (decision,) = story.check().open_decisions()
    story.open([e.RunResumed(at=story.executor.now, owner={"pid": 2}, slots=2, decide="wait")])
    story.send(Decide(number=decision.number, answer="retry"))
    while story.step():
        story.check()
    assert story.loop.published.run.state == "completed"
    assert story.loop.published.commands["c"].substitute == "spare"


def _check_history(events: list[e.Event]) -> None:
    state = RunState()
    for event in events:
        if isinstance(event, (e.AttemptStarted, e.AttemptTakenOver)):
            assert state.commands[event.command].state not in DONE
        state.apply(event)
