"""Reports about a run: readable by somebody who was not there, in three formats, from Python and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.analytics.figures.figure import Figure
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.reports import KINDS, report
from orchestrator_nb.analytics.summary import markdown_table, summary_markdown
from orchestrator_nb.cli.main import run_command_line
from orchestrator_nb.errors import StoreError, UsageError
from orchestrator_nb.orchestrator.attaching import attach
from orchestrator_nb.state.run_state import fold
from orchestrator_nb.state.timing import timing


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_report_can_be_read_and_drawn(store: Path, named, kind: str) -> None:
    """Markdown with a sentence for each figure, and one offline page."""
    made = report(kind, named(2), store=store)
    text = made.to_markdown()
    assert text.startswith(f"# {made.title}\n\n{named(2)}, completed, began ")
    for part in made.parts:
        assert f"\n## {part.title}\n" in text
        if isinstance(part, Figure):
            assert part.text in text
    html = made.to_html()
    assert html.count("plotly.js v") <= 1
    assert "Made 20" in html


def test_a_summary_says_what_became_of_the_run(store: Path, named) -> None:
    """How it ended, how long it took, what decided that, and a row for each command."""
    text = report("summary", named(1), store=store).to_markdown()
    assert "is completed. It took 34 s; of its 4 commands: 4 succeeded." in text
    assert "for 39 s together, 57% of the time of its 2 slots, 1.15 times as fast" in text
    assert "Attempts that came to nothing took 5.0 s, waits 2.0 s." in text
    assert "What decided its end: clean → model → publish." in text
    assert "| model | succeeded | 2 | 15 s | 1.0 s |  |  |  |" in text
    assert "| clean | succeeded | 1 | 10 s | 0 s | 8.0 s | 200 MB |  |" in text


def test_a_report_is_about_the_history_up_to_its_run(store: Path, named) -> None:
    """What came later is no part of it."""
    durations = report("trends", named(1), store=store)["durations"]
    assert durations.data[0]["y"] == [34.0]


def test_quality_has_what_the_run_recorded(store: Path, named) -> None:
    """Its own metrics as a table, those of its workflow as figures."""
    made = report("quality", named(2), store=store)
    assert "| model | rmse | 4 |" in made.to_markdown()
    assert made["trend-rmse"].data[0]["y"] == [3.0, 4.0]
    with pytest.raises(KeyError, match='no figure "ducks"; there is trend-rmse'):
        _ = made["ducks"]


def test_a_report_that_there_is_not_is_refused(store: Path) -> None:
    """With those that there are."""
    with pytest.raises(UsageError, match='no report "ducks"; there is summary, detailed'):
        report("ducks", store=store)


def test_tables_cannot_be_broken_by_what_is_in_them() -> None:
    """Bars, line ends and tags are escaped."""
    assert markdown_table(("a",), [["x|y\nz<b>"]]) == ["| a |", "|---|", "| x\\|y z&lt;b> |"]
    assert markdown_table(("a",), []) == []


def test_a_short_summary_needs_no_frames(facts, named) -> None:
    """From the facts alone: deviations, next steps, what went wrong."""
    found = facts(named(1))[:9]
    found += [
        e.AttemptFailed(
            at=2.0,
            command="model",
            attempt=1,
            seconds=1.0,
            failure=e.Failure(kind="exception", message="no | column\nat"),
        ),
        e.DeviationRecorded(at=3.0, command="model", text="it was optional"),
    ]
    state = fold(found)
    text = summary_markdown(timing(found), state, next_steps=("to go on: …",))
    assert "no \\| column |" in text
    assert "- model: it was optional" in text
    assert "    to go on: …" in text


def test_the_command_line_writes_reports(store: Path, named, capsys, tmp_path: Path) -> None:
    """Markdown on stdout, a page to a file."""
    assert run_command_line(["report", named(1), "--store", str(store)]) == 0
    assert capsys.readouterr().out.startswith("# Summary of ")
    page = tmp_path / "page.html"
    arguments = [
        "report",
        named(1),
        "--kind",
        "detailed",
        "--format",
        "html",
        "--out",
        str(page),
        "--store",
        str(store),
    ]
    assert run_command_line(arguments) == 0
    assert "Detailed report of" in page.read_text(encoding="utf-8")


def test_the_command_line_shows_trends(store: Path, named, capsys, tmp_path: Path) -> None:
    """As a table, as JSON, as a page; a name that nobody recorded is an error with those that there are."""
    assert run_command_line(["trends", "rmse", "--store", str(store)]) == 0
    assert f"{named(2)}  model    4" in capsys.readouterr().out
    page = tmp_path / "trend.html"
    assert run_command_line(["trends", "--json", "--html", str(page), "--store", str(store)]) == 0
    values = json.loads(capsys.readouterr().out)["values"]
    assert [row["value"] for row in values] == [34.0, 68.0]
    assert page.stat().st_size > 10_000
    assert run_command_line(["trends", "ducks", "--store", str(store)]) == 2
    assert 'no run has recorded "ducks"; there is seconds, busy, efficiency, overhead, rmse' in capsys.readouterr().err
    assert run_command_line(["trends", "--store", str(tmp_path / "empty")]) == 2
    assert 'nothing to tell of "seconds": no run that has ended fits' in capsys.readouterr().err


def test_the_command_line_writes_dashboards(store: Path, capsys, tmp_path: Path) -> None:
    """All four, or one."""
    assert run_command_line(["dashboard", "--out", str(tmp_path / "d"), "--store", str(store)]) == 0
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [
        "opportunities.html", "performance.html", "quality.html", "real-time.html",
    ]  # fmt: skip
    assert run_command_line(["dashboard", "quality", "--out", str(tmp_path / "e"), "--store", str(store)]) == 0
    assert len(list((tmp_path / "e").iterdir())) == 1


def test_one_dashboard_is_a_file_where_its_name_says_so(store: Path, capsys, tmp_path: Path) -> None:
    """And four of them are not: that is refused, and nothing is written."""
    file = tmp_path / "q.html"
    assert run_command_line(["dashboard", "--out", str(file), "--store", str(store)]) == 2
    assert f'"{file}" is one file, and there are 4 dashboards; name one of them' in capsys.readouterr().err
    assert not file.exists()
    assert run_command_line(["dashboard", "quality", "--out", str(file), "--store", str(store)]) == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_name_of_its_file_says_how_a_report_is_written(store: Path, named, tmp_path: Path) -> None:
    """Unless a format is asked for, by either of its names."""
    of = ["report", named(1), "--store", str(store), "--out"]
    assert run_command_line([*of, str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert run_command_line([*of, str(tmp_path / "r.txt")]) == 2
    assert run_command_line([*of, str(tmp_path / "r.txt"), "--format", "markdown"]) == 0
    assert (tmp_path / "r.txt").read_text(encoding="utf-8").startswith("# Summary of ")


def test_a_summary_claims_no_speed_up_where_there_is_none(tmp_path: Path, named, write) -> None:
    """One command at a time gains nothing of its two slots."""
    facts = [
        e.RunStarted(at=0.0, run=named(1), workflow="sales", slots=2, owner={"pid": 1}),
        e.RunPlanned(at=0.0, commands={"a": {"kind": "call"}}),
        e.AttemptStarted(at=1.0, command="a", attempt=1),
        e.AttemptReturned(at=3.0, command="a", attempt=1, seconds=2.0),
        e.CommandSucceeded(at=3.0, command="a", attempt=1),
        e.RunCompleting(at=3.0),
        e.RunEnded(at=4.0, state="completed"),
    ]
    text = report("summary", named(1), store=write(named(1), facts)).to_markdown()
    assert (
        "Its attempts ran for 2.0 s together, 25% of the time of its 2 slots, no faster than one after the other."
        in text
    )
    assert "\n\n\n" not in report("detailed", named(1), store=tmp_path / "runs").to_markdown()


def test_people_say_what_they_think_of_a_run(store: Path, named, capsys) -> None:
    """Stars, notes, author and role are kept in the store, and are a frame."""
    run = attach(named(1), store=store)
    run.rate(4, note="good", author="ada", role="analyst")
    arguments = ["rate", named(2), "--note", "slow", "--author", "bob", "--about", "slots", "--store", str(store)]
    assert run_command_line(arguments) == 0
    assert capsys.readouterr().out == f"noted for {named(2)}\n"
    first, second = History(store).ratings().itertuples()
    assert (first.run, first.stars, first.note, first.author, first.role) == (named(1), 4, "good", "ada", "analyst")
    assert (second.run, second.note, second.about) == (named(2), "slow", "slots")
    assert len(History(store).ratings(run=named(1))) == 1
    with pytest.raises(UsageError, match="1 to 5 stars; found 6"):
        run.rate(6)
    with pytest.raises(UsageError, match="found neither"):
        run.rate()


def test_a_run_shows_its_figures(store: Path, named) -> None:
    """Timeline, graph and reports from the run itself."""
    run = attach(named(1), store=store)
    assert run.timeline().name == "timeline"
    assert run.graph().name == "graph"
    assert run.timing().seconds == 34.0
    assert run.report("recommendations").title == "Recommendations for sales"


@pytest.mark.kernel
def test_a_notebook_report_has_been_run(store: Path, named, tmp_path: Path) -> None:
    """Papermill ran it: every cell has its output, the figures as plotly knows them and as SVG."""
    import nbformat

    path = tmp_path / "report.ipynb"
    arguments = ["report", named(1), "--format", "notebook", "--out", str(path), "--store", str(store)]
    assert run_command_line(arguments) == 0
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs)
    assert not any(output.output_type == "error" for output in outputs)
    told = [output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs]
    assert any("took 34 s" in text for text in told)
    assert any("<svg" in output.get("data", {}).get("text/html", "") for output in outputs)
    assert list(tmp_path.glob(".*")) == []
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", ())]
    assert tags == ["parameters"]  # said once


def test_a_journal_that_tells_something_impossible_is_refused(named, facts, write) -> None:
    """With its path and what is wrong, as the other commands refuse it."""
    store = write(named(1), [*facts(named(1))[:3], *facts(named(1))[2:]])
    with pytest.raises(StoreError, match="tells something impossible"):
        report("summary", named(1), store=store)
