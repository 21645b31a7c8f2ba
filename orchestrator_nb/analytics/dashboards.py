"""The four dashboards: what runs now, how performance went, what could be better, what quality had to do with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from typing_extensions import Unpack

from orchestrator_nb.analytics.figures import of_gates, of_history, of_quality, of_run
from orchestrator_nb.analytics.figures.figure import Figure, counted, length
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.material import ALL, Material, each_row
from orchestrator_nb.analytics.page import Page, Part, Table
from orchestrator_nb.analytics.patterns import patterns
from orchestrator_nb.analytics.recommendations import recommendations
from orchestrator_nb.analytics.selection import Filters
from orchestrator_nb.analytics.showing import front_ends
from orchestrator_nb.analytics.trends import last_values, recorded_most
from orchestrator_nb.data.flush import save_text
from orchestrator_nb.errors import UsageError
from orchestrator_nb.state.timing import Timing

LATEST = 20
"""Runs whose journals are read for what decided their end."""

MOST_METRICS, MOST_GATES = 4, 4
_LIVE = ("initializing", "executing", "recovering", "degraded", "paused", "completing", "stopping")


class Dashboard:
    """A dashboard over the runs of a history: shows itself in a notebook, and can be saved as one offline file.

    `name` says which, `filters` are those of `history`. In a notebook it is what a front end makes of it (see `showing`;
    Jupyter: controls, and figures that are made anew of the runs chosen), else the page in a frame of its own, which has
    filters itself.
    """

    def __init__(self, name: str, history: History, filters: Filters, page: Page) -> None:
        self.name = name
        self.history = history
        self.filters = filters
        self.page = page

    def narrowed(self, **filters: Unpack[Filters]) -> Dashboard:
        """Return the same dashboard of the runs that pass these filters instead, as the history is now."""
        return dashboard(self.name, self.history, **filters)

    @property
    def figures(self) -> dict[str, Figure]:
        """Its figures by name."""
        return {part.name: part for part in self.page.parts if isinstance(part, Figure)}

    def to_html(self) -> str:
        """Return the page, which asks no network for anything. Raises UsageError where plotly is not installed."""
        return self.page.to_html()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, atomically, and return its path. Raises StoreError where it cannot be written."""
        return save_text(Path(path), self.to_html())

    def _repr_html_(self) -> str:
        page = escape(self.to_html(), quote=True)
        frame = f'<iframe srcdoc="{page}" style="width:100%;height:820px;border:0" title="{escape(self.page.title)}"></iframe>'
        # Where no frame is kept, no style sheet is either: what is hidden here is what is read there.
        return f'{frame}<style>.onb-words{{display:none}}</style><div class="onb-words">{self.page.to_words()}</div>'

    def _ipython_display_(self) -> None:
        if not any(shown(self) for shown in front_ends):
            raise NotImplementedError  # IPython goes on to ask for the representations

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __repr__(self) -> str:
        return f"{self.page.title}: {self.page.lead}"


def dashboard(name: str, history: History, *, refresh: float | None = None, **filters: Unpack[Filters]) -> Dashboard:
    """Return the dashboard of that name: real-time, performance, opportunities or quality.

    `filters` are those of `History`; with `refresh` its page loads itself again every so many seconds. Raises UsageError
    for a name that there is not.
    """
    if name not in DASHBOARDS:
        raise UsageError(f'there is no dashboard "{name}"; there is {", ".join(DASHBOARDS)}')
    make, wanted = DASHBOARDS[name]
    return Dashboard(name, history, filters, make(Material(history, filters, wanted), refresh))


def _real_time(material: Material, refresh: float | None) -> Page:
    runs = material.runs.iloc[::-1]
    live = runs[runs["state"].isin(_LIVE)]
    shown = pd.concat([live, runs[~runs["state"].isin(_LIVE)]]).head(12)
    told = [
        [
            row.run, row.state, f"{row.succeeded + row.reused} of {row.commands}", row.running, row.waiting,
            row.failed + row.crashed, length(float(row.seconds)), row.reason or "",
        ]
        for row in each_row(shown)
    ]  # fmt: skip
    table = Table(
        title="Runs",
        text=f"{_going(len(live))}{_first(len(live))} The time is that for which somebody drove the run.",
        columns=["run", "state", "done", "running", "waiting", "failed", "time", "reason"],
        rows=told,
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
                [row.run, row.number, row.command or "", row.question, ", ".join(row.options)]
                for row in each_row(waiting)
            ],
        )
    )
    lead = f"{_going(len(live))} The figures are of {shown['run'].iloc[0]}." if len(shown) else "No runs."
    return material.page("Real time", lead, parts, refresh=refresh, wide=frozenset({"timeline"}))


def _first(count: int) -> str:
    return f" {'It comes' if count == 1 else 'They come'} first, then the latest." if count else ""


def _going(count: int) -> str:
    return f"{counted(count, 'run')} {'has' if count == 1 else 'have'} not ended." if count else "Every run has ended."


def _performance(material: Material, refresh: float | None) -> Page:
    runs, found = material.runs, material.digest
    parts = [
        of_history.durations(runs),
        of_history.time_spent(found),
        of_history.distribution(found),
        of_history.efficiency(runs),
        of_history.failures(found),
        of_history.checkpoint_history(material.frame("checkpoints")),
    ]
    lead = "How long runs and their commands took, where the time went, and what failed."
    return material.page(
        "Performance history", lead, parts, refresh=refresh, wide=frozenset({"durations", "checkpoints"})
    )


def _opportunities(material: Material, refresh: float | None) -> Page:
    runs = material.runs
    latest = material.timings([str(run) for run in runs["run"].iloc[::-1][:LATEST]])
    found = patterns(runs, material.digest, latest)
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
        of_history.time_spent(material.digest),
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


def _quality(material: Material, refresh: float | None) -> Page:
    decisions = material.frame("decisions")
    made = decisions[decisions["answer"].notna()]
    parts = [*quality_figures(material, metrics=MOST_METRICS), _ratings(material), _who_decided(made, material.runs)]
    lead = "What runs recorded about their quality, and what it has to do with the time that they took."
    return material.page("Quality and performance", lead, parts, refresh=refresh)


def quality_figures(material: Material, *, metrics: int) -> list[Part]:
    """Return each metric over time and against the time of runs, the verdicts of gates, and what each gate found."""
    recorded, gates, marked = material.frame("metrics"), material.frame("gates"), material.marks
    parts: list[Part] = []
    for name in recorded_most(recorded)[:metrics]:
        last = last_values(recorded, name)
        parts += [of_quality.trend(last, name, marked=marked), of_quality.tradeoff(material.runs, last, name)]
    if not parts:
        parts.append(of_quality.trend(recorded, "a metric"))
    parts.append(of_gates.verdicts(gates))
    return parts + [
        of_gates.gate_trend(gates, name, marked=marked) for name in of_gates.numeric_gates(gates)[:MOST_GATES]
    ]


def _ratings(material: Material) -> Table:
    """Return what people thought of runs, the latest first."""
    since = material.runs["started"].min()
    given = material.history.ratings(since=None if pd.isna(since) else since.timestamp() - 1e-6).iloc[::-1]
    rows = [
        [row.run, "" if pd.isna(row.stars) else "★" * row.stars + "☆" * (5 - row.stars), row.note, row.author, row.role]
        for row in each_row(given.head(30))
    ]
    mean = given["stars"].mean()
    told = f"{counted(len(given), 'rating')}, {mean:.1f} stars in the mean." if len(given) and not pd.isna(mean) else ""
    return Table(
        title="What people thought of runs",
        text=told or "Nobody has rated a run yet: orchestrator-nb rate RUN --stars 4 --note …",
        columns=["run", "stars", "note", "by", "role"],
        rows=rows,
    )


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


DASHBOARDS: dict[str, tuple[Callable[[Material, float | None], Page], Mapping[str, Collection[str]]]] = {
    "real-time": (_real_time, {"decisions": ALL["decisions"]}),
    "performance": (_performance, {"checkpoints": ALL["checkpoints"]}),
    "opportunities": (_opportunities, {}),
    "quality": (
        _quality,
        {
            "metrics": ("run", "workflow", "command", "name", "at", "value"),
            "gates": ("run", "workflow", "command", "gate", "verdict", "value", "expected", "at"),
            "checkpoints": ("run", "workflow", "taken", "boundary", "at"),
            "decisions": ALL["decisions"],
        },
    ),
}
"""The dashboards by name: what makes the page, and the columns that it needs of each frame."""
