"""The only writer of a run: take, answer, record, act.

A turn *takes* what came in (facts from executors, requests, the time), *answers* (folds it; policies and the
scheduler answer with more facts, until none follows), *records* all of it in one durable write, and only then *acts*:
publishes the state and hands out work. So nothing is visible or started before it is recorded, and no recorded fact
is without its answers. If recording fails, the outcome is unknown: nothing more is started, what runs is ended, and
the truth is what the journal says when it is read again.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from heapq import heappop, heappush

from orchestrator_nb import events as e
from orchestrator_nb.engine.endings import ENDINGS
from orchestrator_nb.engine.requests import Pause, Request, Resume, Stop
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.ports import Executor, Journal, Observer, Policy, Work
from orchestrator_nb.state import RunState
from orchestrator_nb.transitions import ENDED

MOST_IN_A_TURN = 500
"""How many facts a turn takes at the most, so that a flood of them does not hold back the write."""


class Loop:
    """One run, driven to its end or to where it leaves. `run` is called once, on the thread that owns the journal."""

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
    ) -> None:
        self._state = state
        self._scheduler = scheduler
        self._journal = journal
        self._executor = executor
        self._make_work = make_work
        self._clock = clock
        self._observers = observers
        self._incoming: queue.SimpleQueue[e.Event | Request] = queue.SimpleQueue()
        self._due: list[tuple[float, str]] = []
        self._grace = 10.0
        self._deciding: dict[type[e.Event], list[Policy]] = {}
        self._adding: dict[type[e.Event], list[Policy]] = {}
        for policy in (*policies, *ENDINGS):
            for kind in policy.kinds:
                table = self._deciding if kind in policy.decides else self._adding
                table.setdefault(kind, []).append(policy)
        self.published = state.copy()
        """The state as of the last durable turn: what everyone but the loop looks at."""

    def send(self, item: e.Event | Request) -> None:
        """Hand in a fact or a request; from any thread, returns at once."""
        self._incoming.put(item)

    def run(self, beginning: Iterable[e.Event]) -> None:
        """Drive the run from these first facts until it has ended or is left.

        Raises StoreError when recording failed; what runs has been asked to end by then.
        """
        self._executor.start(self.send)
        try:
            self._remember_retries()
            self._turn(beginning)
            while not self._is_over():
                self._turn(self._take())
        except BaseException:
            self._end_running("cancelled", 0.0)
            raise

    # ── take ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self) -> list[e.Event | Request]:
        """Wait for something to happen and return it, with the retries whose time has come."""
        taken: list[e.Event | Request] = []
        try:
            taken.append(self._incoming.get(timeout=self._until_due()))
            while len(taken) < MOST_IN_A_TURN:
                taken.append(self._incoming.get_nowait())
        except queue.Empty:
            pass
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            due, command = heappop(self._due)
            record = self._state.commands[command]
            if record.state == "waiting" and record.due == due:
                taken.append(e.RetryDue(at=now, command=command))
        return taken

    def _until_due(self) -> float | None:
        """Return the seconds until the next retry is due; None when nothing waits for a time."""
        return max(0.0, self._due[0][0] - self._clock()) if self._due else None

    # ── answer ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self, taken: Iterable[e.Event | Request]) -> None:
        turn = self._answer(taken)
        if turn:
            self._journal.append(turn)
            self._act(turn)

    def _answer(self, taken: Iterable[e.Event | Request]) -> list[e.Event]:
        """Fold what came in and all that follows from it; return everything in order."""
        turn: list[e.Event] = []
        for item in taken:
            for event in self._admit(item) if isinstance(item, e.Event) else self._facts_of(item):
                self._fold(event, turn)
        while steps := self._scheduler.next(self._state, self._clock()):
            for step in steps:
                self._fold(step, turn)
        return turn

    def _fold(self, event: e.Event, turn: list[e.Event]) -> None:
        """Apply an event and the answers to it, and the answers to those, and add them to the turn."""
        unanswered = deque((event,))
        while unanswered:
            event = unanswered.popleft()
            self._state.apply(event)
            self._scheduler.observe(event)
            turn.append(event)
            kind = type(event)
            for policy in self._deciding.get(kind, ()):
                if decision := tuple(policy(event, self._state)):
                    unanswered.extend(decision)
                    break
            for policy in self._adding.get(kind, ()):
                unanswered.extend(policy(event, self._state))

    def _admit(self, fact: e.Event) -> tuple[e.Event, ...]:
        """Return what a fact from outside means here: late news of an attempt that is over means nothing."""
        attempt = getattr(fact, "attempt", None)
        if attempt is None:
            return (fact,)
        record = self._state.commands.get(fact.command)  # type: ignore[attr-defined]
        if record is None or record.attempt != attempt or record.state != "running" or record.returned:
            return ()
        if isinstance(fact, (e.AttemptFailed, e.AttemptAbandoned)) and fact.failure.kind == "cancelled":
            reason = self._state.run.reason or fact.failure.message
            return (e.AttemptInterrupted(at=fact.at, command=fact.command, attempt=attempt, reason=reason),)
        return (fact,)

    def _facts_of(self, request: Request) -> list[e.Event]:
        """Return what a request comes to in this state; nothing when it has no meaning any more."""
        now, run = self._clock(), self._state.run.state
        if isinstance(request, Pause) and run in ("executing", "paused"):
            self._grace = request.grace
            return [e.RunPaused(at=now, reason=request.reason, leaving=request.leaving)]
        if isinstance(request, Resume) and run == "paused":
            return [e.RunResumed(at=now, reason=request.reason)]
        if isinstance(request, Stop) and run in ("executing", "paused", "stopping"):
            self._grace = request.grace
            return [e.RunStopping(at=now, reason=request.reason)] if run != "stopping" else []
        return []

    # ── act ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _act(self, turn: list[e.Event]) -> None:
        """Let the recorded turn take effect."""
        self._state.publish(self.published, turn)
        for event in turn:
            kind = type(event)
            if kind is e.AttemptStarted:
                self._executor.submit(self._make_work(event.command, self._state))  # type: ignore[attr-defined]
            elif kind is e.RetryScheduled:
                heappush(self._due, (event.due, event.command))  # type: ignore[attr-defined]
            elif kind is e.RunStopping or (kind is e.RunPaused and event.leaving):  # type: ignore[attr-defined]
                self._end_running("cancelled", self._grace)
        for observer in self._observers:
            with suppress(Exception):  # a view that fails must not fail the run
                observer(turn, self.published)

    def _end_running(self, reason: str, grace: float) -> None:
        for command in list(self._state.running()):
            self._executor.end(command, self._state.commands[command].attempt, reason, grace)

    def _remember_retries(self) -> None:
        """Take up the retries that were scheduled before this loop began."""
        for command, record in self._state.commands.items():
            if record.state == "waiting" and record.due is not None:
                heappush(self._due, (record.due, command))

    def _is_over(self) -> bool:
        run = self._state.run
        return run.state in ENDED or (run.leaving and not self._state.counts.get("running", 0))
