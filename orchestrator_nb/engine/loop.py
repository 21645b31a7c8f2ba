"""The only writer of a run: take, answer, record, act.

A turn *takes* what came in (facts from executors, requests, the time), *answers* (folds it; policies and the
scheduler answer with more facts, until none follows), *records* all of it in one durable write, and only then *acts*:
publishes the state and hands out work. So nothing is visible or started before it is recorded, and no recorded fact
is without its answers. If recording fails, the outcome is unknown: nothing more is taken or started until the journal
was read again and the turn is in it. Where there is no room for it the run waits, as `held` tells; where it cannot be
recorded at all, what runs is ended, and the truth is what the journal says to whoever resumes the run.

Turns never overlap, but no thread owns them: whoever brings a fact from an executor runs the turn that it needs, unless
one is under way, which then takes it too. So a worker that has finished a command goes on with the next without waking
another thread, which would cost more than all the rest. Requests and the time are taken by the thread that called
`run`: a turn on a thread that people can interrupt could be torn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from heapq import heappop, heappush
from threading import Event as ThreadEvent
from threading import Lock
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.engine.admission import admitted
from orchestrator_nb.engine.endings import ENDINGS
from orchestrator_nb.engine.held import HeldTurn
from orchestrator_nb.engine.requests import Pause, Request, Stop, facts_of
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.engine.steps import Steps
from orchestrator_nb.engine.waiting import Waiting
from orchestrator_nb.errors import StoreError
from orchestrator_nb.ports import Executor, Journal, Observer, Policy, Work
from orchestrator_nb.state.run_state import APPLIED, RunState
from orchestrator_nb.state.transitions import ENDED

MOST_IN_A_TURN = 500
"""How many facts a turn takes at the most, so that a flood of them does not hold back the write."""


LADDER_GRACE = 3.0
"""Seconds between the interrupt and the end of what has not finished in the time that a pause gave it."""

_Answers = tuple[Callable[[Any, RunState], Iterable[e.Event]], ...]
_Handling = tuple[Callable[[RunState, Any], None], Callable[[Any], None] | None, _Answers, _Answers]


class Loop:
    """One run, driven to its end or to where it leaves, by one call of `run`.

    Without it, whoever has a time of their own calls `begin`, `report`, `next_due`, `take_due`, and looks at
    `is_over` and `error`.
    """

    def __init__(
        self,
        *,
        state: RunState,
        scheduler: Scheduler,
        policies: Sequence[Policy],
        journal: Journal,
        executor: Executor,
        make_work: Callable[[str, RunState], Work],
        clock: Callable[[], float],
        observers: Sequence[Observer] = (),
        on_trouble: Callable[[str], None] | None = None,
    ) -> None:
        """`on_trouble` is told, in words, of what cannot be recorded while it cannot."""
        self._state = state
        self._scheduler = scheduler
        self._journal = journal
        self._executor = executor
        self._make_work = make_work
        self._clock = clock
        self._observers = observers
        self._on_trouble = on_trouble
        self._held: HeldTurn | None = None
        self._incoming: deque[e.Event | Request] = deque()
        self._turns_lock = Lock()
        self._wake = ThreadEvent()
        self._waiting = Waiting()
        self._grace = 10.0
        self._steps = Steps(executor, make_work)
        self._ends_at: float | None = None
        self._ended = False
        self._timed: list[tuple[float, int, Request]] = []
        self._policies = (*policies, *ENDINGS)
        self._handling = self._handling_by(scheduler)
        self.published = state.copy()
        """The state as of the last durable turn: what everyone but the loop looks at."""
        self.is_over = False
        """True when the run has ended or is left, or a turn broke off."""
        self.error: BaseException | None = None
        """What broke a turn off; `run` raises it."""

    def run(self, beginning: Iterable[e.Event]) -> None:
        """Drive the run from these first facts until it has ended or is left.

        Raises StoreError when recording failed; what runs has been asked to end by then.
        """
        self.begin(beginning)
        self.go_on()

    def go_on(self) -> None:
        """Drive a run that has begun, as `run` does."""
        while not self.is_over:
            due = self.next_due()
            self._wake.wait(None if due is None else max(0.0, due - self._clock()))
            self._wake.clear()
            self.take_due()
        with self._turns_lock:  # the last turn may still be at work on another thread
            if self.error is not None:
                raise self.error

    def begin(self, beginning: Iterable[e.Event]) -> None:
        """Take the first facts, however many there are in one turn, since what is in the middle of them is no state that
        anything could follow from; the executor may report from now on."""
        self._executor.start(self.report)
        self._waiting.begin(self._state, self._clock())
        with self._turns_lock:
            self._turns(list(beginning))
        self._catch_up()

    def send(self, request: Request) -> None:
        """Hand in a request, from any thread; it is taken by the thread that runs the loop."""
        self._incoming.append(request)
        self._wake.set()

    def send_at(self, at: float, request: Request) -> None:
        """Let a request come in at this time, by the clock; to be called before the loop runs."""
        heappush(self._timed, (at, len(self._timed), request))

    def report(self, *facts: e.Event) -> None:
        """Hand in facts, from a thread of an executor, and run the turn that they need if no other thread is at it."""
        self._incoming.extend(facts)
        self._catch_up()

    def take_due(self) -> None:
        """Run the turns that there is something for: facts, requests, retries and decisions whose time has come."""
        with self._turns_lock:
            self._turns()
        self._catch_up()

    def next_due(self) -> float | None:
        """Return when anything that is waited for is due, by the clock; None when nothing is."""
        if self._held is not None:
            return self._held.again
        timed = self._timed[0][0] if self._timed else None
        times = [at for at in (self._waiting.next(), timed, self._ends_at) if at is not None]
        return min(times, default=None)

    def _catch_up(self) -> None:
        """Run the turns for what has come in, unless another thread is at it.

        Everyone who has held the lock has to look again after letting it go: what came in meanwhile found it taken
        and went away.
        """
        while self._incoming and self._held is None and not self.is_over and self._turns_lock.acquire(blocking=False):
            try:
                self._turns()
            finally:
                self._turns_lock.release()

    # ── deciding once more, for a replay ────────────────────────────────────────────────────────────────────────

    def schedule_by(self, scheduler: Scheduler) -> None:
        """Let another scheduler say what comes next, as it is when a run gets a new owner."""
        self._scheduler = scheduler
        self._handling = self._handling_by(scheduler)

    def decide(self, fact: e.Event) -> list[e.Event]:
        """Fold a fact and all that follows from it, and return both; nothing is recorded or started."""
        decided: list[e.Event] = []
        self._fold(fact, decided)
        return decided

    def decide_at(self, now: float) -> list[e.Event]:
        """Fold and return the scheduler's next steps, each with what follows from it; nothing is recorded or started."""
        decided: list[e.Event] = []
        for step in self._scheduler.next(self._state, now):
            self._fold(step, decided)
        return decided

    # ── take ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _turns(self, first: Sequence[e.Event] = ()) -> None:
        """Run a turn with these facts, then others until nothing is left to take; what breaks one off is raised by
        `run`."""
        try:
            if first:
                self._turn(first)
            while not self.is_over and (self._held is None or self._record_held()):
                if not (self._incoming or self._waiting.due or self._timed or self._ends_at is not None):
                    break
                taken = self._take()
                if not taken:
                    break
                self._turn(taken)
            if self._state.run.leaving and not self.is_over and self._held is None:
                self.is_over = self._is_left()
        except BaseException as error:  # noqa: BLE001 - kept for the thread that waits for it
            self.error = error
            self.is_over = True
            self._end_running("cancelled", 0.0)
        if self.is_over:
            self._wake.set()

    def _take(self) -> list[e.Event | Request]:
        """Return what came in, with what is due by now."""
        incoming = self._incoming
        taken: list[e.Event | Request] = []
        while incoming and len(taken) < MOST_IN_A_TURN:
            taken.append(incoming.popleft())
        if self._ends_at is not None and self._clock() >= self._ends_at:
            self._ends_at, self._ended = None, True
            self._end_running("cancelled", min(self._grace, LADDER_GRACE))
        while self._timed and self._timed[0][0] <= self._clock():
            taken.append(heappop(self._timed)[2])
        if self._waiting.due:
            taken += self._waiting.take(self._state, self._clock())
        return taken

    # ── answer ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self, taken: Iterable[e.Event | Request]) -> None:
        turn = self._answer(taken)
        if turn:
            try:
                self._journal.append(turn)
            except StoreError as error:
                self._held = HeldTurn(turn, error, now=self._clock())
            else:
                self._recorded(turn)

    def _recorded(self, turn: list[e.Event]) -> None:
        self._act(turn)
        run = self._state.run
        self.is_over = run.state in ENDED or (run.leaving and self._is_left())

    def _is_left(self) -> bool:
        """Whether nothing has to be waited for in a run that is being left: what has returned, and had its time for the
        steps that are due, has these done by whoever goes on with the run."""
        state = self._state
        if state.run.moment == "rollback" and "" in state.due:
            return False
        if not state.counts.get("running", 0):
            return True
        return self._ended and all(state.commands[name].returned for name in state.running())

    def _record_held(self) -> bool:
        """Record the turn that could not be recorded before, if there is one; False while it still cannot be.

        Raises StoreError when it is given up.
        """
        held, now = self._held, self._clock()
        if held is None:
            return True
        asked = [*self._incoming, *(request for at, _, request in self._timed if at <= now)]
        leaving = held.is_left_by(self._state, asked)
        if now < held.again and not leaving:
            return False
        try:
            if not self._journal.recover():
                self._journal.append(held.turn)
        except StoreError as error:
            held.failed(error, now=now)
            if leaving or held.is_given_up(self.published, asked, now=now):
                raise held.given_up(asked) from error
            if self._on_trouble is not None and held.is_news():
                Context().run(self._on_trouble, held.trouble())  # or it would be taken for what a command prints
            self._wake.set()  # whoever waits for the next thing that is due has to wait for this one
            return False
        self._held = None
        self._incoming.appendleft(held.notice(now))
        self._recorded(held.turn)
        return not self.is_over

    def _answer(self, taken: Iterable[e.Event | Request]) -> list[e.Event]:
        """Fold what came in and all that follows from it; return everything in order."""
        turn: list[e.Event] = []
        state = self._state
        for item in taken:
            for event in admitted(item, state) if isinstance(item, e.Event) else self._facts_of(item):
                self._fold(event, turn)
        while steps := self._scheduler.next(state, self._clock()):
            for step in steps:
                self._fold(step, turn)
            if type(steps[-1]) is e.AttemptStarted:
                break  # nothing follows from a start
        return turn

    def _fold(self, event: e.Event, turn: list[e.Event]) -> None:
        """Apply an event and the answers to it, and the answers to those, and add them to the turn."""
        state, handling = self._state, self._handling
        unanswered = [event]
        for fact in unanswered:  # which grows by the answers
            apply, observe, deciding, adding = handling[type(fact)]
            apply(state, fact)
            if observe is not None:
                observe(fact)
            if deciding:  # most have neither, and to begin with a loop costs more than to ask
                for answer in deciding:
                    if decision := tuple(answer(fact, state)):
                        unanswered += decision
                        break
            if adding:
                for answer in adding:
                    unanswered += answer(fact, state)
        turn += unanswered

    def _handling_by(self, scheduler: Scheduler) -> dict[type[e.Event], _Handling]:
        """Return what is done with the events of each kind: what applies them, where the scheduler takes them in, and
        the policies that answer them, first those of which one decides."""
        return {
            kind: (
                apply,
                scheduler.observers.get(kind),
                # Their methods: to call an object of a class with `__call__` takes longer.
                tuple(policy.__call__ for policy in self._policies if kind in policy.kinds and kind in policy.decides),
                tuple(
                    policy.__call__ for policy in self._policies if kind in policy.kinds and kind not in policy.decides
                ),
            )
            for kind, apply in APPLIED.items()
        }

    def _facts_of(self, request: Request) -> list[e.Event]:
        """Return what a request comes to in this state; nothing when it has no meaning any more."""
        facts = facts_of(request, self._state, self._clock())
        if isinstance(request, Pause | Stop) and any(isinstance(fact, e.RunPaused | e.RunStopping) for fact in facts):
            self._grace = request.grace
        return facts

    # ── act ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _act(self, turn: list[e.Event]) -> None:
        """Let the recorded turn take effect."""
        self._state.publish(self.published, turn)
        for event in turn:
            if type(event) in _ACTS:
                _ACTS[type(event)](self, event)
        if self._state.due or self._steps.handed:
            self._steps.hand_out(self._state)
        for observer in self._observers:
            try:  # noqa: SIM105 - `suppress` costs more than all that a turn publishes
                observer(turn, self.published)
            except Exception:  # noqa: BLE001, S110 - a view that fails must not fail the run
                pass

    def _start(self, event: e.AttemptStarted) -> None:
        self._executor.submit(self._make_work(event.command, self._state))

    def _wait_for_retry(self, event: e.RetryScheduled) -> None:
        self._waiting.retry(event)
        self._wake.set()

    def _wait_for_decision(self, event: e.DecisionRequested) -> None:
        self._waiting.decision(event)
        self._wake.set()

    def _let_go(self, event: e.AttemptFailed) -> None:
        if event.failure.stage == "reported":  # somebody says that it has failed: it may not know of that itself
            self._executor.end(event.command, event.attempt, "cancelled", 0.0)

    def _pause(self, event: e.RunPaused) -> None:
        if event.leaving:
            self._ends_at = self._clock() + self._grace
            self._wake.set()
        else:
            self._go_on(event)

    def _go_on(self, event: e.Event) -> None:  # noqa: ARG002 - as all of these
        self._ends_at, self._ended = None, False

    def _stop(self, event: e.RunStopping) -> None:  # noqa: ARG002 - as all of these
        self._ends_at = None
        self._end_running("cancelled", self._grace)

    def _end_running(self, reason: str, grace: float) -> None:
        for command in list(self._state.running()):
            self._executor.end(command, self._state.commands[command].attempt, reason, grace)


_ACTS: dict[type[e.Event], Callable[[Loop, Any], None]] = {
    e.AttemptStarted: Loop._start,
    e.RetryScheduled: Loop._wait_for_retry,
    e.DecisionRequested: Loop._wait_for_decision,
    e.AttemptFailed: Loop._let_go,
    e.RunPaused: Loop._pause,
    e.RunResumed: Loop._go_on,
    e.RunStopping: Loop._stop,
}
"""What is done once a fact is recorded; nothing for all others."""
