"""What the figures of one run advise: where time went that need not have gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator_nb.analytics.figures.figure import counted, length, listed
from orchestrator_nb.state.timing import Span, Timing

WORTH = 0.05
"""The part of a run's time that something has to cost to be worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to do about `subject`, why, and how many `seconds` of the run it may save at the most."""

    subject: str
    advice: str
    why: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.advice} {self.why}"


def recommendations(timing: Timing) -> list[Recommendation]:
    """Return what this one run advises, the greatest gain first; nothing where nothing is worth a word."""
    if not timing.seconds or not timing.spans:
        return []
    found = [
        *_vain_retries(timing),
        *_idle_slots(timing),
        *_too_few_slots(timing),
        *_kernels(timing),
        *_coordination(timing),
        *_bottleneck(timing),
        *_needless_dependencies(timing),
    ]
    worth = [item for item in found if item.subject == "dependencies" or item.seconds >= WORTH * timing.seconds]
    return sorted(worth, key=lambda item: -item.seconds)


def _vain_retries(timing: Timing) -> Iterator[Recommendation]:
    by_command: dict[str, list[Span]] = {}
    for span in timing.spans:
        by_command.setdefault(span.command, []).append(span)
    for command, spans in by_command.items():
        failed = [span for span in spans if span.outcome == "failed"]
        if len(failed) > 1 and len(failed) == len(spans) and len({span.failure for span in failed}) == 1:
            lost = sum(span.seconds for span in failed[1:])
            yield Recommendation(
                subject=command,
                advice=f"Do not try {command} again for this error: `retries: 0`, or a rule that calls it permanent.",
                why=f"Its {counted(len(failed), 'attempt')} failed with the same error; all but the first took {length(lost)}.",
                seconds=lost,
            )


def _idle_slots(timing: Timing) -> Iterator[Recommendation]:
    if (
        timing.slots < 2
        or timing.efficiency is None
        or timing.efficiency >= 0.5
        or timing.waited > timing.seconds * 0.1
    ):
        return
    chain = sum(step.span.seconds for step in timing.critical_path())
    if chain < 0.8 * timing.seconds:
        return
    names = list(dict.fromkeys(step.span.command for step in timing.critical_path()))
    yield Recommendation(
        subject="slots",
        advice=f"Split or shorten what runs one after the other ({listed(names)}), or give the run fewer slots.",
        why=f"Attempts used {timing.efficiency:.0%} of the time of {timing.slots} slots: for {length(chain)} of "
        f"{length(timing.seconds)} one command waited for the other.",
        seconds=max(0.0, timing.seconds - timing.busy / timing.slots),
    )


def _too_few_slots(timing: Timing) -> Iterator[Recommendation]:
    if timing.efficiency is None or timing.efficiency < 0.75 or timing.waited < 0.2 * timing.seconds:
        return
    waiting = [step for step in timing.critical_path() if step.why == "slot"]
    if not waiting:
        return
    lost = sum(step.span.waited for step in waiting)
    yield Recommendation(
        subject="slots",
        advice=f"Try more than {counted(timing.slots, 'slot')} (`slots`), if the machine has room.",
        why=f"On the critical path {listed([step.span.command for step in waiting])} waited {length(lost)} for a free slot, "
        f"and {timing.efficiency:.0%} of the slots' time was used.",
        seconds=lost,
    )


def _kernels(timing: Timing) -> Iterator[Recommendation]:
    started = [step.span for step in timing.critical_path() if step.span.kernel > 0]
    lost = sum(span.kernel for span in started)
    if started:
        yield Recommendation(
            subject="kernels",
            advice="Let kernels be forked from one that has the imports already (`orchestrator-nb kernels`), or put short "
            "notebooks that follow each other into one.",
            why=f"{counted(len(started), 'kernel')} on the critical path needed {length(lost)} to start.",
            seconds=lost,
        )


def _coordination(timing: Timing) -> Iterator[Recommendation]:
    if timing.overhead is not None and timing.overhead > 0.1:
        yield Recommendation(
            subject="coordination",
            advice="Look at what happens between commands: waits for retries, gates, checkpoints, a slow disk; "
            '`durability="process"` spares a flush a step.',
            why=f"For {length(timing.coordination)} of {length(timing.seconds)} nothing of yours ran.",
            seconds=timing.coordination,
        )


def _bottleneck(timing: Timing) -> Iterator[Recommendation]:
    path = timing.critical_path()
    if not path:
        return
    longest = max(path, key=lambda step: step.span.seconds).span
    if longest.seconds >= 0.4 * timing.seconds:
        yield Recommendation(
            subject=longest.command,
            advice=f"Begin with {longest.command} if the run is to be quicker.",
            why=f"It took {length(longest.seconds)} of the critical path; in half its time the run would end "
            f"{length(gain_of_halving(timing, longest.command))} sooner.",
            seconds=gain_of_halving(timing, longest.command),
        )


def _needless_dependencies(timing: Timing) -> Iterator[Recommendation]:
    """An edge that another way through the graph has already costs nothing, but it misleads whoever reads it."""
    above: dict[str, set[str]] = {}
    needless = []
    for command, before in timing.upstream.items():
        above[command] = set(before).union(*(above.get(name, set()) for name in before))
        needless += [
            f"{command} after {name}" for name in before if any(name in above.get(other, ()) for other in before)
        ]
    if needless:
        yield Recommendation(
            subject="dependencies",
            advice=f"Leave out dependencies that follow from others: {listed(needless)}.",
            why="The order is the same without them.",
            seconds=0.0,
        )


def gain_of_halving(timing: Timing, command: str) -> float:
    """Return by how many seconds the longest chain of dependencies would be shorter, were a command twice as quick."""
    seconds: dict[str, float] = {}
    for span in timing.spans:
        seconds[span.command] = seconds.get(span.command, 0.0) + span.seconds
    quicker = {**seconds, command: seconds.get(command, 0.0) / 2}
    return _longest(timing, seconds) - _longest(timing, quicker)


def _longest(timing: Timing, seconds: dict[str, float]) -> float:
    ends: dict[str, float] = {}
    for command, before in timing.upstream.items():  # upstream comes first in a plan
        ends[command] = max((ends.get(name, 0.0) for name in before), default=0.0) + seconds.get(command, 0.0)
    return max(ends.values(), default=0.0)
