"""Patterns: found where they were put, with their size; nothing on thin data or in mere noise."""

from __future__ import annotations

import math
import random

import numpy as np
import pandas as pd
import pytest

from orchestrator_nb import events as e
from orchestrator_nb.analytics import patterns
from orchestrator_nb.analytics.digest import Series
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.limits import control_limits, holm, pareto_front, wilson
from orchestrator_nb.analytics.material import Material
from orchestrator_nb.analytics.recommendations import recommendations
from orchestrator_nb.state.timing import timing


def _runs(seconds: list[float], *, hours: float = 24.0) -> pd.DataFrame:
    count = len(seconds)
    started = pd.date_range("2026-01-01", periods=count, freq=pd.Timedelta(hours=hours), tz="UTC")
    return pd.DataFrame(
        {"run": [f"r{number}" for number in range(count)], "workflow": "w", "state": "completed", "started": started}
        | {"seconds": seconds}
    )


def _noise(count: int, around: float, seed: int) -> list[float]:
    chance = random.Random(seed)
    return [around * chance.lognormvariate(0, 0.08) for _ in range(count)]


def test_a_lasting_change_is_found_where_it_was() -> None:
    """Thirty runs of about 10 s, then thirty of about 14: the place, the ratio and the evidence."""
    (found,) = patterns.change_points("w", _runs([*_noise(30, 10, 1), *_noise(30, 14, 2)]))
    assert found.effect == pytest.approx(1.4, abs=0.1)
    assert "w became slower from 2026-01-31" in found.words
    assert found.evidence.startswith("30 runs before and 30 after")
    assert found.p is not None
    assert found.p < 0.001


@pytest.mark.parametrize("seed", range(10))
def test_noise_has_no_change(seed: int) -> None:
    """Sixty runs that vary as they always do."""
    assert patterns.change_points("w", _runs(_noise(60, 10, seed))) == []


def _following(count: int, seed: int, *, share: float) -> list[float]:
    """Durations of which each follows the one before it by that share, as where other work comes and goes."""
    chance, state, found = random.Random(seed), 0.0, []
    for _ in range(count):
        state = share * state + chance.gauss(0, 0.08)
        found.append(10 * math.exp(state))
    return found


@pytest.mark.parametrize(
    ("share", "runs", "most"), [(0.0, 60, 2), (0.3, 60, 3), (0.6, 60, 5), (0.6, 200, 5), (0.8, 200, 5)]
)
def test_noise_is_seldom_taken_for_a_change(share: float, runs: int, most: int) -> None:
    """In five of a hundred histories without any change at the most, also of such in which slow runs follow slow ones."""
    found = [patterns.change_points("w", _runs(_following(runs, seed, share=share))) for seed in range(100)]
    assert sum(map(bool, found)) <= most


@pytest.mark.parametrize(("share", "ratio", "least"), [(0.0, 1.3, 47), (0.3, 1.3, 44), (0.6, 1.5, 36), (0.6, 1.3, 20)])
def test_a_true_change_is_found_among_slow_runs_that_follow_slow_ones(share: float, ratio: float, least: int) -> None:
    """Of fifty histories of two hundred runs that become so many times as slow half way: within five runs of the place."""
    found = 0
    for seed in range(50):
        steady = _following(200, seed, share=share)
        runs = _runs([*steady[:100], *(seconds * ratio for seconds in steady[100:])])
        days = [
            runs["started"].searchsorted(pd.Timestamp(_when(each), tz="UTC"))
            for each in patterns.change_points("w", runs)
        ]
        found += any(abs(day - 100) <= 5 for day in days)
    assert found >= least


def _when(found: patterns.Pattern) -> str:
    """Return from when on a change is said to be."""
    return found.words.partition(" from ")[2].partition(" UTC")[0]


def test_a_true_change_is_seldom_missed() -> None:
    """Of fifty histories that become 1.4 times as slow half way, nearly all, at the right place."""
    found = [
        patterns.change_points("w", _runs([*_noise(30, 10, seed), *_noise(30, 14, seed + 1000)])) for seed in range(50)
    ]
    assert sum(len(each) == 1 and abs(each[0].effect - 1.4) < 0.15 for each in found) >= 47


def _series(seconds: dict[str, list[float]]) -> list[Series]:
    day = 86_400_000_000
    return [Series(command, np.arange(len(of), dtype=np.int64) * day, np.array(of)) for command, of in seconds.items()]


def test_a_command_that_becomes_slower_is_named_although_runs_hardly_show_it() -> None:
    """Of four commands one takes half as long again from the thirty-first run on: command, day, size, evidence."""
    steady = {f"c{number}": _noise(60, 10, number) for number in range(3)}
    (found,) = patterns.command_changes("w", _series({**steady, "load": [*_noise(30, 2, 1), *_noise(30, 3, 2)]}))
    assert (found.kind, found.workflow, found.subject) == ("change", "w", "load")
    assert found.effect == pytest.approx(1.5, abs=0.1)
    assert found.seconds == pytest.approx(1.0, abs=0.15)
    assert found.words.startswith("load of w became slower from 1970-01-31 00:00 UTC on: 3.")
    assert found.evidence == "30 runs before and 30 after, p < 0.001 by chance, corrected for 4 commands"


@pytest.mark.parametrize(("share", "most"), [(0.0, 2), (0.6, 5)])
def test_of_many_commands_none_is_seldom_said_to_change_by_chance(share: float, most: int) -> None:
    """In five of a hundred histories of ten commands each at the most, also where slow runs follow slow ones."""
    found = 0
    for seed in range(0, 1000, 10):
        noise = {f"c{number}": _following(80, 7919 * seed + number, share=share) for number in range(10)}
        found += bool(patterns.command_changes("w", _series(noise)))
    assert found <= most


def test_a_change_that_hardly_costs_anything_is_not_told() -> None:
    """A command of 20 ms that takes 30, beside one of ten seconds."""
    changed = [*_noise(30, 0.02, 1), *_noise(30, 0.03, 2)]
    assert patterns.command_changes("w", _series({"load": changed, "model": _noise(60, 10, 1)})) == []
    assert len(patterns.command_changes("w", _series({"load": changed}))) == 1


def test_changes_of_commands_are_found_in_the_history_of_a_store(write) -> None:
    """Sixty runs of two commands on disk, in every third of which an attempt failed first: the one that became slower."""
    loads, models = [*_noise(30, 1, 1), *_noise(30, 2, 2)], _noise(60, 9, 3)
    for number, (one, other) in enumerate(zip(loads, models, strict=True)):
        store = write(f"w-20260101-000000-{number:04x}", _run_of(number, {"load": one, "model": other}))
    material = Material(History(store), {}, {})
    (load,) = [each for each in material.digest.series("w") if each.command == "load"]
    assert load.seconds.tolist() == pytest.approx(loads)
    assert np.diff(load.started).min() > 0
    (found,) = [
        each
        for each in patterns.patterns(material.runs, material.digest)
        if (each.kind, each.subject) == ("change", "load")
    ]
    assert found.effect == pytest.approx(2.0, abs=0.2)
    assert found.evidence.startswith("30 runs before and 30 after")
    assert material.digest.series("nobody") == []


def _run_of(number: int, took: dict[str, float]) -> list[e.Event]:
    """Return the facts of a run a day; in every third one the first attempt of each command fails after seven seconds."""
    at = 1_767_225_600.0 + 86_400 * number
    plan = {name: {"kind": "call", "fingerprint": name} for name in took}
    found: list[e.Event] = [
        e.RunStarted(at=at, run=f"w-20260101-000000-{number:04x}", workflow="w", slots=1, owner={"pid": 1}),
        e.RunPlanned(at=at, commands=plan),
    ]
    for name, seconds in took.items():
        attempt = 1
        found.append(e.AttemptStarted(at=at, command=name, attempt=attempt))
        if number % 3 == 0:
            at, attempt = at + 7.0, 2
            failure = e.Failure(kind="exception", message="no", types=("builtins.OSError",))
            found += [
                e.AttemptFailed(at=at, command=name, attempt=1, seconds=7.0, failure=failure),
                e.RetryScheduled(at=at, command=name, due=at + 1, retry=1, retries=9),
                e.RetryDue(at=at + 1, command=name),
                e.AttemptStarted(at=at + 1, command=name, attempt=2),
            ]
        at += seconds
        found.append(e.AttemptReturned(at=at, command=name, attempt=attempt, seconds=seconds))
        found.append(e.CommandSucceeded(at=at, command=name, attempt=attempt))
    return found


def test_the_time_of_day_is_seldom_taken_for_a_cause() -> None:
    """Of a hundred histories in which it makes no difference."""
    assert sum(bool(patterns.time_of_day("w", _runs(_noise(80, 10, seed), hours=6))) for seed in range(100)) <= 2


def test_what_fails_by_itself_is_seldom_said_to_fail_together() -> None:
    """Of a hundred histories of eight commands, each of which fails in one run of five for reasons of its own."""
    found = 0
    for seed in range(100):
        chance = random.Random(seed)
        failed = patterns.Try(1, 1, "failed", 1.0, ("a", "b"))
        commands = {
            f"c{number}": {f"r{run}": [failed] for run in range(60) if chance.random() < 0.2} for number in range(8)
        }
        found += bool(patterns.together("w", _runs([1.0] * 60), commands))
    assert found <= 3


def test_a_command_that_hardly_ever_fails_is_not_flaky() -> None:
    """One run in a hundred, in any of a hundred histories."""
    lost, back = patterns.Try(1, 1, "failed", 1.0, ("a", "b")), patterns.Try(2, 1, "returned", 1.0, ("", ""))
    for seed in range(100):
        chance = random.Random(seed)
        commands = {"a": {f"r{run}": [lost, back] for run in range(60) if chance.random() < 0.01}}
        assert patterns.flaky("w", commands, {"a": 60}) == []


def test_few_runs_have_no_change() -> None:
    """However clear it looks."""
    assert patterns.change_points("w", _runs([10.0] * 9 + [20.0] * 9)) == []


def _attempts(rows: list[tuple[str, str, int, str, float]]) -> dict:
    frame = pd.DataFrame(rows, columns=["run", "command", "attempt", "outcome", "seconds"])
    bad = frame["outcome"] == "failed"
    frame = frame.assign(
        workflow="w",
        generation=1,
        failure_type=frame["outcome"].where(bad),
        failure_message=frame["outcome"].where(bad),
    )
    return patterns.tries(frame)["w"]


def test_a_command_that_fails_and_then_returns_is_flaky() -> None:
    """Six runs in twenty, with the interval of that share and what it costs a run."""
    rows = []
    for number in range(20):
        if number < 6:
            rows += [(f"r{number}", "load", 1, "failed", 2.0), (f"r{number}", "load", 2, "returned", 5.0)]
        else:
            rows.append((f"r{number}", "load", 1, "returned", 5.0))
    (found,) = patterns.flaky("w", _attempts(rows), {"load": 20})
    assert (found.subject, found.effect, found.seconds) == ("load", 0.3, pytest.approx(0.6))
    assert "6 of 20 runs, 95 % interval 15% to 52%" in found.evidence
    assert patterns.flaky("w", _attempts(rows[:8]), {"load": 8}) == []


def test_retries_that_never_help_are_named() -> None:
    """Five times the same error in every attempt; one success, and nothing is said."""
    rows = [(f"r{number}", "tests", attempt, "failed", 3.0) for number in range(5) for attempt in (1, 2, 3)]
    (found,) = patterns.vain_retries("w", _attempts(rows))
    assert (found.subject, found.seconds, found.evidence) == ("tests", 6.0, "5 of 5 times")
    helped = [("r9", "tests", 1, "failed", 3.0), ("r9", "tests", 2, "returned", 3.0)]
    assert patterns.vain_retries("w", _attempts([*rows, *helped])) == []


def test_errors_that_come_together_are_found() -> None:
    """Two commands that fail in the same eight of forty runs, and one that fails in others."""
    rows = []
    for number in range(40):
        bad = number < 8
        rows += [(f"r{number}", name, 1, "failed" if bad else "returned", 1.0) for name in ("a", "b")]
        rows.append((f"r{number}", "c", 1, "failed" if 20 <= number < 26 else "returned", 1.0))
    (found,) = patterns.together("w", _runs([1.0] * 40), _attempts(rows))
    assert (found.subject, found.effect) == ("a, b", 5.0)
    assert "both in 8 of 40 runs" in found.evidence


def test_the_time_of_day_is_told_where_it_makes_a_difference() -> None:
    """Runs every six hours, of which one in four takes half as long again."""
    seconds = [value * (1.5 if place % 4 == 2 else 1.0) for place, value in enumerate(_noise(80, 10, 3))]
    (found,) = patterns.time_of_day("w", _runs(seconds, hours=6))
    assert found.effect == pytest.approx(1.5, abs=0.12)
    assert patterns.time_of_day("w", _runs(_noise(80, 10, 4), hours=6)) == []


def test_the_bottleneck_is_what_decides_the_end(facts, named) -> None:
    """clean, model, publish in a chain: halving model would gain half of its 15 s, until stats decides."""
    timings = [timing(facts(named(number))) for number in range(5)]
    (found,) = patterns.bottlenecks("sales", timings)
    assert found.subject == "model"
    assert found.effect == pytest.approx(15 / 34)
    assert found.seconds == pytest.approx(5.0)  # then stats, of 10 s, is as long
    assert patterns.bottlenecks("sales", timings[:4]) == []


def test_all_patterns_come_together(store) -> None:
    """On a small history there are none."""
    material = Material(History(store), {}, {})
    assert patterns.patterns(material.runs, material.digest) == []


# ── what one run advises ────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_advises_what_would_make_it_quicker(facts, named) -> None:
    """The longest command of the critical path, with what halving it would gain."""
    found = recommendations(timing(facts(named(1))))
    assert found == []  # no command has 40 % of the run, and nothing else is worth a word
    slow = facts(named(1))[:-2]
    end = slow[-1].at
    slow += [
        e.CommandReopened(at=end, command="publish", reason="again"),
        e.AttemptStarted(at=end, command="publish", attempt=2),
        e.AttemptReturned(at=end + 66, command="publish", attempt=2, seconds=66.0),
        e.CommandSucceeded(at=end + 66, command="publish", attempt=2),
        e.RunEnded(at=end + 67, state="completed"),
    ]
    subjects = {item.subject: item for item in recommendations(timing(slow))}
    assert subjects["publish"].seconds == pytest.approx(35.0)  # half of 70


def test_needless_dependencies_and_vain_retries_are_told() -> None:
    """An edge that another way has already, and three attempts with one error."""
    failure = e.Failure(kind="exception", message="no such column")
    run = [
        e.RunStarted(at=0.0, run="r", workflow="w", slots=1),
        e.RunPlanned(at=0.0, commands={"a": {}, "b": {"upstream": ["a"]}, "c": {"upstream": ["a", "b"]}}),
    ]
    for attempt in (1, 2, 3):
        run += [
            e.AttemptStarted(at=2.0 * attempt, command="a", attempt=attempt),
            e.AttemptFailed(at=2.0 * attempt + 2, command="a", attempt=attempt, seconds=2.0, failure=failure),
        ]
    found = {item.subject: item for item in recommendations(timing(run))}
    assert found["a"].seconds == 4.0
    assert found["dependencies"].advice.endswith("c after a.")


# ── the arithmetic ──────────────────────────────────────────────────────────────────────────────────────────────


def test_limits_intervals_and_corrections() -> None:
    """Worked out by hand, or known from textbooks."""
    assert control_limits([1.0] * 7) is None
    limits = control_limits([10, 12, 10, 12, 10, 12, 10, 12])
    assert limits is not None
    assert limits == pytest.approx((11.0, 11 - 6 / 0.954, 11 + 6 / 0.954))
    assert pareto_front([(1, 5), (2, 6), (3, 6), (2, 4)], higher_is_better=True) == [0, 1]
    assert pareto_front([(1, 5), (2, 6), (3, 1), (2, 4)], higher_is_better=False) == [0, 3, 2]
    assert wilson(6, 20) == pytest.approx((0.1455, 0.5190), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
