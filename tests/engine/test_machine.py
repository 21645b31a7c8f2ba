"""The engine against a model of a few lines: whatever comes, in whatever order, and whoever dies meanwhile.

The real loop, scheduler and policies run on a clock and an executor that do what the machine says. The model knows
what should be true without knowing how it is done; both are compared after each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator_nb import events as e
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.replay import replay
from orchestrator_nb.engine.requests import Fail, Pause, Request, Resume, Stop, Tell
from orchestrator_nb.engine.resume import lost_attempts, lost_live_results, missing_parts
from orchestrator_nb.engine.simulator import make_scheduler
from orchestrator_nb.errors import JournalDamaged, StoreError
from orchestrator_nb.events.json_form import decode, encode
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.ports import Report, Step, Work
from orchestrator_nb.recovery.optional import Optional
from orchestrator_nb.recovery.retry import Retry
from orchestrator_nb.state.run_state import RunState, fold

POLICIES = (Retry(), Optional())
GOOD = {"succeeded"}
BAD = {"failed", "crashed", "upstream_failed", "cancelled"}
ENDED = {"completed", "failed", "stopped"}
ERRORS = {"passing": "builtins.ConnectionError", "ordinary": "builtins.ValueError", "lasting": "builtins.SyntaxError"}
Plan = dict[str, dict[str, Any]]


# ── the model ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Command:
    """What should be known of a command."""

    state: str = "pending"
    generation: int = 1
    attempt: int = 0
    retry: int = 0
    deaths: int = 0
    due: float | None = None
    live: bool = False
    recorded: dict[str, int] = field(default_factory=dict)
    partial: dict[str, int] = field(default_factory=dict)


class Model:
    """What should be true of a run."""

    def __init__(self, plan: Plan, slots: int) -> None:
        self.plan, self.slots = plan, slots
        self.commands = {name: Command() for name in plan}
        self.run, self.leaving = "executing", False
        self.excused: set[str] = set()
        self.stuck: list[str] = []  # attempts that could not be ended: they hold what they hold
        self.done: set[tuple[str, int]] = set()

    def of(self, *states: str) -> list[str]:
        return [name for name, command in self.commands.items() if command.state in states]

    @property
    def is_over(self) -> bool:
        return self.run in ENDED or (self.run == "paused" and self.leaving and not self.of("running"))

    @property
    def is_ending(self) -> bool:
        return self.run == "stopping" or (self.run == "paused" and self.leaving)

    def upstream(self, name: str) -> list[str]:
        return [self.commands[other].state for other in self.plan[name].get("upstream", ())]

    def ready(self) -> list[str]:
        return [name for name in self.of("pending") if set(self.upstream(name)) <= GOOD]

    def fits(self, name: str, holders: Sequence[str]) -> bool:
        def taken(pool: str) -> int:
            return sum(self.needs(other).get(pool, 0) for other in (*holders, name))

        return all(taken(pool) <= (self.slots if pool == "cpu" else 1) for pool in self.needs(name))

    def needs(self, name: str) -> dict[str, int]:
        return self.plan[name].get("needs", {"cpu": 1}) if name in self.plan else {"cpu": 1}

    def start(self, name: str) -> None:
        command = self.commands[name]
        assert self.run == "executing", f"{name} starts while the run is {self.run}"
        assert name in self.ready(), f"{name} starts while it is {command.state} and its upstream {self.upstream(name)}"
        assert self.fits(name, [*self.of("running"), *self.stuck]), f"there is no room for {name}"
        assert (name, command.generation) not in self.done, f"{name} had succeeded"
        command.state, command.attempt = "running", command.attempt + 1
        command.partial, command.recorded = command.partial | command.recorded, {}

    def returned(self, name: str, *, live: bool) -> None:
        command = self.commands[name]
        command.state, command.live = "succeeded", live
        self.done.add((name, command.generation))

    def failed(self, name: str, error: str, *, crashed: bool = False) -> None:
        command, planned = self.commands[name], self.plan[name]
        unasked = 3 if error == "passing" and planned.get("idempotent", True) else 0
        if command.retry < (0 if error == "lasting" else planned.get("retries", unasked)):
            command.state, command.retry = "waiting", command.retry + 1
        else:
            self.end(name, "crashed" if crashed else "failed")

    def end(self, name: str, state: str) -> None:
        self.commands[name].state, self.commands[name].due = state, None
        if self.plan[name].get("optional") and state != "cancelled":
            self.excused.add(name)

    def settle(self) -> None:
        """Let everything follow that follows by itself, except starts."""
        while self.run in ("executing", "paused") and (doomed := self._doomed()):
            for name in doomed:
                self.end(name, "upstream_failed")
        left = self.of("pending", "running", "waiting")
        if self.run == "executing" and not left:
            self.run = "completed" if set(self.of(*BAD)) <= self.excused else "failed"
        elif self.run == "stopping" and not self.of("running"):
            for name in left:
                self.end(name, "cancelled")
            self.run = "stopped"

    def _doomed(self) -> list[str]:
        return [name for name in self.of("pending") if set(self.upstream(name)) & BAD]

    def resumed(self, plan: Plan, slots: int, now: float) -> None:
        """The owner died or left, and another goes on with this plan."""
        for name in self.of("running"):
            command = self.commands[name]
            command.state, command.deaths = "pending", command.deaths + 1
            if command.deaths >= 3 or not self.plan[name].get("idempotent", True):
                self.end(name, "crashed")
        if self.run in ENDED:
            for name in self.of(*BAD):
                self.reopen(name)
        for name in reversed(list(self.commands)):
            consumers = [c for c in plan if name in plan[c].get("upstream", ()) and c in self.of("pending", "waiting")]
            if consumers and self.commands[name].state == "succeeded" and self.commands[name].live:
                self.reopen(name)
        self.plan, self.slots, self.run, self.leaving, self.stuck = plan, slots, "executing", False, []
        self.commands = {name: self.commands.get(name, Command()) for name in plan}
        self.excused &= set(plan)
        self.pass_time(now)

    def reopen(self, name: str) -> None:
        before = self.commands[name]
        fresh = Command(generation=before.generation + 1, attempt=before.attempt)
        if before.state != "succeeded":
            fresh.partial = before.partial | before.recorded
        self.commands[name] = fresh
        self.excused.discard(name)

    def pass_time(self, now: float) -> None:
        for name in self.of("waiting"):
            due = self.commands[name].due
            if due is not None and due <= now:
                self.commands[name].state, self.commands[name].due = "pending", None


# ── what the engine runs on ─────────────────────────────────────────────────────────────────────────────────────


class FragileJournal(JournalInMemory):
    """A journal in memory whose next write can be made to fail, with the turn recorded or not: for good (`breaks`), or
    so that it can be read again (`stumbles`)."""

    breaks: str | None = None
    stumbles: str | None = None
    recorded = False

    def append(self, events: Sequence[e.Event]) -> None:
        when, self.stumbles = self.breaks or self.stumbles, None
        if when != "before":
            super().append(events)
        self.recorded = when == "after"
        if self.breaks is not None:
            raise JournalDamaged("it does not say what was written to it")
        if when is not None:
            raise StoreError("the write failed")

    def recover(self) -> bool:
        if self.breaks is not None:
            raise JournalDamaged("it does not say what was written to it")
        return self.recorded


class ToldExecutor:
    """An executor whose attempts end when the machine says so."""

    def __init__(self) -> None:
        self.submitted: list[tuple[str, int]] = []
        self.asked_to_end: set[tuple[str, int]] = set()

    def start(self, report: Report) -> None:
        self.report = report

    def carry_out(self, step: Step) -> None:
        """Nothing is missing before a retry."""
        assert step.command is not None
        assert step.attempt is not None
        self.report(e.ResourcesProbed(at=0.0, command=step.command, attempt=step.attempt))

    def submit(self, work: Work) -> None:
        self.submitted.append((work.command, work.attempt))

    def end(self, command: str, attempt: int, reason: str, grace: float) -> None:
        self.asked_to_end.add((command, attempt))

    def close(self) -> None:
        """Nothing is held."""


def work_of(command: str, state: RunState) -> Work:
    record = state.commands[command]
    definition = CommandDefinition(id=command, call="m:f")
    return Work(
        run="r", workflow="w", command=command, attempt=record.attempt, generation=record.generation,
        definition=definition, folder=Path(), run_folder=Path(),
    )  # fmt: skip


@st.composite
def items(draw: st.DrawFn, earlier: Sequence[str], *, pools: bool = True) -> dict[str, Any]:
    """One command of a plan, behind some of those before it."""
    item: dict[str, Any] = {"upstream": [name for name in earlier if draw(st.integers(0, 2)) == 0]}
    for key, value in (("optional", True), ("idempotent", False)):
        if draw(st.integers(0, 3)) == 0:
            item[key] = value
    if draw(st.booleans()):
        item["retries"] = draw(st.integers(0, 2))
    if pools and draw(st.integers(0, 3)) == 0:
        item["needs"] = {"cpu": draw(st.integers(1, 2)), "gpu": 1}
    return item


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan of up to seven commands; every second with a pool besides the slots."""
    plan: Plan = {}
    pools = draw(st.booleans())
    for number in range(draw(st.integers(1, 7))):
        plan[f"c{number}"] = draw(items(list(plan), pools=pools))
    return plan


def planned(plan: Plan, at: float) -> e.RunPlanned:
    pools = {"cpu": 3, "gpu": 1} if any("needs" in item for item in plan.values()) else {}
    return e.RunPlanned(at=at, commands=plan, pools=pools)


# ── the machine ─────────────────────────────────────────────────────────────────────────────────────────────────


class Engine(RuleBasedStateMachine):
    """Facts, requests, the time and deaths, in any order."""

    loop: Loop | None = None
    sound = False

    @initialize(plan=plans(), slots=st.integers(2, 3))
    def opened(self, plan: Plan, slots: int) -> None:
        self.open(plan, slots)

    def open(self, plan: Plan, slots: int) -> None:
        self.now, self.seen, self.requests, self.edits = 1000.0, 0, 0, 0
        self.journal, self.folded = FragileJournal(), RunState()
        self.model = Model(plan, slots)
        self._begin([e.RunStarted(at=self.now, run="r", workflow="w", slots=slots), planned(plan, self.now)])

    def _begin(self, facts: list[e.Event]) -> None:
        """Open a loop over what the journal says, as a new owner does."""
        self.executor, self.reported = ToldExecutor(), set[tuple[str, int]]()
        loop = self.loop = Loop(
            state=fold(self.journal.read()),
            scheduler=make_scheduler(self.model.plan, slots=self.model.slots),
            policies=POLICIES,
            journal=self.journal,
            executor=self.executor,
            make_work=work_of,
            clock=lambda: self.now,
        )
        self._then(lambda: loop.begin(facts), lambda: None)

    def _then(self, happen: Callable[[], None], expect: Callable[[], None]) -> None:
        """Let something happen to the engine and expect it of the model; then both have to agree."""
        loop, self.sound = self.loop, False
        assert loop is not None
        before = deepcopy(self.model) if self.journal.breaks == "before" else self.model
        ending = self.model.is_ending
        submitted, asked = len(self.executor.submitted), set(self.executor.asked_to_end)
        happen()
        if loop.error is not None:
            if self.journal.breaks is None:
                raise loop.error
        if self.journal.breaks == "before" and loop.error is not None:
            self.model = before
            self._die()
            return
        expect()
        self.model.settle()
        started = []
        for event in list(self.journal.read())[self.seen :]:
            self.seen += 1
            self.folded.apply(event)  # each prefix of the journal is a history
            if isinstance(event, e.AttemptStarted):
                self.model.start(event.command)
                started.append((event.command, event.attempt))
            elif isinstance(event, e.RetryScheduled) and self.model.commands[event.command].state == "waiting":
                self.model.commands[event.command].due = event.due
        if loop.error is not None:
            assert self.executor.submitted[submitted:] == [], "it started what it does not know to be recorded"
            self._die()
            return
        assert self.executor.submitted[submitted:] == started
        assert loop.is_over == self.model.is_over
        if loop.is_over:
            self.loop = None
        self._compare(loop.published)
        assert ending or self.model.is_ending or self.executor.asked_to_end <= asked | self.reported, (
            "something is ended that nobody wanted to end"
        )
        self.sound = True

    def _compare(self, state: RunState) -> None:
        model = self.model
        assert state.__dict__ == self.folded.__dict__
        assert state.run.state == model.run
        assert set(state.deviations) == model.excused
        for name, command in model.commands.items():
            record = state.commands[name]
            found = Command(
                record.state, record.generation, record.attempt, record.retry, record.deaths, record.due, command.live,
                {key: stored.value for key, stored in record.recorded.items()},
                {key: stored.value for key, stored in record.partial.items()},
            )  # fmt: skip
            assert found == command, f"{name}: {found}, expected {command}"
        assert set(state.commands) == set(model.commands)
        counts = {state: number for state, number in state.counts.items() if number}
        assert counts == {state: len(model.of(state)) for state in {c.state for c in model.commands.values()}}
        holders = [*model.of("running"), *model.stuck]
        if model.run == "executing" and model.ready():
            assert holders, "nothing runs although something could"
            if not any("needs" in item for item in model.plan.values()):
                assert len(holders) >= model.slots, "a slot is left free"

    def _die(self) -> None:
        self.loop, self.journal.breaks, self.sound = None, None, True
        for event in list(self.journal.read())[self.seen :]:
            self.seen += 1
            self.folded.apply(event)

    def _tell(self, *facts: e.Event) -> None:
        assert self.loop is not None
        for fact in facts:
            self.loop.report(fact)

    def _ask(self, make: Callable[[str], Request], expect: Callable[[], None]) -> None:
        loop, number = self.loop, f"request {self.requests}"
        assert loop is not None
        self.requests += 1

        def happen() -> None:
            loop.send(make(number))
            loop.take_due()

        def expected() -> None:
            self.model.pass_time(self.now)
            expect()

        failing = self.journal.breaks is not None
        self._then(happen, expected)
        answers = [event for event in self.journal.read() if getattr(event, "request", None) == number]
        assert len(answers) == 1 or failing, "a request is answered once"

    # ── attempts ────────────────────────────────────────────────────────────────────────────────────────────────

    def _is_running(self) -> bool:
        return self.loop is not None and bool(self.model.of("running"))

    def _is_driven(self) -> bool:
        return self.loop is not None

    def _under_way(self, data: st.DataObject) -> tuple[str, int]:
        name = data.draw(st.sampled_from(self.model.of("running")))
        return name, self.model.commands[name].attempt

    @precondition(_is_running)
    @rule(data=st.data(), live=st.booleans())
    def returns(self, data: st.DataObject, live: bool) -> None:
        name, attempt = self._under_way(data)
        self._return(name, attempt, live=live)

    def _return(self, name: str, attempt: int, *, live: bool = False) -> None:
        result = e.Stored(form="live", type="Model", name="k") if live else e.Stored(form="json", value=attempt)
        fact = e.AttemptReturned(at=self.now, command=name, attempt=attempt, seconds=1.0, result=result)
        self._then(lambda: self._tell(fact), lambda: self.model.returned(name, live=live))

    @precondition(_is_running)
    @rule(data=st.data(), error=st.sampled_from(sorted(ERRORS)), crashed=st.booleans())
    def fails(self, data: st.DataObject, error: str, crashed: bool) -> None:
        name, attempt = self._under_way(data)
        failure = e.Failure(kind="exception", message="no", types=(ERRORS[error],))
        fact = e.AttemptFailed(
            at=self.now, command=name, attempt=attempt, seconds=1.0, failure=failure, crashed=crashed
        )
        self._then(lambda: self._tell(fact), lambda: self.model.failed(name, error, crashed=crashed))

    @precondition(_is_running)
    @rule(data=st.data(), key=st.sampled_from("ab"), value=st.integers(0, 3))
    def records(self, data: st.DataObject, key: str, value: int) -> None:
        name, attempt = self._under_way(data)
        stored = e.Stored(form="json", value=value)
        fact = e.OutputRecorded(at=self.now, command=name, attempt=attempt, name=key, value=stored)
        self._then(lambda: self._tell(fact), lambda: self.model.commands[name].recorded.update({key: value}))

    @precondition(_is_running)
    @rule(data=st.data())
    def cannot_be_ended(self, data: st.DataObject) -> None:
        """A thread that went past its time does not heed: it is given up, and what it holds stays taken."""
        name, attempt = self._under_way(data)
        failure = e.Failure(kind="timeout", message="too long")
        fact = e.AttemptAbandoned(at=self.now, command=name, attempt=attempt, seconds=1.0, failure=failure)

        def expect() -> None:
            self.model.end(name, "failed")
            self.model.stuck.append(name)

        self._then(lambda: self._tell(fact), expect)

    @precondition(lambda self: self._is_driven() and bool(self.executor.asked_to_end))
    @rule(data=st.data(), heeds=st.booleans())
    def ends_as_asked(self, data: st.DataObject, heeds: bool) -> None:
        """What was asked to end ends; a thread that does not heed is given up, and what it holds stays taken."""
        name, attempt = data.draw(st.sampled_from(sorted(self.executor.asked_to_end)))
        self.executor.asked_to_end.discard((name, attempt))
        failure = e.Failure(kind="cancelled", message="was ended")
        kind = e.AttemptFailed if heeds else e.AttemptAbandoned
        fact = kind(at=self.now, command=name, attempt=attempt, seconds=1.0, failure=failure)

        def expect() -> None:
            command = self.model.commands[name]
            if command.state == "running" and command.attempt == attempt:
                command.state = "pending"
                self.model.stuck += [] if heeds else [name]

        self._then(lambda: self._tell(fact), expect)

    @precondition(lambda self: self._is_driven() and bool(self.executor.submitted))
    @rule(data=st.data())
    def late_news(self, data: st.DataObject) -> None:
        """What an attempt says that is over means nothing."""
        name, attempt = data.draw(st.sampled_from(self.executor.submitted))
        command = self.model.commands[name]
        if command.state == "running" and command.attempt == attempt:
            return
        head = {"at": self.now, "command": name, "attempt": attempt}
        self._then(
            lambda: self._tell(
                e.MetricRecorded(**head, name="late", value=1.0),
                e.AttemptFailed(**head, seconds=1.0, failure=e.Failure(kind="exception", message="late")),
                e.AttemptReturned(**head, seconds=1.0),
            ),
            lambda: None,
        )

    @precondition(_is_driven)
    @rule(seconds=st.sampled_from([0.5, 5.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        assert self.loop is not None
        self.now += seconds
        self._then(self.loop.take_due, lambda: self.model.pass_time(self.now))

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────────

    @precondition(_is_driven)
    @rule(leaving=st.booleans())
    def pause(self, leaving: bool) -> None:
        def expect() -> None:
            if self.model.run in ("executing", "paused"):
                self.model.run, self.model.leaving = "paused", leaving

        self._ask(lambda number: Pause(reason="p", leaving=leaving, grace=10.0, id=number), expect)

    @precondition(_is_driven)
    @rule()
    def resume(self) -> None:
        def expect() -> None:
            if self.model.run == "paused":
                self.model.run, self.model.leaving = "executing", False

        self._ask(lambda number: Resume(id=number), expect)

    @precondition(_is_driven)
    @rule()
    def stop(self) -> None:
        def expect() -> None:
            if self.model.run in ("executing", "paused"):
                self.model.run = "stopping"

        self._ask(lambda number: Stop(reason="s", grace=10.0, id=number), expect)

    @precondition(_is_driven)
    @rule(data=st.data(), error=st.sampled_from(sorted(ERRORS)))
    def somebody_reports_a_failure(self, data: st.DataObject, error: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.plan)))

        def expect() -> None:
            if self.model.commands[name].state == "running":
                self.model.failed(name, error)

        self.reported.add((name, self.model.commands[name].attempt))  # it may go on until it is ended
        self._ask(lambda number: Fail(command=name, message="no", types=(ERRORS[error],), id=number), expect)

    @precondition(_is_driven)
    @rule()
    def tell(self) -> None:
        self._ask(lambda number: Tell(text="hello", id=number), lambda: None)

    # ── deaths ──────────────────────────────────────────────────────────────────────────────────────────────────

    @precondition(_is_driven)
    @rule(recorded=st.booleans())
    def the_next_write_fails(self, recorded: bool) -> None:
        self.journal.breaks = "after" if recorded else "before"

    @precondition(_is_driven)
    @rule(recorded=st.booleans())
    def the_next_write_fails_once(self, recorded: bool) -> None:
        """The journal is read again, and the run goes on as if nothing had been."""
        self.journal.stumbles = "after" if recorded else "before"

    @precondition(_is_driven)
    @rule()
    def owner_dies(self) -> None:
        self._die()

    @precondition(lambda self: not self._is_driven() and not self._is_complete())
    @rule(data=st.data(), edit=st.sampled_from(["", "", "drop", "add", "rewire"]), slots=st.integers(2, 3))
    def somebody_goes_on(self, data: st.DataObject, edit: str, slots: int) -> None:
        """Another owner goes on, perhaps with an edited definition."""
        plan = deepcopy(self.model.plan)
        if edit == "drop" and len(plan) > 1:
            needed = {other for item in plan.values() for other in item["upstream"]}
            plan.pop(data.draw(st.sampled_from(sorted(plan.keys() - needed))))
        elif edit == "add":
            self.edits += 1
            plan = {f"n{self.edits}": data.draw(items([], pools=False)), **plan}
        elif edit == "rewire":
            name = data.draw(st.sampled_from(sorted(plan)))
            if self.model.commands[name].state not in GOOD:
                plan[name]["upstream"] = data.draw(items(list(plan)[: list(plan).index(name)]))["upstream"]
        self._go_on(plan, slots)

    def _go_on(self, plan: Plan, slots: int) -> None:
        state, now = fold(self.journal.read()), self.now
        lost, missing = lost_attempts(state, now), missing_parts(state, now)
        inputs = {name: item["upstream"] for name, item in plan.items() if name in state.commands}
        order = [name for name in plan if name in state.commands]
        live = lost_live_results(state, inputs=inputs, order=order, now=now, before=[*lost, *missing])
        facts = [e.RunResumed(at=now, owner={"pid": 1}, slots=slots), *lost, *missing, *live]
        if plan != self.model.plan:
            facts += [e.DefinitionChanged(at=now, changes=("edited",)), planned(plan, now)]
        self.model.resumed(plan, slots, now)
        self._begin(facts)

    def _is_complete(self) -> bool:
        return self.model.run == "completed" and not self.model.excused

    @precondition(_is_complete)
    @rule(plan=plans(), slots=st.integers(2, 3))
    def the_next_run(self, plan: Plan, slots: int) -> None:
        self.open(plan, slots)

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def nothing_is_lost_in_writing(self) -> None:
        """The journal's text says what the events said."""
        if self.seen:
            event = list(self.journal.read())[-1]
            assert decode(encode(event)) == event

    def teardown(self) -> None:
        """From wherever it is, a run that nothing happens to any more comes to its end, with everything there."""
        if not self.sound:
            return  # what went wrong is told already
        self.journal.breaks = None
        for _ in range(200):
            if self._is_complete():
                break
            if self.loop is None:
                self._go_on(self.model.plan, self.model.slots)
            elif running := self.model.of("running"):
                self._return(running[0], self.model.commands[running[0]].attempt)
            elif self.model.run == "paused":
                self.resume()
            elif self.model.of("waiting"):
                due = self.loop.next_due()
                assert due is not None, "nobody looks after what waits"
                self.time_passes(max(0.0, due - self.now))
            else:
                assert self.model.stuck, "nothing goes on"
                self._die()
        assert self._is_complete(), "it came to no end"
        assert {command.state for command in self.model.commands.values()} == {"succeeded"}
        again = replay(self.journal.read(), policies=POLICIES)
        assert again.same, again.difference


TestEngine = Engine.TestCase
TestEngine.settings = settings(max_examples=100, stateful_step_count=30)
