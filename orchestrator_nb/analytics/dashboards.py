"""The four dashboards: what runs now, how performance went, what could be better, what quality had to do with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from typing_extensions import Unpack

from orchestrator_nb.analytics.figures import of_history, of_quality, of_run
from orchestrator_nb.analytics.figures.figure import counted, length
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.page import Page, Part, RunEntry, Table
from orchestrator_nb.analytics.patterns import patterns
from orchestrator_nb.analytics.recommendations import recommendations
from orchestrator_nb.analytics.selection import Filters
from orchestrator_nb.errors import StoreError, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.timing import Timing, timing

MOST_RUNS = 3_000
"""Runs on a page, the latest; of more, that is said."""

LATEST = 20
"""Runs whose journals are read for what decided their end."""

MOST_METRICS = 4
_LIVE = ("initializing", "executing", "recovering", "degraded", "paused", "completing", "stopping")


class Dashboard:
    """A dashboard over the runs of a history: shows itself in a notebook, and can be saved as one offline file."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def to_html(self) -> str:
        """Return the page, which asks no network for anything. Raises UsageError where plotly is not installed."""
        return self.page.to_html()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, atomically, and return its path."""
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f".{place.name}.{os.getpid()}")
        fresh.write_text(self.to_html(), encoding="utf-8")
        os.replace(fresh, place)
        return place

    def _repr_html_(self) -> str:
        page = escape(self.to_html(), quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:820px;border:0" title="{escape(self.page.title)}"></iframe>'


def dashboard(name: str, history: History, *, refresh: float | None = None, **filters: Unpack[Filters]) -> Dashboard:
    """Return the dashboard of that name: real-time, performance, opportunities or quality.

    `filters` are those of `History`; with `refresh` its page loads itself again every so many seconds. Raises UsageError
    for a name that there is not.
    """
    if name not in DASHBOARDS:
        raise UsageError(f'there is no dashboard "{name}"; there is {", ".join(DASHBOARDS)}')
    return Dashboard(DASHBOARDS[name](_Material(history, filters), refresh))


class _Material:
    """What the dashboards are made of, each frame read when it is first asked for and for the runs on the page only."""

    def __init__(self, history: History, filters: Filters) -> None:
        self.history = history
        found = history.runs(**filters)
        self.whole = len(found)
        self.runs = found.iloc[:MOST_RUNS].iloc[::-1]
        self.tag = filters.get("tag")
        self._frames: dict[str, pd.DataFrame] = {}

    def frame(self, name: str) -> pd.DataFrame:
        """Return a frame of the runs on the page."""
        if name not in self._frames:
            since = self.runs["started"].min()
            bound: Filters = {} if pd.isna(since) else {"since": since.timestamp() - 1e-6}
            if self.tag is not None and name not in ("metrics", "checkpoints", "decisions", "gates"):
                bound["tag"] = self.tag
            found = getattr(self.history, name)(**bound)
            self._frames[name] = found[found["run"].isin(self.runs["run"])]
        return self._frames[name]

    def entries(self) -> list[RunEntry]:
        """Return the runs as filters know them."""
        attempts = self.frame("attempts")
        lost = attempts[attempts["outcome"].isin(["failed", "crashed", "abandoned", "interrupted"])]
        waste = lost.groupby(lost["run"].astype(str))["seconds"].sum().to_dict()
        tags: dict[str, set[str]] = {}
        commands = self.frame("commands")
        for run, some in zip(commands["run"].astype(str), commands["tags"], strict=True):
            if some is not None and len(some):
                tags.setdefault(run, set()).update(some)
        return [
            RunEntry(
                run=str(row.run),
                workflow=str(row.workflow),
                started=0.0 if pd.isna(row.started) else row.started.timestamp(),
                state=str(row.state),
                seconds=float(row.seconds),
                tags=sorted(tags.get(str(row.run), ())),
                retries=int(row.retries),
                waste=float(waste.get(str(row.run), 0.0)),
            )
            for row in _rows(self.runs)
        ]

    def timings(self, runs: Sequence[str]) -> list[Timing]:
        """Return where the time of these runs went; of those whose journals can be read."""
        found = []
        for run in runs:
            try:
                found.append(timing(read(self.history.store / run / JOURNAL)))
            except (StoreError, FileNotFoundError):
                continue
        return found

    def page(self, title: str, lead: str, parts: Sequence[Part], **options: Any) -> Page:
        """Return a page with what all have in common."""
        notes = [
            f"Made {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z} from {self.history.store}. Times in figures are UTC."
        ]
        if self.whole > len(self.runs):
            notes.append(f"The latest {len(self.runs):,} of {self.whole:,} runs are on this page.")
        return Page(title=title, lead=lead, parts=parts, runs=self.entries(), notes=notes, **options)


def _real_time(material: _Material, refresh: float | None) -> Page:
    runs = material.runs.iloc[::-1]
    live = runs[runs["state"].isin(_LIVE)]
    shown = pd.concat([live, runs[~runs["state"].isin(_LIVE)]]).head(12)
    rows = [
        [
            row.run, row.state, f"{row.succeeded + row.reused} of {row.commands}", row.running, row.waiting,
            row.failed + row.crashed, length(float(row.seconds)), row.reason or "",
        ]
        for row in _rows(shown)
    ]  # fmt: skip
    table = Table(
        title="Runs",
        text=f"{counted(len(live), 'run')} not ended, those first; then the latest. The time is that for which somebody "
        "drove the run.",
        columns=["run", "state", "done", "running", "waiting", "failed", "time", "reason"],
        rows=rows,
        workflows=[str(workflow) for workflow in shown["workflow"]],
    )
    parts: list[Part] = [table]
    for found in material.timings([str(run) for run in shown["run"].head(1)]):
        parts += [of_run.timeline(found), of_run.graph(found), of_run.resources(found)]
    decisions = material.frame("decisions")
    waiting = decisions[decisions["answer"].isna() & decisions["run"].isin(live["run"])]
    parts.append(
        Table(
            title="Open decisions",
            text="What waits for a person." if len(waiting) else "Nothing waits for a person.",
            columns=["run", "number", "command", "question", "answers"],
            rows=[
                [row.run, row.number, row.command or "", row.question, ", ".join(row.options)] for row in _rows(waiting)
            ],
        )
    )
    lead = (
        f"{counted(len(live), 'run')} not ended; the figures are of {shown['run'].iloc[0]}."
        if len(shown)
        else "No runs."
    )
    return material.page("Real time", lead, parts, refresh=refresh, wide=frozenset({"timeline"}))


def _performance(material: _Material, refresh: float | None) -> Page:
    runs, attempts = material.runs, material.frame("attempts")
    parts = [
        of_history.durations(runs),
        of_history.time_spent(attempts),
        of_history.distribution(attempts),
        of_history.efficiency(runs),
        of_history.failures(attempts),
        of_history.checkpoint_history(material.frame("checkpoints")),
    ]
    lead = "How long runs and their commands took, where the time went, and what failed."
    return material.page("Performance history", lead, parts, refresh=refresh, wide=frozenset({"durations"}))


def _opportunities(material: _Material, refresh: float | None) -> Page:
    runs, attempts = material.runs, material.frame("attempts")
    latest = material.timings([str(run) for run in runs["run"].iloc[::-1][:LATEST]])
    found = patterns(runs, attempts, latest)
    of_history_table = Table(
        title="Patterns in the history",
        text="Each with what speaks for it; nothing is claimed on few runs or what chance would give."
        if found
        else "No pattern stands out: too few runs, or nothing beyond what chance would give.",
        columns=["kind", "what was found", "evidence", "costs a run"],
        rows=[[item.kind, item.words, item.evidence, length(item.seconds) if item.seconds else ""] for item in found],
        workflows=[item.workflow for item in found],
    )
    advice = [(one, item) for one in _latest_of_each(latest) for item in recommendations(one)]
    of_run_table = Table(
        title="What the latest runs advise",
        text="From the figures of the latest run of each workflow; what it may save at the most."
        if advice
        else "The latest runs give nothing to advise.",
        columns=["workflow", "advice", "why", "may save"],
        rows=[
            [one.workflow, item.advice, item.why, length(item.seconds) if item.seconds else ""] for one, item in advice
        ],
        workflows=[one.workflow for one, _ in advice],
    )
    parts: list[Part] = [
        of_history_table,
        of_run_table,
        of_history.time_spent(attempts),
        of_history.efficiency(runs),
    ]
    parts += [of_run.timeline(one) for one in _latest_of_each(latest)[:1]]
    lead = "Where time goes that need not go: patterns with their evidence, and advice from the latest runs."
    return material.page("Optimization opportunities", lead, parts, refresh=refresh, wide=frozenset({"timeline"}))


def _latest_of_each(timings: Sequence[Timing]) -> list[Timing]:
    """Return the latest finished run of each workflow; the latest come first."""
    found: dict[str, Timing] = {}
    for one in timings:
        if not one.unfinished:
            found.setdefault(one.workflow, one)
    return list(found.values())


def _quality(material: _Material, refresh: float | None) -> Page:
    metrics = material.frame("metrics")
    counts = metrics.drop_duplicates(["run", "name"])["name"].astype(str).value_counts()
    names = sorted(counts.index, key=lambda name: (-counts[name], name))[:MOST_METRICS]
    parts: list[Part] = []
    for name in names:
        of = metrics[metrics["name"] == name]
        last = of.sort_values("at", kind="stable").drop_duplicates(["run", "command"], keep="last")
        parts += [of_quality.trend(last, name), of_quality.tradeoff(material.runs, last, name)]
    if not names:
        parts.append(of_quality.trend(metrics, "a metric"))
    parts += [of_quality.verdicts(material.frame("gates")), _ratings(material)]
    decisions = material.frame("decisions")
    made = decisions[decisions["answer"].notna()]
    parts.append(_who_decided(made, material.runs))
    lead = "What runs recorded about their quality, and what it has to do with the time that they took."
    return material.page("Quality and performance", lead, parts, refresh=refresh)


def _ratings(material: _Material) -> Table:
    """Return what people thought of runs, the latest first."""
    since = material.runs["started"].min()
    given = material.history.ratings(since=None if pd.isna(since) else since.timestamp() - 1e-6).iloc[::-1]
    rows = [
        [row.run, "" if pd.isna(row.stars) else "★" * row.stars + "☆" * (5 - row.stars), row.note, row.author, row.role]
        for row in _rows(given.head(30))
    ]
    mean = given["stars"].mean()
    told = f"{counted(len(given), 'rating')}, {mean:.1f} stars in the mean." if len(given) and not pd.isna(mean) else ""
    return Table(
        title="What people thought of runs",
        text=told or "Nobody has rated a run yet: orchestrator-nb rate RUN --stars 4 --note …",
        columns=["run", "stars", "note", "by", "role"],
        rows=rows,
    )


def _rows(frame: pd.DataFrame) -> Any:
    """Return the rows of a frame, whose columns are its own business."""
    return frame.itertuples()


def _who_decided(made: pd.DataFrame, runs: pd.DataFrame) -> Table:
    """Return how runs ended in which people decided, and in which the default was taken."""
    states = dict(zip(runs["run"].astype(str), runs["state"].astype(str), strict=True))
    rows = []
    alone = made["by_default"].fillna(value=False).astype(bool)
    for label, of in (("a person", made[~alone]), ("the default", made[alone])):
        if of.empty:
            continue
        ended = [states[run] for run in set(of["run"].astype(str)) if run in states]
        took = (of["answered"] - of["started"]).dt.total_seconds().median()
        rows.append(
            [label, len(of), f"{sum(state == 'completed' for state in ended)} of {len(ended)}", length(float(took))]
        )
    return Table(
        title="Automated against human decisions",
        text="How runs ended after decisions, by who made them." if rows else "No decision has been made yet.",
        columns=["decided by", "decisions", "runs completed", "time to the answer, median"],
        rows=rows,
    )


DASHBOARDS: dict[str, Callable[[_Material, float | None], Page]] = {
    "real-time": _real_time,
    "performance": _performance,
    "opportunities": _opportunities,
    "quality": _quality,
}
"""The dashboards by name."""
