"""Patterns in a history: each with the size of its effect and what speaks for it, and none on thin data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from orchestrator_nb.analytics.digest import Digest, Series
from orchestrator_nb.analytics.figures.figure import chance, counted, length
from orchestrator_nb.analytics.limits import holm, wilson
from orchestrator_nb.analytics.recommendations import gain_of_halving
from orchestrator_nb.analytics.steps import Step, lasting_steps
from orchestrator_nb.state.timing import Timing

Kind = Literal["change", "flaky", "together", "bottleneck", "time of day", "vain retries"]

FOR_CHANGE, FOR_FLAKY, FOR_TOGETHER, FOR_BOTTLENECK, FOR_DAYTIME, FOR_RETRIES = 20, 10, 20, 5, 40, 5
"""How many runs there have to be for each kind, at the least."""

CHANCE = 0.01
"""How probable a pattern may be by chance alone."""

BLOCK = 6
"""Hours of a part of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What was found: of which `kind`, in which `workflow`, about which `subject`, in `words` and with its `evidence`.

    `effect` is how large it is (a ratio or a share, said in `words`), `p` how probable it is by chance alone where
    that can be said, `seconds` what it costs a run, for the order.
    """

    kind: Kind
    workflow: str
    subject: str
    words: str
    evidence: str
    effect: float
    p: float | None = None
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.words} ({self.evidence})"


def patterns(runs: pd.DataFrame, attempts: Digest, timings: Iterable[Timing] = ()) -> list[Pattern]:
    """Return the patterns in these runs, the most expensive first.

    `attempts` is what theirs come to; `timings` are those of the latest runs, for what decided when they
    ended. Raises UsageError where ruptures or scipy is not installed.
    """
    found: list[Pattern] = []
    troubled = tries(attempts.trouble)
    for workflow, of in runs.groupby(runs["workflow"].astype(str)):
        name = str(workflow)
        own = troubled.get(name, {})
        tried = {command: count for (flow, command), count in attempts.tried.items() if flow == name}
        completed = of[of["state"] == "completed"].sort_values("started")
        found += [
            *change_points(name, completed),
            *command_changes(name, attempts.series(name)),
            *time_of_day(name, completed),
            *flaky(name, own, tried),
            *vain_retries(name, own),
            *together(name, of, own),
            *bottlenecks(name, [timing for timing in timings if timing.workflow == name]),
        ]
    return sorted(found, key=lambda pattern: -pattern.seconds)


def change_points(workflow: str, completed: pd.DataFrame) -> list[Pattern]:
    """Return when runs became slower or quicker for good: by a tenth at least, five runs on each side at least."""
    if len(completed) < FOR_CHANGE:
        return []
    began = completed["started"].astype("int64").to_numpy()
    return [
        _change(workflow, workflow, workflow, step, began)
        for step in lasting_steps(completed["seconds"].to_numpy(dtype=float))
        if step.p < CHANCE
    ]


def command_changes(workflow: str, series: Sequence[Series]) -> list[Pattern]:
    """Return when commands became slower or quicker for good, as `change_points` does of runs.

    So many commands are looked at that one of them would seem to change by chance: each probability is multiplied by their
    number. What makes less than a hundredth of the time of all of them together is not told.
    """
    series = [each for each in series if len(each.seconds) >= FOR_CHANGE]
    worth = 0.01 * sum(float(np.median(each.seconds)) for each in series)
    found = []
    for each in series:
        for step in lasting_steps(each.seconds):
            step = step._replace(p=min(1.0, step.p * len(series)))  # noqa: PLW2901
            if step.p < CHANCE and abs(step.after - step.before) >= worth:
                of = f"{each.command} of {workflow}"
                found.append(_change(workflow, each.command, of, step, each.started, corrected=len(series)))
    return found


def _change(workflow: str, subject: str, what: str, step: Step, began: Any, *, corrected: int = 1) -> Pattern:
    when = f"{pd.Timestamp(int(began[step.place]), unit='us'):%Y-%m-%d %H:%M}"
    many = f", corrected for {counted(corrected, 'command')}" if corrected > 1 else ""
    return Pattern(
        kind="change", workflow=workflow, subject=subject, effect=step.ratio, p=step.p,
        words=f"{what} became {'slower' if step.ratio > 1 else 'quicker'} from {when} UTC on: {length(step.after)} instead of "
        f"{length(step.before)} in the median, {step.ratio:.2f} times as long",
        evidence=f"{step.earlier} runs before and {step.later} after, {chance(step.p)} by chance{many}",
        seconds=abs(step.after - step.before),
    )  # fmt: skip


def time_of_day(workflow: str, completed: pd.DataFrame) -> list[Pattern]:
    """Return whether runs take longer at some part of the day (local time)."""
    if len(completed) < FOR_DAYTIME:
        return []
    from datetime import datetime

    from scipy.stats import kruskal

    local = completed["started"].dt.tz_convert(datetime.now().astimezone().tzinfo)
    blocks = local.dt.hour // BLOCK
    groups = {int(block): of for block, of in completed["seconds"].groupby(blocks) if len(of) >= 8}
    if len(groups) < 2:
        return []
    p = float(kruskal(*groups.values()).pvalue)
    middle = {block: float(of.median()) for block, of in groups.items()}
    slow, quick = max(middle, key=lambda block: middle[block]), min(middle, key=lambda block: middle[block])
    ratio = middle[slow] / middle[quick] if middle[quick] else 1.0
    if p >= CHANCE or ratio < 1.15:
        return []
    hours = {block: f"{BLOCK * block}-{BLOCK * block + BLOCK} h" for block in (slow, quick)}
    return [
        Pattern(
            kind="time of day", workflow=workflow, subject=workflow, effect=ratio, p=p,
            words=f"{workflow} takes {ratio:.2f} times as long at {hours[slow]} as at {hours[quick]}: "
            f"{length(middle[slow])} instead of {length(middle[quick])} in the median",
            evidence=f"{len(groups[slow])} and {len(groups[quick])} runs, {chance(p)} by chance",
            seconds=middle[slow] - middle[quick],
        )
    ]  # fmt: skip


class Try(NamedTuple):
    """An attempt of a command in a run, as patterns look at it; `cause` is its failure."""

    attempt: int
    generation: int
    outcome: str
    seconds: float
    cause: tuple[str, str]


Tries = Mapping[str, Mapping[str, list[Try]]]
"""By command and by run: the attempts, in order."""


def tries(attempts: pd.DataFrame) -> dict[str, dict[str, dict[str, list[Try]]]]:
    """Return attempts by workflow, command and run (see `Digest.trouble`)."""
    found: dict[str, dict[str, dict[str, list[Try]]]] = {}
    names = (
        "workflow",
        "command",
        "run",
        "attempt",
        "generation",
        "outcome",
        "seconds",
        "failure_type",
        "failure_message",
    )
    columns = [attempts[name].astype(object).to_list() for name in names]
    for workflow, command, run, attempt, generation, outcome, seconds, kind, message in zip(*columns, strict=True):
        of = found.setdefault(workflow, {}).setdefault(command, {}).setdefault(run, [])
        took = float(seconds) if seconds == seconds and seconds is not None else 0.0  # noqa: PLR0124 - not NaN
        of.append(Try(int(attempt), int(generation), outcome, took, (str(kind), str(message))))
    for commands in found.values():
        for runs in commands.values():
            for of in runs.values():
                of.sort()
    return found


def flaky(workflow: str, commands: Tries, tried: Mapping[str, int]) -> list[Pattern]:
    """Return the commands that fail and then return, unchanged, in the same run.

    `tried` says in how many runs each command was tried.
    """
    found = []
    for command, by_run in commands.items():
        runs = tried.get(command, 0)
        if runs < FOR_FLAKY:
            continue
        again, cost = 0, 0.0
        for of in by_run.values():
            last = max((each.attempt for each in of if each.outcome == "returned"), default=0)
            lost = [each.seconds for each in of if each.outcome in ("failed", "crashed") and each.attempt < last]
            again += bool(lost)
            cost += sum(lost)
        low, high = wilson(again, runs)
        if again < 3 or low < 0.03:
            continue
        found.append(
            Pattern(
                kind="flaky", workflow=workflow, subject=command, effect=again / runs,
                words=f"{command} of {workflow} fails in {again / runs:.0%} of runs and returns when it is tried again; "
                f"that costs {length(cost / runs)} a run",
                evidence=f"{again} of {runs} runs, 95 % interval {low:.0%} to {high:.0%}",
                seconds=cost / runs,
            )
        )  # fmt: skip
    return found


def vain_retries(workflow: str, commands: Tries) -> list[Pattern]:
    """Return the commands whose retries never helped: all attempts failed, with the same error."""
    found = []
    for command, by_run in commands.items():
        cases, helped, cost = 0, 0, 0.0
        for of in by_run.values():
            for own in _by_generation(of):
                bad = [each for each in own if each.outcome == "failed"]
                if len(own) < 2 or not bad:
                    continue
                if any(each.outcome == "returned" for each in own):
                    helped += 1
                elif len(bad) == len(own) and len({each.cause for each in bad}) == 1:
                    cases += 1
                    cost += sum(each.seconds for each in bad[1:])
        if cases >= FOR_RETRIES and helped == 0:
            found.append(
                Pattern(
                    kind="vain retries", workflow=workflow, subject=command, effect=1.0,
                    words=f"retries of {command} of {workflow} have never helped: the same error each time, "
                    f"{length(cost / cases)} for nothing each time; `retries: 0` would save that",
                    evidence=f"{cases} of {cases} times",
                    seconds=cost / cases,
                )
            )  # fmt: skip
    return found


def _by_generation(of: list[Try]) -> list[list[Try]]:
    found: dict[int, list[Try]] = {}
    for each in of:
        found.setdefault(each.generation, []).append(each)
    return list(found.values())


def together(workflow: str, runs: pd.DataFrame, commands: Tries) -> list[Pattern]:
    """Return the pairs of commands that fail in the same runs more often than chance would have it."""
    everything = set(runs["run"].astype(str))
    failing = {
        command: {run for run, of in by_run.items() if any(each.outcome in ("failed", "crashed") for each in of)}
        for command, by_run in commands.items()
    }
    failing = {name: of for name, of in failing.items() if len(of) >= 4}
    pairs = [(one, other) for one, other in combinations(sorted(failing), 2) if len(failing[one] & failing[other]) >= 4]
    if len(everything) < FOR_TOGETHER or not pairs:
        return []
    from scipy.stats import fisher_exact

    tables = []
    for one, other in pairs:
        both, only, alone = failing[one] & failing[other], failing[one] - failing[other], failing[other] - failing[one]
        neither = len(everything) - len(both) - len(only) - len(alone)
        tables.append([[len(both), len(only)], [len(alone), neither]])
    chances = holm([float(fisher_exact(table, alternative="greater").pvalue) for table in tables])
    found = []
    for (one, other), table, p in zip(pairs, tables, chances, strict=True):
        shared = table[0][0]
        expected = len(failing[one]) * len(failing[other]) / len(everything)
        if p < CHANCE:
            found.append(
                Pattern(
                    kind="together", workflow=workflow, subject=f"{one}, {other}", effect=shared / expected, p=p,
                    words=f"{one} and {other} of {workflow} fail in the same runs, {shared / expected:.1f} times as often as "
                    "chance would have it: look for one cause",
                    evidence=f"both in {shared} of {len(everything)} runs, {one} in {len(failing[one])}, {other} in "
                    f"{len(failing[other])}; {chance(p)}, corrected for {counted(len(pairs), 'pair')}",
                )
            )  # fmt: skip
    return found


def bottlenecks(workflow: str, timings: list[Timing]) -> list[Pattern]:
    """Return the command that mostly decides when runs end: what halving it would gain."""
    timings = [timing for timing in timings if timing.seconds and not timing.unfinished]
    if len(timings) < FOR_BOTTLENECK:
        return []
    on_path: Counter[str] = Counter()
    shares: dict[str, list[float]] = {}
    gains: dict[str, list[float]] = {}
    for timing in timings:
        path = timing.critical_path()
        own: dict[str, float] = {}
        for step in path:
            own[step.span.command] = own.get(step.span.command, 0.0) + step.span.seconds
        for command, seconds in own.items():
            on_path[command] += 1
            shares.setdefault(command, []).append(seconds / timing.seconds)
            gains.setdefault(command, []).append(gain_of_halving(timing, command))
    command = max(shares, key=lambda name: sum(shares[name]))
    share = sum(shares[command]) / len(timings)
    if share < 0.4 or on_path[command] < FOR_BOTTLENECK:
        return []
    gain = sum(gains[command]) / len(timings)
    return [
        Pattern(
            kind="bottleneck", workflow=workflow, subject=command, effect=share,
            words=f"{command} decides when {workflow} ends: {share:.0%} of the time of a run; in half its time, a run would "
            f"end {length(gain)} sooner",
            evidence=f"on the critical path of {on_path[command]} of the latest {len(timings)} runs",
            seconds=gain,
        )
    ]  # fmt: skip
