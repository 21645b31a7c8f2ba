"""What attempts come to: sums that lose nothing, however many runs are one group."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from orchestrator_nb.analytics import digest
from orchestrator_nb.analytics.figures import of_history
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.marks import bound_of, marks
from orchestrator_nb.analytics.material import Material

KINDS = ["ran", "kernel", "waited", "lost"]


def _of(store: Path, **filters) -> digest.Digest:
    return Material(History(store), filters, {}).digest


def test_each_run_is_a_group_where_there_are_few(store: Path, named) -> None:
    """Of the two runs of sales, every command with what became of its time."""
    found = _of(store, workflow="sales")
    rows = found.spent.set_index(["run", "command"])[KINDS]
    assert found.by == "run"
    assert rows.loc[(named(1), "model")].tolist() == [10.0, 0.0, 1.0, 5.0]
    assert rows.loc[(named(2), "clean")].tolist() == [19.0, 1.0, 0.0, 0.0]
    assert found.tried == {("sales", "clean"): 2, ("sales", "model"): 2, ("sales", "stats"): 2, ("sales", "publish"): 2}
    assert found.waste == {named(1): 5.0, named(2): 10.0}
    assert (found.many, found.commands) == (8, 4)


def test_many_runs_are_summed_by_time(store: Path, named, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost, the group bears the id of its first run, and figures say how it is summed."""
    whole = _of(store).spent[KINDS].sum()
    monkeypatch.setattr(digest, "MOST_ROWS", 10)
    found = _of(store)
    assert found.by == "week"
    assert set(found.spent["run"]) == {named(1), named(3, "other")}
    assert found.spent[KINDS].sum().tolist() == pytest.approx(whole.tolist())
    of = found.spent.set_index(["run", "command"])[KINDS]
    assert of.loc[(named(1), "model")].tolist() == [30.0, 0.0, 3.0, 15.0]  # of both runs of that week
    figure = of_history.time_spent(found)
    assert "summed by week" in figure.text
    assert figure.text.endswith(figure.note)


def test_commands_beyond_the_most_are_one(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that take least time, with what they come to together."""
    monkeypatch.setattr(digest, "MOST_COMMANDS", 2)
    spent = _of(store, workflow="sales").spent.groupby("command")[KINDS].sum()
    assert sorted(spent.index) == [digest.OTHERS, "model", "stats"]
    assert spent.loc[digest.OTHERS].tolist() == pytest.approx(
        [40.5, 1.5, 0.0, 0.0]
    )  # clean and publish, 34 and 68 s runs


def test_failures_are_counted_with_their_cause(store: Path, named) -> None:
    """One for each of the two runs."""
    failed = _of(store, workflow="sales").failed
    assert sorted(failed.to_numpy().tolist()) == [
        [named(1), "model", "TimeoutError", 1],
        [named(2), "model", "TimeoutError", 1],
    ]


def test_trouble_has_all_attempts_of_what_failed(store: Path, named) -> None:
    """The failed one and the one that returned, of the command that failed alone."""
    trouble = _of(store, run=named(1)).trouble
    assert list(trouble["command"].astype(str)) == ["model", "model"]
    assert list(trouble["outcome"].astype(str)) == ["failed", "returned"]


def test_a_run_that_is_not_chosen_counts_for_nothing(store: Path, named) -> None:
    """Neither in sums nor in counts, whatever else is in the same file."""
    found = _of(store, run=named(2))
    assert set(found.spent["run"]) == {named(2)}
    assert found.spent[KINDS].sum().sum() == pytest.approx(82.0)  # twice 41


@pytest.mark.parametrize(
    ("said", "bound"),
    [
        ("rmse < 3.5", ("rmse", "<", 3.5)), ("model.rows >= 100", ("model.rows", ">=", 100.0)),
        ("0.5 <= score", ("score", ">=", 0.5)), ("at most 3 findings of ruff", ("", "<=", 3.0)),
        ("all tests pass, at least 80 % of the lines covered", ("", ">=", 80.0)), ("rows >= 0.9 * baseline.rows", None),
        ("no secret in what it left", None),
    ],
)  # fmt: skip
def test_the_threshold_of_a_gate_is_read_from_its_words(said: str, bound: tuple | None) -> None:
    """Where they compare with a number; else there is none."""
    found = bound_of(said)
    assert (None if found is None else (found.name, found.sign, found.level)) == bound


def test_marks_are_where_something_changed() -> None:
    """The run in which a fingerprint is new, those with deviations, and checkpoints of whole runs."""
    at = pd.date_range("2026-01-01", periods=3, tz="UTC")
    runs = pd.DataFrame({"run": ["a", "b", "c"], "deviations": [{}, {"model": ["late"]}, {}]})
    changed = pd.DataFrame({"run": ["b"], "workflow": "w", "command": "model", "at": at[1:2]})
    gates = pd.DataFrame(
        {"run": ["a", "b"], "workflow": "w", "command": "model", "at": at[:2], "expected": ["rmse < 3.5", "rows > 1"]}
    )
    checkpoints = pd.DataFrame(
        {"run": ["a", "b"], "workflow": "w", "taken": True, "boundary": ["command", "completion"], "at": at[:2]}
    )
    found = marks(runs, changed, gates, checkpoints)
    assert list(found.changes["run"]) == ["b"]
    assert found.deviating == {"b"}
    assert list(found.checkpoints["run"]) == ["b"]
    assert found.thresholds("rmse")[["run", "level", "sign"]].to_numpy().tolist() == [["a", 3.5, "<"]]
