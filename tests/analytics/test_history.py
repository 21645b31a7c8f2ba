"""Frames of a history: columns, filters, live runs, and the Parquet file beside the index."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest

import orchestrator_nb
from orchestrator_nb import events as e
from orchestrator_nb.analytics import cache, overview
from orchestrator_nb.analytics.frames import FRAMES
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.selection import selection
from orchestrator_nb.errors import UsageError

BEGIN = 1_767_225_600.0


def test_runs_are_a_row_each_with_their_figures(store: Path, named) -> None:
    """The latest first, the one under way included, with states as people see them."""
    runs = History(store).runs()
    assert list(runs["run"]) == [named(3, "other"), named(2), named(1)]
    assert list(runs["state"]) == ["executing", "completed", "completed"]
    assert list(runs["seconds"][1:]) == [68.0, 34.0]
    assert runs["started"][2] == pd.Timestamp("2026-01-01", tz="UTC")
    assert runs["parameters"][2] == {"day": "x"}
    assert list(runs["under_way"][1:]) == [64.0, 32.0]
    assert (runs["busy"][2], runs["retries"][2], runs["succeeded"][2]) == (39.0, 1, 4)


def test_attempts_say_what_they_waited_for_and_what_they_took(store: Path, named) -> None:
    """Waits are from when it could have started; what was not measured is missing, not nought."""
    attempts = History(store).attempts(run=named(1)).set_index(["command", "attempt"])
    assert attempts["waited"].to_dict() == {
        ("clean", 1): 0.0, ("model", 1): 0.0, ("stats", 1): 1.0, ("model", 2): 1.0, ("publish", 1): 0.0,
    }  # fmt: skip
    clean, model = attempts.loc["clean", 1], attempts.loc["model", 1]
    assert (clean["kernel_seconds"], clean["kernel_way"]) == (0.5, "forked")
    assert (clean["cpu"], clean["memory"], clean["read"], clean["received"]) == (8.0, 200_000_000, 1_000, 30_000)
    assert pd.isna(model["cpu"])
    assert pd.isna(model["memory"])
    assert (model["outcome"], model["failure_type"]) == ("failed", "builtins.TimeoutError")


def test_commands_have_their_sums_and_tags(store: Path, named) -> None:
    """All attempts of a command together, its tags and what it comes after."""
    commands = History(store).commands(run=named(1)).set_index("command")
    assert commands["spent"].to_dict() == {"clean": 10.0, "model": 15.0, "stats": 10.0, "publish": 4.0}
    assert commands["waited"]["model"] == 1.0
    assert list(commands["tags"]["clean"]) == ["etl", "daily"]
    assert list(commands["upstream"]["publish"]) == ["model", "stats"]


def test_cells_and_metrics_are_rows(store: Path, named) -> None:
    """A cell has its duration and memory, a metric its number."""
    history = History(store)
    (cell,) = history.cells(run=named(1)).itertuples()
    assert (cell.seconds, cell.status, cell.peak_memory) == (8.0, "completed", 150_000_000)
    metrics = history.metrics(workflow="sales")
    assert sorted(metrics["value"]) == [3.0, 4.0]
    assert set(metrics["command"]) == {"model"}


def test_events_are_the_facts_in_order(store: Path, named, facts) -> None:
    """Every recorded fact with its number, its moment and what it says besides."""
    events = History(store).events(run=named(1))
    assert list(events["kind"]) == [type(fact).__name__ for fact in facts(named(1))]
    assert list(events["seq"]) == list(range(1, len(events) + 1))
    (rmse,) = events[events["kind"] == "MetricRecorded"].itertuples()
    assert (rmse.command, rmse.attempt, rmse.details) == ("model", 2, {"name": "rmse", "value": 3.0})
    assert set(History(store).events(run=named(1), command="stats")["command"]) == {"stats"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"workflow": "sales"}, {1, 2}),
        ({"workflow": ["sales", "other"], "state": "completed"}, {1, 2}),
        ({"state": "executing"}, {3}),
        ({"since": BEGIN + 1}, {2, 3}),
        ({"since": datetime(2026, 1, 2, tzinfo=timezone.utc), "until": BEGIN + 2 * 86_400}, {2}),
        ({"since": "2026-01-01T00:00:00+00:00", "until": "2026-01-02T00:00:00+00:00"}, {1}),
        ({"since": timedelta(seconds=1)}, set()),
        ({"tag": "etl"}, {1, 2, 3}),
        ({"tag": "nobody"}, set()),
    ],
)
def test_filters_choose_runs(store: Path, filters: dict, expected: set[int]) -> None:
    """By workflow, state, moment and tag, one or several."""
    found = {int(run.rsplit("-", 1)[1], 16) for run in History(store).runs(**filters)["run"]}
    assert found == expected


def test_filters_choose_rows_of_runs(store: Path, named) -> None:
    """States are those of the rows asked for, tags those of the commands."""
    history = History(store)
    assert set(history.commands(tag="ml")["command"]) == {"model"}
    assert set(history.attempts(tag="ml", run=named(2))["command"]) == {"model"}
    assert list(history.attempts(state="failed")["failure_message"]) == ["the source is away"] * 2
    assert set(history.commands(state="pending")["run"]) == {named(3, "other")}
    assert len(history.metrics(tag="etl")) == 0


def test_a_moment_that_is_none_is_refused(store: Path) -> None:
    """The message names what was given and what is expected."""
    with pytest.raises(UsageError, match='"soon" is no moment; expected a date'):
        History(store).runs(since="soon")


def test_every_column_is_documented_and_has_the_dtype_that_it_says(store: Path) -> None:
    """Name, dtype, unit and meaning of every column of every frame, empty frames included."""
    history = History(store)
    told = history.columns()
    assert set(told["frame"]) == set(FRAMES)
    assert (told["meaning"].str.len() > 5).all()
    for frame in FRAMES:
        for made in (getattr(history, frame)(), getattr(history, frame)(workflow="nobody")):
            of = told[told["frame"] == frame].set_index("column")["dtype"]
            assert {column: str(dtype) for column, dtype in made.dtypes.items()} == of.to_dict()
    with pytest.raises(UsageError, match='there is no frame "ducks"'):
        history.columns("ducks")


def test_an_empty_store_has_empty_frames(tmp_path: Path) -> None:
    """Nothing is written where there are no runs."""
    history = History(tmp_path / "none")
    assert len(history.runs()) == len(history.commands()) == len(history.events()) == 0
    assert not (tmp_path / "none").exists()


def test_a_run_that_goes_on_is_in_the_frames_at_once(store: Path, named, facts, write) -> None:
    """Every call looks at the journals again."""
    history = History(store)
    assert len(history.attempts(run=named(3, "other"))) == 3
    write(named(3, "other"), facts(named(3, "other"), BEGIN + 2 * 86_400)[10:])
    assert len(history.attempts(run=named(3, "other"))) == 5
    assert set(history.runs()["state"]) == {"completed"}


def test_the_root_hands_it_on() -> None:
    """`from orchestrator_nb import History` is the way to it."""
    assert orchestrator_nb.History is History


# ── the file of rows ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file be worth its while for a few rows."""
    monkeypatch.setattr(cache, "WORTH", 3)


def _same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    keys = ["run", "command"]
    one, other = (frame.astype(dict.fromkeys(keys, "object")).sort_values(keys) for frame in (one, other))
    lists = [column for column in one.columns if column in ("upstream", "tags")]
    columns = [column for column in one.columns if column not in lists]
    for column in lists:
        assert [[*items] for items in one[column]] == [[*items] for items in other[column]]
    pd.testing.assert_frame_equal(
        one[columns].reset_index(drop=True), other[columns].reset_index(drop=True), check_categorical=False
    )


@pytest.mark.usefixtures("_small")
def test_rows_from_the_file_are_those_of_the_index(store: Path, named, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written at the first reading, read afterwards, with filters of runs and without."""
    history = History(store)
    path = cache.path_of(store, "commands")
    history.commands()
    assert path.exists()
    read, of_sales = history.commands(), history.commands(workflow="sales", since=BEGIN + 5)
    monkeypatch.setattr(cache, "WORTH", 10**9)
    _same(read, history.commands())
    _same(of_sales, history.commands(run=named(2)))


@pytest.mark.usefixtures("_small")
def test_a_frame_from_the_file_can_be_written_to(store: Path) -> None:
    """Whoever asked for it owns it; the next one is as the history says."""
    history = History(store)
    history.commands()
    read = history.commands()
    before = read.iloc[0].copy()
    for column, value in (
        ("seconds", 1e9),
        ("position", 77),
        ("returned", False),
        ("started", pd.Timestamp(0, tz="UTC")),
    ):
        read.loc[0, column] = value
    read["command"] = read["command"].cat.add_categories(["ducks"])
    read.loc[0, "command"] = "ducks"
    assert (read.loc[0, "command"], read.loc[0, "seconds"], read.loc[0, "position"]) == ("ducks", 1e9, 77)
    again = history.commands().iloc[0]
    assert (again["command"], again["seconds"], again["started"]) == (
        before["command"],
        before["seconds"],
        before["started"],
    )
    assert list(history.commands(command="clean")["tags"].explode().unique()) == ["etl", "daily"]


@pytest.mark.usefixtures("_small")
def test_what_the_file_does_not_know_comes_from_the_index(store: Path, named, facts, write, monkeypatch) -> None:
    """A run that went on, a new one, and one that was deleted: never a row that is not true."""
    history = History(store)
    history.commands()
    monkeypatch.setattr("orchestrator_nb.analytics.frames.STALE", 10.0)  # it is not written anew
    before = cache.path_of(store, "commands").read_bytes()
    write(named(3, "other"), facts(named(3, "other"), BEGIN + 2 * 86_400)[10:])
    write(named(4), facts(named(4), BEGIN + 9))
    (store / named(1) / "journal.jsonl").unlink()
    found = history.commands()
    assert cache.path_of(store, "commands").read_bytes() == before
    assert sorted(set(found["run"])) == sorted([named(2), named(3, "other"), named(4)])
    assert set(found["state"]) == {"succeeded"}


@pytest.mark.usefixtures("_small")
def test_a_file_that_cannot_be_read_is_written_anew(store: Path) -> None:
    """Whatever is in its place: nothing is lost."""
    history = History(store)
    path = cache.path_of(store, "commands")
    path.write_bytes(b"no table")
    assert len(history.commands()) == 12
    assert path.read_bytes()[:6] == b"ARROW1"


@pytest.mark.usefixtures("_small")
def test_sums_are_those_worked_out_by_hand(store: Path) -> None:
    """By workflow and by command, from the file and the index together."""
    sums = {row["workflow"]: row for row in overview.of_runs(History(store))}
    assert (sums["sales"]["runs"], sums["sales"]["completed"], sums["sales"]["seconds"]) == (2, 2, 51.0)
    assert sums["other"]["completed"] == 0
    rows = {(row["workflow"], row["command"]): row for row in overview.of_commands(History(store))}
    model = rows["sales", "model"]
    assert (model["runs"], model["seconds"], model["spent"], model["retries"]) == (2, 15.0, 45.0, 2)
    assert model["waited"] == 3.0
    chosen = selection(workflow="sales", until=BEGIN + 1)
    assert overview.of_commands(History(store), chosen)[0]["spent"] == 15.0


def test_the_facts_of_a_damaged_run_are_those_before_the_damage(store: Path, named) -> None:
    """A journal that does not verify is told as damaged, and gives the facts that do."""
    path = store / named(1) / "journal.jsonl"
    text = path.read_bytes().replace(b'"value":3.0', b'"value":1.0').replace(b'"value":3,', b'"value":1,')
    path.write_bytes(text)
    history = History(store)
    assert history.runs(run=named(1))["state"][0] == "damaged"
    kinds = set(history.events(run=named(1))["kind"])
    assert "RunStarted" in kinds
    assert e.RunEnded.__name__ not in kinds


def test_checkpoints_and_decisions_are_rows(tmp_path: Path, named, write) -> None:
    """What was kept and what could not be, what was asked and what somebody answered."""
    facts = [
        e.RunStarted(at=1.0, run=named(1), workflow="sales", owner={"pid": 1}),
        e.RunPlanned(at=1.0, commands={"a": {"kind": "call"}}),
        e.AttemptStarted(at=1.0, command="a", attempt=1),
        e.AttemptFailed(
            at=2.0, command="a", attempt=1, seconds=1.0, failure=e.Failure(kind="exception", message="no")
        ),
        e.DecisionRequested(at=2.0, number=1, question="again?", options=("retry", "stop"), command="a", default="stop"),
        e.DecisionMade(at=5.0, number=1, answer="retry", command="a", note="once more", by={"user": "ada"}),
        e.CheckpointTaken(at=6.0, boundary="command", id="r/1", commit="c0ffee", files=3, seconds=0.25, command="a", attempt=1),
        e.CheckpointSkipped(at=7.0, boundary="completion", reason="there is no git"),
    ]  # fmt: skip
    history = History(write(named(1), facts))
    (decision,) = history.decisions().itertuples()
    assert (decision.question, list(decision.options), decision.answer) == ("again?", ["retry", "stop"], "retry")
    assert (decision.person, decision.note, (decision.answered - decision.started).total_seconds()) == (
        "ada", "once more", 3.0,
    )  # fmt: skip
    taken, skipped = history.checkpoints().itertuples()
    assert (taken.taken, taken.id, taken.files, taken.seconds) == (True, "r/1", 3, 0.25)
    assert (skipped.taken, skipped.reason) == (False, "there is no git")
    assert history.attempts()["checkpoint_seconds"][0] == 0.25


def test_gates_are_rows_and_their_time_is_that_of_the_attempt(tmp_path: Path, named, write) -> None:
    """Verdict, number and time of each check, also where the checks of one attempt came at different times."""
    begun = [
        e.RunStarted(at=1.0, run=named(1), workflow="sales", owner={"pid": 1}),
        e.RunPlanned(at=1.0, commands={"a": {"kind": "call", "steps": ["gate rmse", "gate rows"]}}),
        e.AttemptStarted(at=1.0, command="a", attempt=1),
        e.AttemptReturned(at=2.0, command="a", attempt=1, seconds=1.0),
        e.GateChecked(at=2.5, gate="rmse", verdict="passed", command="a", attempt=1, value=3.5, seconds=0.5),
    ]
    history = History(write(named(1), begun))
    assert history.attempts()["gate_seconds"][0] == 0.5
    write(
        named(1),
        [e.GateChecked(at=3.0, gate="rows", verdict="failed", command="a", attempt=1, value="none", seconds=0.25)],
    )
    passed, failed = history.gates().itertuples()
    assert (passed.gate, passed.verdict, passed.value, passed.blocking) == ("rmse", "passed", 3.5, True)
    assert (failed.gate, failed.verdict, pd.isna(failed.value)) == ("rows", "failed", True)
    assert history.attempts()["gate_seconds"][0] == 0.75
    assert list(history.gates(state="failed")["gate"]) == ["rows"]


@pytest.mark.usefixtures("_small")
def test_gates_from_the_file_are_those_of_the_index(tmp_path: Path, named, write, monkeypatch) -> None:
    """Those of a run that is newer than the file included, however many of the events of a run are checks."""
    for number, run in enumerate((named(1), named(2, "other"), named(3))):
        begun = [
            e.RunStarted(at=BEGIN + number, run=run, workflow=run.partition("-")[0], owner={"pid": 1}),
            e.RunPlanned(at=BEGIN + number, commands={"a": {"kind": "call", "steps": ["gate rmse"]}}),
            e.AttemptStarted(at=BEGIN + number, command="a", attempt=1),
            e.AttemptReturned(at=BEGIN + 2, command="a", attempt=1, seconds=1.0),
            e.GateChecked(
                at=BEGIN + 9 - number, gate="rmse", verdict="passed", command="a", attempt=1, value=number / 2
            ),
        ]
        history = History(write(run, begun))
        if number == 1:
            history.gates()
            assert cache.path_of(history.store, "gates").exists()
            monkeypatch.setattr("orchestrator_nb.analytics.frames.STALE", 10.0)  # it is not written anew
    read = history.gates()
    of_sales = history.gates(workflow="sales")
    monkeypatch.setattr(cache, "WORTH", 10**9)
    of_index = history.gates()
    _same(read, of_index)
    assert list(read["value"]) == list(of_index["value"]) == [1.0, 0.5, 0.0]  # the oldest first
    assert list(of_sales["value"]) == [1.0, 0.0]


def test_a_history_shows_itself_as_text_and_as_a_table(store: Path, named, tmp_path: Path) -> None:
    """How many runs of which states there are, and the latest with when they began; names are told as text, not markup."""
    history = History(store)
    told = f'History of "{store}": 3 runs of 2 workflows, 2 completed, 1 executing'
    assert repr(history) == f"<{told}>"
    html = history._repr_html_()
    assert told.replace('"', "&quot;") in html
    assert html.index(named(3, "other")) < html.index(named(2)) < html.index(named(1))
    assert html.count("<tr>") == 1 + 3
    assert "2026-01-01 00:00:00" in html
    empty = History(tmp_path / "a<b>")
    assert repr(empty) == f'<History of "{tmp_path / "a<b>"}": no runs>'
    assert "a<b>" not in empty._repr_html_()
