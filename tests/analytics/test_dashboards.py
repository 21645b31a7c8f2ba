"""The dashboards: whole offline pages of small size, with filters; opened in a real browser where there is one."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import time
from base64 import b64decode
from html import unescape
from pathlib import Path

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.analytics.dashboards import DASHBOARDS, dashboard
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.page import MOST_BYTES, Page, Table, Words, plotly_js
from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.store import JOURNAL

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BEGIN = 1_767_225_600.0
ALL = pytest.mark.parametrize("name", list(DASHBOARDS))


def _data(html: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


@ALL
def test_a_dashboard_is_one_offline_page(store: Path, name: str) -> None:
    """plotly.js once, under six megabytes, and nothing in it that would be loaded from elsewhere."""
    html = dashboard(name, History(store)).to_html()
    assert len(html.encode()) < MOST_BYTES // 2
    (packed,) = re.findall(r'<script type="text/plain" id="plotly">(.*?)</script>', html, re.DOTALL)
    assert gzip.decompress(b64decode(packed)).decode() == plotly_js()
    assert "plotly.js v" not in html
    own = html[: html.index('<script type="application/json"')]
    assert not re.search(r'(src|href)="', own)
    assert "default-src 'none'" in own


def test_the_data_of_a_page_are_those_of_the_history(store: Path, named) -> None:
    """Runs with what filters ask for, and figures whose points name their runs by number."""
    data = _data(dashboard("performance", History(store)).to_html())
    runs = {run[-1]: run for run in data["runs"]}
    workflow, started, state, seconds, tags, retries, waste, _ = runs[named(1)]
    assert (workflow, state, seconds, retries, waste) == ("sales", "completed", 34.0, 1, 5.0)
    assert started == 1_767_225_600
    assert tags == ["daily", "etl", "ml"]
    points = data["figures"]["durations"]["data"][0]
    assert [data["runs"][run][-1] for run in points["runs"]] == [named(1), named(2)]
    assert points["y"] == [34.0, 68.0]


def test_filters_leave_out_runs(store: Path) -> None:
    """Given to the function, they are those of the history."""
    data = _data(dashboard("performance", History(store), workflow="other").to_html())
    assert {run[0] for run in data["runs"]} == {"other"}
    assert dashboard("performance", History(store), tag="nobody").page.runs == []


def test_an_empty_store_has_dashboards_too(tmp_path: Path) -> None:
    """They say that there is nothing."""
    for name in DASHBOARDS:
        assert "<h1>" in dashboard(name, History(tmp_path)).to_html()


def test_a_name_that_there_is_not_is_refused(store: Path) -> None:
    """With those that there are."""
    with pytest.raises(UsageError, match='no dashboard "ducks"; there is real-time, performance'):
        dashboard("ducks", History(store))


def test_what_runs_say_cannot_break_the_page() -> None:
    """Names and texts are data, never markup or script."""
    bad = '</script><img src=x onerror="alert(1)">'
    table = Table(title=bad, text=bad, columns=[bad], rows=[[bad]], workflows=[bad])
    html = Page(title=bad, lead=bad, parts=[table, Words(title=bad, paragraphs=[bad])]).to_html()
    assert "<img" not in html
    assert html.count("</script>") == 3


def test_in_a_notebook_it_is_a_frame(store: Path) -> None:
    """The same page, inside the cell."""
    shown = dashboard("quality", History(store))._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')


def test_pages_stay_small_at_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many runs as a page shows and more, twelve thousand checks, four metrics, and code that changes all the time."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    from bench_history import generate

    store = tmp_path / "runs"
    generate(store, 3_100, 6)
    for name in DASHBOARDS:
        made = dashboard(name, History(store))
        assert len(made.to_html().encode()) < 5_200_000
    verdicts = made.figures["verdicts"]
    assert sum(sum(trace["x"]) for trace in verdicts.data) == 12_000
    assert "Checks that passed are summed by" in verdicts.text
    assert "did not pass are summed" not in verdicts.text


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, sales_facts) -> Path:
    """A store of 24 runs of two workflows, half an hour apart, that differ in how long they took and what they recorded."""
    place = tmp_path_factory.mktemp("many") / "runs"
    for number in range(24):
        workflow = "sales" if number % 3 else "other"
        run = f"{workflow}-20260101-000000-{number:04x}"
        stretch = 1.0 + (number * 7 % 11) / 10 + (3.0 if number == 20 else 0.0)
        at = BEGIN + 86_400 * number + 7_200
        told = sales_facts(run, at, stretch=stretch, rmse=2.0 + (number * 5 % 13) / 7)
        gate = {"gate": "rmse < 3.5", "command": "model", "attempt": 2, "expected": "rmse < 3.5"}
        metric = next(fact for fact in told if isinstance(fact, e.MetricRecorded))
        verdict = "passed" if metric.value < 3.5 else "failed"
        told.insert(
            -5, e.GateChecked(at=at + 29 * stretch, verdict=verdict, value=metric.value, blocking=False, **gate)
        )
        kept = {
            "boundary": "completion",
            "id": f"{run}/1",
            "commit": "c0ffee",
            "files": number,
            "seconds": 0.01 * stretch,
        }
        told.insert(-1, e.CheckpointTaken(at=at + 34 * stretch, **kept))
        (place / run).mkdir(parents=True)
        journal = JournalFile(place / run / JOURNAL, durable=False, clock=time.time)
        journal.append(told)
        journal.close()
    return place


def _opened(page: Path, profile: Path, query: str) -> str:
    """Return what a browser without a network makes of a page."""
    assert BROWSER is not None
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--proxy-server=127.0.0.1:9", "--enable-logging=stderr"]
    done = subprocess.run(
        [
            BROWSER, *arguments, f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom",
            f"{page.as_uri()}?{query}",
        ],
        capture_output=True, text=True, timeout=55, check=True,
    )  # fmt: skip
    assert 'data-drawn="yes"' in done.stdout, done.stderr[-2000:]
    assert "Uncaught" not in done.stderr
    return done.stdout


@pytest.mark.skipif(BROWSER is None, reason="there is no browser")
@pytest.mark.parametrize("name", ["performance", "quality"])
@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("workflow=sales", {"workflow": "sales"}),
        ("since=2026-01-05&until=2026-01-20", {"since": "2026-01-05", "until": "2026-01-21"}),
        ("workflow=other&until=2026-01-07", {"workflow": "other", "until": "2026-01-08"}),
    ],
)
def test_the_sentences_follow_the_filters(many: Path, tmp_path: Path, name: str, query: str, filters: dict) -> None:
    """What the page says of the runs that are left is what Python says of a history of these runs alone."""
    history = History(many)
    page = dashboard(name, history).save(tmp_path / "page.html")
    shown = _opened(page, tmp_path / "profile", query)
    found = dict(re.findall(r'<p class="told" id="t-([^"]+)">([^<]*)</p>', shown))
    expected = {
        part.name: part.caption for part in dashboard(name, history, **filters).figures.values() if part.telling
    }
    assert len(expected) >= 4
    assert {figure: unescape(found[figure]) for figure in expected} == expected


@pytest.mark.skipif(BROWSER is None, reason="there is no browser")
@ALL
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_browser_draws_every_figure_without_a_network(store: Path, tmp_path: Path, name: str, theme: str) -> None:
    """The page runs to its end in a real browser: each figure drawn, the tiles counted, no error said."""
    made = dashboard(name, History(store))
    path = made.save(tmp_path / "page.html")
    shown = _opened(path, tmp_path / "profile", f"theme={theme}")
    assert f'data-theme="{theme}"' in shown
    drawn = len(_data(path.read_text(encoding="utf-8"))["figures"])
    assert shown.count('class="plot js-plotly-plot"') == drawn
    assert "<b>3</b><span>runs</span>" in shown
