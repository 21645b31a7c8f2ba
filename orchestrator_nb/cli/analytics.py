"""The verbs about what runs tell: trends, reports, dashboards, ratings."""

from __future__ import annotations

import json
import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator_nb.cli.options import GivenRun, Json, RunName, Store
from orchestrator_nb.drawing.columns import in_columns


class ReportKind(str, Enum):
    """What a report is about."""

    summary = "summary"
    detailed = "detailed"
    recommendations = "recommendations"
    quality = "quality"
    trends = "trends"


class ReportFormat(str, Enum):
    """How a report is written; two of them have two names."""

    md = "md"
    markdown = "markdown"
    html = "html"
    ipynb = "ipynb"
    notebook = "notebook"


_ENDINGS = {ReportFormat.markdown: "md", ReportFormat.notebook: "ipynb"}


class DashboardName(str, Enum):
    """Which dashboard."""

    all = "all"
    real_time = "real-time"
    performance = "performance"
    opportunities = "opportunities"
    quality = "quality"


Workflow = Annotated[str | None, typer.Option(help="Only runs of this workflow.")]
Since = Annotated[str | None, typer.Option(metavar="DATE", help="Only runs that began then or later.")]
Until = Annotated[str | None, typer.Option(metavar="DATE", help="Only runs that began before.")]
Tag = Annotated[str | None, typer.Option(help="Only runs with a command of this tag.")]


def trends(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A metric, or seconds, busy, efficiency, overhead.")
    ] = "seconds",
    workflow: Workflow = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="How many values, the latest.")] = 20,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figure there, as one page.")] = None,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Show a figure over runs: how long they took, how efficient they were, or a metric that they recorded."""
    from orchestrator_nb.analytics.figures.of_quality import trend
    from orchestrator_nb.analytics.history import History
    from orchestrator_nb.analytics.trends import RUN_FIGURES
    from orchestrator_nb.errors import UsageError

    history = History(store)
    found = history.trends(name, workflow=workflow, since=since, until=until)
    if found.empty and name not in (known := history.metric_names(workflow=workflow)) and not as_json:
        if name in RUN_FIGURES:
            raise UsageError(f'there is nothing to tell of "{name}": no run that has ended fits, in "{history.store}"')
        raise UsageError(f'no run has recorded "{name}"; there is {", ".join([*RUN_FIGURES, *known])}')
    figure = trend(found, name)
    if html is not None:
        from orchestrator_nb.analytics.page import Page
        from orchestrator_nb.data.flush import save_text

        save_text(html, Page(title=figure.title, lead="", parts=[figure]).to_html())
    latest: Any = found.tail(limit)
    rows = [
        {
            "run": row.run,
            "command": row.command if isinstance(row.command, str) else None,
            "at": row.at.timestamp(),
            "value": float(row.value),
        }
        for row in latest.itertuples()
    ]
    if as_json:
        print(json.dumps({"name": name, "values": rows}, ensure_ascii=False))
        return
    shown = [("run", "command", name)]
    shown += [(row["run"], row["command"] or "", f"{row['value']:.6g}") for row in rows]
    print("\n".join([*in_columns(shown), figure.words]))


def report(
    run: RunName = "latest",
    kind: Annotated[ReportKind, typer.Option(help="What it is about.")] = ReportKind.summary,
    form: Annotated[
        ReportFormat | None,
        typer.Option("--format", help="How it is written. Default: as the name of the file ends, else Markdown."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to. Default: Markdown on stdout, else the run's folder.")
    ] = None,
    store: Store = None,
) -> None:
    """Write a report about a run, or about its workflow up to it: Markdown, one offline page, or a notebook."""
    from orchestrator_nb.analytics.reports import report as make
    from orchestrator_nb.journal.store import find_run, find_store

    folder = find_run(find_store(store), run)
    made = make(kind.value, folder.name, store=folder.parent)
    ending = "" if form is None else _ENDINGS.get(form, form.value)
    if out is None and ending in ("", "md"):
        print(made.to_markdown())
        return
    print(made.save(out or folder / f"{kind.value}.{ending}", form=ending))


def dashboard(
    name: Annotated[DashboardName, typer.Argument(help="Which one.")] = DashboardName.all,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where to; of one dashboard also a file whose name ends in .html.")
    ] = Path("dashboards"),
    workflow: Workflow = None,
    since: Since = None,
    until: Until = None,
    tag: Tag = None,
    refresh: Annotated[
        float | None,
        typer.Option(min=1.0, metavar="SECONDS", help="Go on writing them, and let open pages load again."),
    ] = None,
    store: Store = None,
) -> None:
    """Write the dashboards, each as one page that needs no network: real time, performance, opportunities, quality."""
    import time

    from orchestrator_nb.analytics.dashboards import DASHBOARDS
    from orchestrator_nb.analytics.dashboards import dashboard as make
    from orchestrator_nb.analytics.history import History
    from orchestrator_nb.errors import UsageError

    names = list(DASHBOARDS) if name is DashboardName.all else [name.value]
    is_file = out.suffix.lower() in (".html", ".htm") and not out.is_dir()
    if is_file and len(names) > 1:
        raise UsageError(
            f'"{out}" is one file, and there are {len(names)} dashboards; name one of them ({", ".join(names)}), or a folder'
        )
    history = History(store)
    first = True
    while first or refresh is not None:
        for each in names:
            made = make(each, history, refresh=refresh, workflow=workflow, since=since, until=until, tag=tag)
            path = made.save(out if is_file else out / f"{each}.html")
            if first:
                print(path)
        first = False
        if refresh is not None:
            time.sleep(refresh)


def rate(
    run: GivenRun,
    stars: Annotated[int | None, typer.Option(min=1, max=5, help="From 1 to 5.")] = None,
    note: Annotated[str, typer.Option(help="What there is to say.")] = "",
    author: Annotated[str, typer.Option(help="Who says it. Default: the user.")] = "",
    role: Annotated[str, typer.Option(help="As what: analyst, reviewer …")] = "",
    about: Annotated[str, typer.Option(metavar="SUBJECT", help="The recommendation that it is about.")] = "",
    store: Store = None,
) -> None:
    """Say what you think of a run, or of a recommendation: stars, a note, or both."""
    from orchestrator_nb.orchestrator.attaching import attach

    found = attach(run, store=store)
    found.rate(stars, note=note, author=author or os.environ.get("USER", ""), role=role, about=about)
    print(f"noted for {found.id}")
