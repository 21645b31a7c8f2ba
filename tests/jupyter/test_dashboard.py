"""Dashboards, reports and ratings in a notebook: objects, and controls that read the history anew."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator_nb import Workflow, context
from orchestrator_nb.analytics.dashboards import Dashboard, dashboard
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.reports import Report
from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.store import find_store
from orchestrator_nb.jupyter.dashboard import MIME, LiveDashboard
from orchestrator_nb.jupyter.verbs import do


@pytest.fixture
def runs(project) -> Path:
    """Two runs of one workflow with a metric and a tag, and one of another."""

    def measured(value: float) -> None:
        context.metric("rmse", value)

    for name, values in (("sales", (3.0, 2.0)), ("stock", (5.0,))):
        flow = Workflow(name, parameters={"value": 1.0})
        flow.command(measured, id="model", tags=["ml"] if name == "sales" else [])
        for value in values:
            flow.run(value=value)
    return Path(find_store(None))


def _drawn(live: LiveDashboard) -> dict[str, dict]:
    """The figures that are shown, by the sentence of each."""
    data = [output["data"] for output in live.parts.outputs]
    return {bundle["text/plain"].split(":")[0]: bundle[MIME] for bundle in data if MIME in bundle}


def _points(figure: dict) -> int:
    return sum(len(trace["x"]) for trace in figure["data"] if trace.get("mode") == "markers")


def test_controls_choose_what_is_drawn(runs: Path) -> None:
    """Workflow, tag and dates: each change reads the history, and figures and sentences are of the runs chosen."""
    live = LiveDashboard(dashboard("performance", History(runs)))
    assert live.workflow.options == ("all", "sales", "stock")
    assert live.tag.options == ("all", "ml")
    assert _points(_drawn(live)["Duration of runs"]) == 3
    live.workflow.value = "stock"
    assert _points(_drawn(live)["Duration of runs"]) == 1
    told = " ".join(output["data"]["text/plain"] for output in live.parts.outputs)
    assert "stock took" in told
    assert "sales" not in told
    live.workflow.value, live.tag.value = "all", "ml"
    assert _points(_drawn(live)["Duration of runs"]) == 2
    live.since.value = datetime.now().date() + timedelta(days=1)  # noqa: DTZ005 - local, as people mean it
    assert "Duration of runs" not in _drawn(live)
    assert "0 runs" in live.said.value
    live.since.value, live.until.value = None, date(2020, 1, 1)
    assert "0 runs" in live.said.value


def test_a_run_that_came_since_is_there_when_read_again(runs: Path) -> None:
    """The button reads the history as it is."""
    live = LiveDashboard(dashboard("quality", History(runs), workflow="sales"))
    assert live.workflow.value == "sales"
    assert len(_drawn(live)["rmse over time"]["data"][0]["y"]) == 2
    flow = Workflow("sales", parameters={"value": 1.0})
    flow.command(lambda value: context.metric("rmse", value), id="model")
    flow.run(value=1.5)
    live.again.click()
    assert _drawn(live)["rmse over time"]["data"][0]["y"] == [3.0, 2.0, 1.5]


def test_what_is_shown_is_plain_json(runs: Path) -> None:
    """So that every front end can draw it."""
    for name in ("real-time", "performance", "opportunities", "quality"):
        live = LiveDashboard(dashboard(name, History(runs)))
        json.dumps(live.parts.outputs, allow_nan=False)


def test_without_somebody_to_use_controls_it_is_a_page(runs: Path) -> None:
    """What papermill runs gets the page with filters of its own."""
    bundle = dashboard("performance", History(runs))._repr_mimebundle_()
    assert bundle["text/html"].startswith("<iframe")
    assert bundle["text/plain"].startswith("Performance history: How long")


def test_verbs_give_objects(runs: Path, tmp_path: Path) -> None:
    """Report, dashboard and ratings go on in Python."""
    made, _ = do("report", ["--kind", "quality", "--out", str(tmp_path / "quality.md")], {})
    assert isinstance(made, Report)
    assert (tmp_path / "quality.md").read_text().startswith("# Quality and what it had to do with performance: stock")
    board, _ = do("dashboard", ["quality", "--workflow", "sales"], {})
    assert isinstance(board, Dashboard)
    assert {entry.workflow for entry in board.page.runs} == {"sales"}
    run = str(History(runs).runs(workflow="stock")["run"][0])
    ratings, _ = do("rate", [run, "--stars", "4", "--note", "good", "--author", "ada", "--role", "analyst"], {})
    assert ratings[["run", "stars", "note", "author", "role"]].to_numpy().tolist() == [
        [run, 4, "good", "ada", "analyst"]
    ]
    with pytest.raises(UsageError, match="does not say how to write the report"):
        do("report", ["--out", "report.txt"], {})


def test_the_magic_leaves_the_object_in_the_session(shell, runs: Path) -> None:
    """`--to` names it, else it is what the cell gives."""
    shell.run_line_magic("workflow", "dashboard performance --to board")
    assert isinstance(shell.user_ns["board"], Dashboard)
    assert isinstance(shell.run_line_magic("workflow", "report latest"), Report)
