"""Where the time of a run went, folded from its facts: attempts with their waits, the critical path as it really was,
idle slots, waste.

All figures are seconds. Moments are by the wall clock, durations of attempts by the monotonic one. Time in which nobody
drove the run counts for nothing: from an owner's leaving, or from the last fact before a death, to its going on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator_nb import events as e

CLOSE = 0.005
"""Seconds within which two facts are of the same moment."""

USEFUL = ("returned", "reused")


class Span(Struct, frozen=True, kw_only=True):
    """An attempt in time. `ready` is when it could have started, `seconds` how long it took, `kernel` how much of that
    its kernel needed to start; `outcome` is running, returned, failed, crashed, abandoned, interrupted or reused."""

    command: str
    attempt: int
    ready: float
    started: float
    ended: float
    seconds: float
    outcome: str = "running"
    kernel: float = 0.0
    failure: str = ""
    used: e.Used | None = None

    @property
    def waited(self) -> float:
        """How long it could have started and had not."""
        return max(0.0, self.started - self.ready)

    @property
    def handing(self) -> float:
        """What passed between its start and the record of its end besides itself: handing it out and taking it back."""
        return max(0.0, self.ended - self.started - self.seconds)

    @property
    def execution(self) -> float:
        """How long it took without the start of its kernel."""
        return max(0.0, self.seconds - self.kernel)


class PathStep(Struct, frozen=True, kw_only=True):
    """A step of the critical path: an attempt, and `why` it began no sooner: start, upstream, retry, slot."""

    span: Span
    why: str


class Timing(Struct, frozen=True, kw_only=True):
    """The time of one run. `seconds` are those in which somebody drove it, from `started` to `ended`."""

    run: str = ""
    workflow: str = ""
    started: float = 0.0
    ended: float = 0.0
    seconds: float = 0.0
    slots: int = 1
    spans: tuple[Span, ...] = ()
    upstream: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unfinished: frozenset[str] = frozenset()
    pauses: tuple[tuple[float, float], ...] = ()
    retries: int = 0

    @property
    def busy(self) -> float:
        """The durations of all attempts together."""
        return sum(span.seconds for span in self.spans)

    @property
    def speed_up(self) -> float | None:
        """How much faster it was than its attempts one after the other; None for a run that took no time."""
        return self.busy / self.seconds if self.seconds else None

    @property
    def efficiency(self) -> float | None:
        """The part of its slots' time in which attempts ran, from 0 to 1."""
        return self.busy / (self.seconds * self.slots) if self.seconds else None

    @property
    def idle(self) -> float:
        """Slot-seconds in which no attempt ran."""
        return max(0.0, self.seconds * self.slots - self.busy)

    @property
    def waited(self) -> float:
        """How long attempts could have started and had not, together."""
        return sum(span.waited for span in self.spans)

    @property
    def waste(self) -> float:
        """What attempts cost that came to nothing: failed, crashed, abandoned, interrupted."""
        return sum(span.seconds for span in self.spans if span.outcome not in (*USEFUL, "running"))

    @property
    def coordination(self) -> float:
        """Time in which the run was driven and no attempt was under way: planning, handing out, recording, gates."""
        return max(0.0, self.seconds - _covered(self.spans))

    @property
    def overhead(self) -> float | None:
        """The part of its time that was coordination, from 0 to 1."""
        return self.coordination / self.seconds if self.seconds else None

    @property
    def cpu(self) -> float | None:
        """Processor seconds of all attempts that were measured; None where none was."""
        known = [span.used.cpu for span in self.spans if span.used is not None and span.used.cpu is not None]
        return sum(known) if known else None

    @property
    def peak_memory(self) -> int | None:
        """The most that any attempt's processes had together, in bytes."""
        known = [span.used.memory for span in self.spans if span.used is not None and span.used.memory is not None]
        return max(known, default=None)

    def critical_path(self) -> tuple[PathStep, ...]:
        """Return the chain of attempts that decided when the run ended, as it was, the first one first.

        Each began when the one before it ended: because it comes after it, because it is its retry, or because there
        was no free slot before.
        """
        if not self.spans:
            return ()
        found: list[PathStep] = []
        by_command: dict[str, list[Span]] = {}
        for each in self.spans:
            by_command.setdefault(each.command, []).append(each)
        ends = sorted(self.spans, key=lambda span: (span.ended, span.outcome == "running"))
        span: Span | None = ends[-1]
        while span is not None:
            before, why = self._before(span, by_command, ends)
            found.append(PathStep(span=span, why=why))
            span = before
        return tuple(reversed(found))

    def _before(self, span: Span, by_command: Mapping[str, list[Span]], ends: list[Span]) -> tuple[Span | None, str]:
        """Return the attempt whose end let this one begin, and why."""
        limit = span.started + CLOSE
        own = [other for other in by_command[span.command] if other.attempt < span.attempt and other.ended <= limit]
        upstream = [
            other
            for name in self.upstream.get(span.command, ())
            for other in by_command.get(name, ())
            if other.ended <= limit and other.started <= span.started  # one done by hand begins and ends at once
        ]
        candidates = [(other, "retry") for other in own] + [(other, "upstream") for other in upstream]
        best, why = max(candidates, key=lambda item: item[0].ended, default=(None, "start"))
        if span.waited > CLOSE:
            freed = [other for other in ends if span.ready < other.ended <= limit and other.started < span.started]
            if freed and (best is None or freed[-1].ended > best.ended + CLOSE):
                return freed[-1], "slot"
        return best, why

    def figures(self) -> dict[str, Any]:
        """Return the figures of the run by name, seconds where a name says nothing else."""
        path = self.critical_path()
        return {
            "seconds": _rounded(self.seconds),
            "busy": _rounded(self.busy),
            "slots": self.slots,
            "speed_up": _rounded(self.speed_up),
            "efficiency": _rounded(self.efficiency),
            "idle": _rounded(self.idle),
            "wait": _rounded(self.waited),
            "waste": _rounded(self.waste),
            "coordination": _rounded(self.coordination),
            "overhead": _rounded(self.overhead),
            "cpu": _rounded(self.cpu),
            "peak_memory_bytes": self.peak_memory,
            "critical_path": [step.span.command for step in path],
            "critical_path_seconds": _rounded(sum(step.span.seconds for step in path)),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _covered(spans: Iterable[Span]) -> float:
    """Return for how long at least one attempt was under way."""
    covered, until = 0.0, float("-inf")
    for span in sorted(spans, key=lambda span: span.started):
        covered += max(0.0, span.ended - max(span.started, until))
        until = max(until, span.ended)
    return covered


def timing(events: Iterable[e.Event]) -> Timing:
    """Return the timing of a run from its facts, of one that goes on up to its last fact."""
    fold = _Fold()
    for event in events:
        fold.take(event)
    return fold.result()


class _Fold:
    """What has been seen so far."""

    def __init__(self) -> None:
        self.run = Timing()
        self.spans: dict[tuple[str, int], Span] = {}
        self.free: dict[str, float] = {}
        self.settled: dict[str, float] = {}
        self.open: set[str] = set()
        self.going: float | None = None
        self.last = 0.0
        self.driven = 0.0
        self.since: float | None = None
        self.pauses: list[tuple[float, float]] = []

    def take(self, event: e.Event) -> None:
        """Take in one fact."""
        handler = _HANDLERS.get(type(event))
        if isinstance(event, e.RunResumed):
            self._goes_on(event)
        self.last = max(self.last, event.at)
        if handler is not None:
            handler(self, event)

    def result(self) -> Timing:
        """Return what it comes to."""
        driven = self.driven + (max(0.0, self.last - self.since) if self.since is not None else 0.0)
        spans = tuple(
            replace(span, ended=self.last, seconds=max(0.0, self.last - span.started))
            if span.outcome == "running"
            else span
            for span in self.spans.values()
        )
        return replace(
            self.run,
            ended=self.last,
            seconds=driven,
            spans=spans,
            unfinished=frozenset(self.open),
            pauses=tuple(self.pauses),
        )

    def leaves(self) -> None:
        """Nobody drives it from now on."""
        if self.since is not None:
            self.driven += max(0.0, self.last - self.since)
            self.since = None

    def _goes_on(self, event: e.RunResumed) -> None:
        if event.owner or self.since is None:  # another owner: what passed since the last fact was nobody's
            self.leaves()
            self.pauses.append((self.last, event.at))
            self.since = event.at
        self.going = event.at

    def span(self, event: Any, **changes: Any) -> None:
        """Change the span of an attempt."""
        key = (event.command, event.attempt)
        if key in self.spans:
            self.spans[key] = replace(self.spans[key], **changes)


def _run_started(fold: _Fold, event: e.RunStarted) -> None:
    fold.run = Timing(run=event.run, workflow=event.workflow, started=event.at, slots=event.slots)
    fold.since = fold.going = event.at


def _run_planned(fold: _Fold, event: e.RunPlanned) -> None:
    upstream = {name: tuple(plain.get("upstream", ())) for name, plain in event.commands.items()}
    fold.run = replace(fold.run, upstream=upstream)
    fold.open = set(upstream) - set(fold.settled)
    fold.going = event.at


def _run_resumed(fold: _Fold, event: e.RunResumed) -> None:
    if event.slots:
        fold.run = replace(fold.run, slots=event.slots)


def _run_paused(fold: _Fold, event: e.RunPaused) -> None:
    if event.leaving:
        fold.leaves()


def _run_ended(fold: _Fold, _: e.RunEnded) -> None:
    fold.leaves()


def _attempt_started(fold: _Fold, event: e.AttemptStarted) -> None:
    name = event.command
    known = (fold.going, fold.free.get(name), *(fold.settled.get(item) for item in fold.run.upstream.get(name, ())))
    ready = max((at for at in known if at is not None), default=event.at)
    fold.spans[name, event.attempt] = Span(
        command=name, attempt=event.attempt, ready=min(ready, event.at), started=event.at, ended=event.at, seconds=0.0
    )


def _attempt_taken_over(fold: _Fold, event: e.AttemptTakenOver) -> None:
    # it waited for a person, not for a slot
    fold.spans[event.command, event.attempt] = Span(
        command=event.command, attempt=event.attempt, ready=event.at, started=event.at, ended=event.at, seconds=0.0
    )


def _kernel_started(fold: _Fold, event: e.KernelStarted) -> None:
    fold.span(event, kernel=event.seconds)


def _attempt_returned(fold: _Fold, event: e.AttemptReturned) -> None:
    fold.span(event, ended=event.at, seconds=event.seconds, outcome="returned", used=event.used)


def _attempt_failed(fold: _Fold, event: e.AttemptFailed) -> None:
    outcome = "crashed" if event.crashed else "failed"
    fold.span(
        event, ended=event.at, seconds=event.seconds, outcome=outcome, used=event.used, failure=event.failure.message
    )


def _attempt_abandoned(fold: _Fold, event: e.AttemptAbandoned) -> None:
    fold.span(event, ended=event.at, seconds=event.seconds, outcome="abandoned", failure=event.failure.message)


def _attempt_interrupted(fold: _Fold, event: e.AttemptInterrupted) -> None:
    span = fold.spans.get((event.command, event.attempt))
    if span is not None:
        # of an owner that died, what passed until somebody came to say so is no part of the attempt
        ended = event.at
        if event.lost:
            ended = max((left for left, back in fold.pauses if back <= event.at + CLOSE), default=event.at)
        ended = max(span.started, min(ended, event.at))
        fold.span(event, ended=ended, seconds=ended - span.started, outcome="interrupted", failure=event.reason)
    fold.free[event.command] = event.at


def _retry_scheduled(fold: _Fold, _: e.RetryScheduled) -> None:
    fold.run = replace(fold.run, retries=fold.run.retries + 1)


def _retry_due(fold: _Fold, event: e.RetryDue) -> None:
    fold.free[event.command] = event.at


def _settled(fold: _Fold, event: Any) -> None:
    fold.settled[event.command] = event.at
    fold.open.discard(event.command)
    if isinstance(event, e.CommandReused) and event.attempt is not None:
        fold.span(event, ended=event.at, outcome="reused")


def _reopened(fold: _Fold, event: e.CommandReopened) -> None:
    fold.free[event.command] = event.at
    fold.settled.pop(event.command, None)
    fold.open.add(event.command)


_HANDLERS: dict[type[e.Event], Any] = {
    e.RunStarted: _run_started,
    e.RunPlanned: _run_planned,
    e.RunResumed: _run_resumed,
    e.RunPaused: _run_paused,
    e.RunEnded: _run_ended,
    e.AttemptStarted: _attempt_started,
    e.AttemptTakenOver: _attempt_taken_over,
    e.KernelStarted: _kernel_started,
    e.AttemptReturned: _attempt_returned,
    e.AttemptFailed: _attempt_failed,
    e.AttemptAbandoned: _attempt_abandoned,
    e.AttemptInterrupted: _attempt_interrupted,
    e.RetryScheduled: _retry_scheduled,
    e.RetryDue: _retry_due,
    e.CommandSucceeded: _settled,
    e.CommandReused: _settled,
    e.CommandFailed: _settled,
    e.CommandCrashed: _settled,
    e.CommandSkipped: _settled,
    e.UpstreamFailed: _settled,
    e.CommandCancelled: _settled,
    e.CommandReopened: _reopened,
    e.CommandRestored: _settled,
}
