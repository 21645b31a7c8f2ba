"""Reports about a run or a history: summary, detailed, recommendations, quality, trends; Markdown, HTML, notebook.

Each is made of parts, and every figure among them has its sentence. In Markdown the sentences stand for the figures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator_nb.analytics.figures import of_history, of_quality, of_run
from orchestrator_nb.analytics.figures.figure import Figure, counted, length
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.page import Page, Part, Table, Words
from orchestrator_nb.analytics.patterns import patterns
from orchestrator_nb.analytics.recommendations import recommendations
from orchestrator_nb.analytics.summary import COMMAND_COLUMNS, command_rows, lead, markdown_table
from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL, find_run
from orchestrator_nb.state import RunState, fold
from orchestrator_nb.timing import Timing, timing

LATEST = 20
"""Earlier runs of the workflow whose journals are read."""

MOST_METRICS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report: its `title` and `parts`. A figure is found by its name: ``report["timeline"]``."""

    title: str
    lead: str
    parts: Sequence[Part]

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
                lines += [*markdown_table(part.columns, part.rows), "", part.text, ""]
            else:
                lines += [part.text, ""]
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
    return KINDS[kind](_Subject(history, folder, fold(events), timing(events)))


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
    runs = subject.history.runs(workflow=subject.workflow, until=subject.until)
    mine = subject.history.attempts(run=name)
    parts: list[Part] = [
        _said(subject), of_run.timeline(one), of_run.graph(one), of_run.resources(one), _commands(subject), table,
        of_history.durations(runs), of_history.failures(mine), _asked(subject), _advice(subject),
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
    runs = subject.history.runs(workflow=subject.workflow, until=subject.until)
    attempts = subject.history.attempts(workflow=subject.workflow, until=subject.until)
    latest = [
        timing(read(subject.history.store / str(run) / JOURNAL))
        for run in runs[runs["state"] != "damaged"]["run"][:LATEST]
    ]
    found = patterns(runs, attempts, latest)
    table = Table(
        title=f"Patterns in the history of {subject.workflow}",
        text="Each with what speaks for it."
        if found
        else "None: too few runs, or nothing beyond what chance would give.",
        columns=("kind", "what was found", "evidence"),
        rows=[(item.kind, item.words, item.evidence) for item in found],
    )
    parts: list[Part] = [_advice(subject), table, of_run.timeline(subject.timing), of_history.time_spent(attempts)]
    return Report(title=f"Recommendations for {subject.workflow}", lead=_lead(subject), parts=parts)


def _quality(subject: _Subject) -> Report:
    history = subject.history
    runs = history.runs(workflow=subject.workflow, until=subject.until)
    names = history.metric_names(workflow=subject.workflow, until=subject.until)[:MOST_METRICS]
    recorded = [
        (name, metric, f"{value:.6g}")
        for name, record in subject.state.commands.items()
        for metric, value in record.metrics.items()
    ]
    parts: list[Part] = [
        Table(
            title="What this run recorded",
            text="The metrics of each command." if recorded else "Nothing.",
            columns=("command", "metric", "value"),
            rows=recorded,
        )
    ]
    for name in names:
        values = history.trends(name, workflow=subject.workflow, until=subject.until)
        parts += [of_quality.trend(values, name), of_quality.tradeoff(runs, values, name)]
    parts.append(of_quality.verdicts(history.gates(workflow=subject.workflow, until=subject.until)))
    title = f"Quality and what it had to do with performance: {subject.workflow}"
    return Report(title=title, lead=_lead(subject), parts=parts)


def _trends(subject: _Subject) -> Report:
    history, workflow, until = subject.history, subject.workflow, subject.until
    runs = history.runs(workflow=workflow, until=until)
    attempts = history.attempts(workflow=workflow, until=until)
    parts: list[Part] = [
        of_history.durations(runs), of_history.efficiency(runs), of_history.distribution(attempts),
        of_history.failures(attempts), of_history.checkpoint_history(history.checkpoints(workflow=workflow, until=until)),
    ]  # fmt: skip
    names = history.metric_names(workflow=workflow, until=until)[:MOST_METRICS]
    parts += [of_quality.trend(history.trends(name, workflow=workflow, until=until), name) for name in names]
    changes = [item for item in patterns(runs, attempts) if item.kind in ("change", "time of day")]
    told = [str(item) for item in changes] or ["No lasting change of the duration can be told from these runs."]
    parts.insert(0, Words(title="What has changed", paragraphs=told))
    return Report(title=f"Trends of {workflow}", lead=_lead(subject), parts=parts)


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
