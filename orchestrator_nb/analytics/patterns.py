"""Patterns in a history: each with the size of its effect and what speaks for it, and none on thin data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

import pandas as pd

from orchestrator_nb.analytics.digest import Digest
from orchestrator_nb.analytics.figures.figure import chance, counted, length
from orchestrator_nb.analytics.limits import holm, wilson
from orchestrator_nb.analytics.recommendations import gain_of_halving
from orchestrator_nb.errors import UsageError
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

    `attempts` is what theirs come to, with `trouble`; `timings` are those of the latest runs, for what decided when they
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
            *time_of_day(name, completed),
            *flaky(name, own, tried),
            *vain_retries(name, own),
            *together(name, of, own),
            *bottlenecks(name, [timing for timing in timings if timing.workflow == name]),
        ]
    return sorted(found, key=lambda pattern: -pattern.seconds)


def change_points(workflow: str, completed: pd.DataFrame) -> list[Pattern]:
    """Return when runs became slower or quicker for good: by a tenth at least, five runs on each side at least.

    Where slow runs follow slow ones for a while, every while looks like a change. So what each duration owes to the one
    before it is taken off first, and the segments are those of the rest (Chakar, Lebarbier, Lévy-Leduc and Robin, "A
    robust approach for estimating change-points in the mean of an AR(1) process", Bernoulli 23, 2017); they are found
    exactly, by pruned dynamic programming (Killick, Fearnhead and Eckley, PELT, JASA 107, 2012).
    """
    if len(completed) < FOR_CHANGE or (completed["seconds"] <= 0).any():
        return []
    try:
        import numpy as np
        import ruptures
        from scipy.stats import mannwhitneyu
    except ImportError as error:
        raise UsageError('patterns need ruptures and scipy: pip install "orchestrator-nb[analytics]"') from error
    seconds = completed["seconds"].to_numpy(dtype=float)
    logs = np.log(seconds)
    owed = _owed_to_the_one_before(logs)
    rest = logs[1:] - owed * logs[:-1]
    noise = float(np.median(np.abs(np.diff(rest)))) / 0.954 or 1e-3
    # A step has to be worth more than what the noise alone would give among so many places.
    segments = ruptures.KernelCPD(kernel="linear", min_size=5).fit((rest / noise).reshape(-1, 1))
    places = [place + 1 for place in segments.predict(pen=4 * math.log(len(logs)))]
    found = []
    for before, place, after in zip([0, *places], places, places[1:], strict=False):
        earlier, later = seconds[before:place], seconds[place:after]
        ratio = float(np.median(later) / np.median(earlier))
        # Of all places this was the best, so that its probability is that of one among so many.
        alone = float(mannwhitneyu(earlier, later).pvalue)
        p = min(1.0, _of_dependent(alone, [logs[before:place], logs[place:after]]) * len(logs))
        if p < CHANCE and not 0.9 < ratio < 1.1:
            when = completed["started"].iloc[place].strftime("%Y-%m-%d %H:%M")
            became = "slower" if ratio > 1 else "quicker"
            found.append(
                Pattern(
                    kind="change", workflow=workflow, subject=workflow, effect=ratio, p=p,
                    words=f"{workflow} became {became} from {when} UTC on: {length(float(np.median(later)))} instead of "
                    f"{length(float(np.median(earlier)))} in the median, {ratio:.2f} times as long",
                    evidence=f"{len(earlier)} runs before and {len(later)} after, {chance(p)} by chance",
                    seconds=abs(float(np.median(later) - np.median(earlier))),
                )
            )  # fmt: skip
    return found


def _owed_to_the_one_before(logs: Any) -> float:
    """Return which share of a deviation is found again in the next value (from 0 to 0.95), whatever steps there are.

    It is worked out of medians of differences, which a step hardly changes (Chakar et al., 2017), and counts as far as it is
    beyond what independent values would give by chance: two standard errors are taken off.
    """
    import numpy as np

    near, far = (float(np.median(np.abs(logs[lag:] - logs[:-lag]))) for lag in (1, 2))
    share = (far / near) ** 2 - 1 if near else 0.0
    return min(0.95, max(0.0, share - 2 / math.sqrt(len(logs))))


def _of_dependent(p: float, parts: list[Any]) -> float:
    """Return a probability that was worked out for independent values as it is for such as follow on each other.

    A slow run is often followed by another slow one, for no lasting reason: so many values count for fewer. How few, the
    correlation of neighbours within each part tells, which is estimated too low of few values and therefore raised.
    """
    from scipy.stats import norm

    rests = [part - part.mean() for part in parts]
    count = sum(len(rest) for rest in rests)
    spread = sum(float((rest**2).sum()) for rest in rests)
    if not spread:
        return p
    near = sum(float((rest[1:] * rest[:-1]).sum()) for rest in rests) / spread
    near = min(0.95, max(0.0, near + 2 * (1 + 3 * max(near, 0.0)) / count))
    z = float(norm.isf(p / 2)) if p > 1e-300 else 37.0
    return float(2 * norm.sf(z * math.sqrt((1 - near) / (1 + near))))


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
