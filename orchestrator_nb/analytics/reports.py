"""Reports about a run or a history: summary, detailed, recommendations, quality, trends; Markdown, HTML, notebook.

Each is made of parts, and every figure among them has its sentence. In Markdown the sentences stand for the figures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator_nb.analytics.dashboards import DASHBOARDS, quality_figures
from orchestrator_nb.analytics.figures import of_history, of_quality, of_run
from orchestrator_nb.analytics.figures.figure import Figure, counted, length, number
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.material import ALL, Material
from orchestrator_nb.analytics.page import Page, Part, Table, Words
from orchestrator_nb.analytics.patterns import patterns
from orchestrator_nb.analytics.recommendations import recommendations
from orchestrator_nb.analytics.report_notebook import write_notebook
from orchestrator_nb.analytics.summary import COMMAND_COLUMNS, command_rows, lead, markdown_table
from orchestrator_nb.analytics.trends import last_values, recorded_most
from orchestrator_nb.data.flush import folder_of, save_text
from orchestrator_nb.errors import StoreError, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL, find_run
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.timing import Timing, timing
from orchestrator_nb.state.transitions import IllegalTransition

LATEST = 20
"""Earlier runs of the workflow whose journals are read."""

MOST_METRICS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report: its `title` and `parts`. A figure is found by its name: ``report["timeline"]``."""

    title: str
    lead: str
    parts: Sequence[Part]
    kind: str = ""
    run: str = ""
    store: Path | None = None

    def save(self, path: str | os.PathLike[str], *, form: str = "") -> Path:
        """Write it to a file, atomically, and return its path: Markdown, one offline page, or a notebook that papermill
        has run; by `form` (md, html, ipynb), or else by how the file's name ends.

        Raises UsageError for another form, StoreError where it cannot be written.
        """
        place = Path(path).absolute()
        form = form or place.suffix[1:]
        if form == "ipynb" and self.store is not None:
            folder_of(place)
            write_notebook(place, self.title, self.lead, self.parts, kind=self.kind, run=self.run, store=self.store)
            return place
        texts = {"md": self.to_markdown, "html": self.to_html}
        if form not in texts:
            raise UsageError(f'"{place.name}" does not say how to write the report; expected .md, .html or .ipynb')
        return save_text(place, texts[form]())

    def __getitem__(self, name: str) -> Figure:
        for part in self.parts:
            if isinstance(part, Figure) and part.name == name:
                return part
        there = ", ".join(part.name for part in self.parts if isinstance(part, Figure))
        raise KeyError(f'there is no figure "{name}"; there is {there or "none"}')

    def to_markdown(self) -> str:
        """Return it as Markdown, each figure by its sentence."""
        lines = [f"# {self.title}", "", self.lead, ""]
        for part in self.parts:
            lines += [f"## {part.title}", ""]
            if isinstance(part, Words):
                for paragraph in part.paragraphs:
                    lines += [paragraph, ""]
            elif isinstance(part, Table):
                table = markdown_table(part.columns, part.rows)
                lines += [*table, *[""] * bool(table), part.text, ""]
            else:
                lines += [part.words, ""]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.to_markdown()

    def to_html(self) -> str:
        """Return it as one offline page. Raises UsageError where plotly is not installed."""
        made = f"Made {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}. Times in figures are UTC."
        wide = frozenset({"timeline", "durations", "graph"})
        return Page(title=self.title, lead=self.lead, parts=self.parts, notes=(made,), wide=wide).to_html()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def report(kind: str, run: str = "latest", *, store: str | os.PathLike[str] | None = None) -> Report:
    """Return a report about a run, or about the history of its workflow up to it.

    `kind` is summary, detailed, recommendations, quality or trends. Raises UsageError for another one, RunNotFound and
    StoreError.
    """
    if kind not in KINDS:
        raise UsageError(f'there is no report "{kind}"; there is {", ".join(KINDS)}')
    history = History(store)
    folder = find_run(history.store, run)
    events = list(read(folder / JOURNAL))
    try:
        subject = _Subject(history, folder, fold(events), timing(events))
    except IllegalTransition as error:
        raise StoreError(f'the journal "{folder / JOURNAL}" tells something impossible: {error}') from error
    made = KINDS[kind](subject)
    return replace(made, kind=kind, run=folder.name, store=history.store)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a report is about."""

    history: History
    folder: Path
    state: RunState
    timing: Timing

    @property
    def workflow(self) -> str:
        return self.state.run.workflow

    @property
    def until(self) -> float:
        """Up to this run, itself included."""
        return (self.state.run.started or 0.0) + 1e-6

    def material(self, wanted: Mapping[str, Collection[str]]) -> Material:
        """The runs of its workflow up to this one, and these columns of what belongs to them."""
        return Material(self.history, {"workflow": self.workflow, "until": self.until}, wanted)


def _said(subject: _Subject) -> Words:
    return Words(title="What it came to", paragraphs=lead(subject.timing, subject.state))


def _commands(subject: _Subject) -> Table:
    rows = command_rows(subject.timing, subject.state)
    more = len(subject.state.commands) - len(rows)
    text = "Times are those of all attempts together; memory is the most that the whole process tree had."
    if more > 0:
        text += f" {counted(more, 'command')} that went well and took less time are left out."
    return Table(title="Commands", text=text, columns=COMMAND_COLUMNS, rows=rows)


def _advice(subject: _Subject) -> Table:
    found = recommendations(subject.timing)
    return Table(
        title="What the figures of this run advise",
        text="What each may save at the most." if found else "Its figures give nothing to advise.",
        columns=("advice", "why", "may save"),
        rows=[(item.advice, item.why, length(item.seconds) if item.seconds else "") for item in found],
    )


def _summary(subject: _Subject) -> Report:
    parts: list[Part] = [_said(subject), of_run.timeline(subject.timing), _commands(subject), _advice(subject)]
    return Report(title=f"Summary of {subject.folder.name}", lead=_lead(subject), parts=parts)


def _detailed(subject: _Subject) -> Report:
    one, name = subject.timing, subject.folder.name
    attempts = [
        (
            span.command, span.attempt, span.outcome, length(span.waited), length(span.kernel) if span.kernel else "",
            length(span.execution), length(span.handing), span.failure.splitlines()[0][:120] if span.failure else "",
        )
        for span in one.spans[:500]
    ]  # fmt: skip
    columns = ("command", "attempt", "outcome", "waited", "kernel", "ran", "handing over", "failure")
    table = Table(
        title="Attempts",
        text="Where the time of each attempt went: waiting until it could start, starting its kernel, running, and handing it "
        "out and taking it back." + (f" The first 500 of {len(one.spans):,}." if len(one.spans) > 500 else ""),
        columns=columns,
        rows=attempts,
    )
    mine = Material(subject.history, {"run": name}, {}).digest
    parts: list[Part] = [
        _said(subject), of_run.timeline(one), of_run.graph(one), of_run.resources(one), _commands(subject), table,
        of_history.durations(subject.material({}).runs), of_history.failures(mine), _asked(subject), _advice(subject),
    ]  # fmt: skip
    return Report(title=f"Detailed report of {name}", lead=_lead(subject), parts=parts)


def _asked(subject: _Subject) -> Table:
    found: Any = subject.history.decisions(run=subject.folder.name)
    rows = [
        (row.number, row.command or "", row.question, row.answer or "open", row.person or "", row.note or "")
        for row in found.astype(object).where(found.notna(), None).itertuples()
    ]
    return Table(
        title="Decisions",
        text="What people were asked, and what they answered." if rows else "Nobody was asked anything.",
        columns=("number", "command", "question", "answer", "by", "note"),
        rows=rows,
    )


def _recommendations(subject: _Subject) -> Report:
    material = subject.material({})
    runs = material.runs
    latest = material.timings([str(run) for run in runs[runs["state"] != "damaged"]["run"].iloc[::-1][:LATEST]])
    found = patterns(runs, material.digest, latest)
    table = Table(
        title=f"Patterns in the history of {subject.workflow}",
        text="Each with what speaks for it."
        if found
        else "None: too few runs, or nothing beyond what chance would give.",
        columns=("kind", "what was found", "evidence"),
        rows=[(item.kind, item.words, item.evidence) for item in found],
    )
    parts: list[Part] = [
        _advice(subject),
        table,
        of_run.timeline(subject.timing),
        of_history.time_spent(material.digest),
    ]
    return Report(title=f"Recommendations for {subject.workflow}", lead=_lead(subject), parts=parts)


def _quality(subject: _Subject) -> Report:
    material = subject.material(DASHBOARDS["quality"][1])
    recorded = [
        (name, metric, number(value))
        for name, record in subject.state.commands.items()
        for metric, value in record.metrics.items()
    ]
    parts: list[Part] = [
        Table(
            title="What this run recorded",
            text="The metrics of each command." if recorded else "Nothing.",
            columns=("command", "metric", "value"),
            rows=recorded,
        ),
        *quality_figures(material, metrics=MOST_METRICS),
    ]
    title = f"Quality and what it had to do with performance: {subject.workflow}"
    return Report(title=title, lead=_lead(subject), parts=parts)


def _trends(subject: _Subject) -> Report:
    wanted = {"checkpoints": ALL["checkpoints"], "metrics": ALL["metrics"]}
    material = subject.material({**DASHBOARDS["quality"][1], **wanted})
    found, metrics = material.digest, material.frame("metrics")
    changes = [item for item in patterns(material.runs, found) if item.kind in ("change", "time of day")]
    told = [str(item) for item in changes] or ["No lasting change of the duration can be told from these runs."]
    parts: list[Part] = [
        Words(title="What has changed", paragraphs=told),
        of_history.durations(material.runs), of_history.efficiency(material.runs), of_history.distribution(found),
        of_history.failures(found), of_history.checkpoint_history(material.frame("checkpoints")),
    ]  # fmt: skip
    names = recorded_most(metrics)[:MOST_METRICS]
    parts += [of_quality.trend(last_values(metrics, name), name, marked=material.marks) for name in names]
    return Report(title=f"Trends of {subject.workflow}", lead=_lead(subject), parts=parts)


def _lead(subject: _Subject) -> str:
    run = subject.state.run
    began = datetime.fromtimestamp(run.started or 0.0).astimezone()
    return f"{subject.folder.name}, {subject.state.phase}, began {began:%Y-%m-%d %H:%M:%S %Z}"


KINDS: dict[str, Callable[[_Subject], Report]] = {
    "summary": _summary,
    "detailed": _detailed,
    "recommendations": _recommendations,
    "quality": _quality,
    "trends": _trends,
}
"""The kinds of report by name."""
