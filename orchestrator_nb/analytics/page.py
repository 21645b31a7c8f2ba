"""One offline page: figures with their sentences, tables, tiles, and filters by date, workflow and tag.

The page has the data of its figures and plotly.js once, packed, and asks no network for anything.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from orchestrator_nb.analytics.figures.figure import TEMPLATE, Figure, finite
from orchestrator_nb.drawing.bare import drawn
from orchestrator_nb.errors import UsageError

MOST_BYTES = 6_000_000
"""What a page may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table on a page; a row may belong to a run, by `runs`, or to a workflow, by `workflows`."""

    title: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    runs: Sequence[str] = ()
    workflows: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Paragraphs under a heading."""

    title: str
    paragraphs: Sequence[str]


Part = Figure | Table | Words


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """A run as the filters know it; `started` is seconds since the epoch."""

    run: str
    workflow: str
    started: float
    state: str
    seconds: float
    tags: Sequence[str] = ()
    retries: int = 0
    waste: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is on a page, from top to bottom. With `refresh` it loads itself again every so many seconds."""

    title: str
    lead: str
    parts: Sequence[Part]
    runs: Sequence[RunEntry] = ()
    notes: Sequence[str] = ()
    refresh: float | None = None
    tiles: bool = True
    wide: frozenset[str] = field(default_factory=frozenset)

    def to_html(self) -> str:
        """Return the page. Raises UsageError where plotly is not installed."""
        drawn = [part for part in self.parts if isinstance(part, Figure) and not part.is_empty]
        numbers = {entry.run: place for place, entry in enumerate(self.runs)}
        data = {
            "runs": [_entry(entry) for entry in self.runs],
            "figures": {figure.name: _numbered(figure, numbers) for figure in drawn},
            "template": TEMPLATE,
        }
        refresh = f'<meta http-equiv="refresh" content="{self.refresh:g}">' if self.refresh else ""
        return _asset("page.html").format(
            title=escape(self.title),
            refresh=refresh,
            style=_asset("page.css"),
            lead=escape(self.lead),
            filters=_filters(self.runs),
            tiles='<section class="tiles" id="tiles" aria-live="polite"></section>' if self.tiles and self.runs else "",
            parts="\n".join(self._part(part) for part in self.parts),
            notes="".join(f"<p>{escape(note)}</p>" for note in self.notes),
            data=_safe(data),
            plotly=_packed_plotly() if drawn else "",
            script=_asset("telling.js") + _asset("page.js"),
        )

    def to_words(self) -> str:
        """Return what is on the page as HTML without scripts: sentences, tables, and figures as SVG."""
        told = "".join(map(_words, self.parts))
        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in self.notes)
        count = f"{len(self.runs):,} run{'' if len(self.runs) == 1 else 's'}."
        return f"<div><h2>{escape(self.title)}</h2><p>{escape(self.lead)} {count}</p>{told}{notes}</div>"

    def _part(self, part: Part) -> str:
        if isinstance(part, Words):
            told = "".join(f"<p>{escape(text)}</p>" for text in part.paragraphs)
            return f'<section class="card wide"><h2>{escape(part.title)}</h2>{told}</section>'
        if isinstance(part, Table):
            return _table(part)
        wide = " wide" if part.name in self.wide or part.height > 900 else ""
        text = f'<p class="told">{escape(part.caption)}</p>'
        heading = f'<h2 id="h-{escape(part.name)}">{escape(part.title)}</h2>'
        if part.is_empty:
            return f'<section class="card wide">{heading}{text}</section>'
        drawn = (
            f'<div class="plot" id="plot-{escape(part.name)}" style="min-height:{part.height}px" role="img" '
            f'aria-labelledby="h-{escape(part.name)}" aria-describedby="t-{escape(part.name)}"></div>'
        )
        text = text.replace('<p class="told">', f'<p class="told" id="t-{escape(part.name)}">')
        return f'<section class="card{wide}">{heading}{drawn}{text}</section>'


@cache
def plotly_js() -> str:
    """Return the text of plotly.js. Raises UsageError where plotly is not installed."""
    try:
        return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    except (ImportError, FileNotFoundError) as error:
        raise UsageError('figures need plotly: pip install "orchestrator-nb[analytics]"') from error


@cache
def _packed_plotly() -> str:
    return b64encode(gzip.compress(plotly_js().encode(), compresslevel=4, mtime=0)).decode("ascii")


@cache
def _asset(name: str) -> str:
    return files("orchestrator_nb.analytics").joinpath("assets", name).read_text(encoding="utf-8")


def _entry(entry: RunEntry) -> list[Any]:
    seconds, waste = round(entry.seconds, 3), round(entry.waste, 3)
    return [
        entry.workflow,
        round(entry.started),
        entry.state,
        seconds,
        list(entry.tags),
        entry.retries,
        waste,
        entry.run,
    ]


def _numbered(figure: Figure, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return what plotly draws, with the number of its run for each point instead of the id; -1 is no run here."""
    spec = figure.spec()
    layout = {key: value for key, value in spec["layout"].items() if key != "template"}
    told = {
        "telling": figure.telling,
        "about": {**(figure.about or {})},
        "note": f"{figure.note} {figure.marks}".strip(),
        "text": figure.caption,
    }
    return {"data": [_trace(trace, numbers) for trace in spec["data"]], "layout": layout, **told}


def _trace(trace: Mapping[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    ids = trace.get("ids")
    if ids is None:
        return {**trace}
    found = {key: value for key, value in trace.items() if key != "ids"}
    if found.get("text") == ids:  # the page has the ids once
        del found["text"]
    return {**found, "runs": [numbers.get(run, -1) for run in ids]}


def _safe(data: Any) -> str:
    """Return JSON that can stand inside a script element."""
    text = json.dumps(finite(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _filters(runs: Sequence[RunEntry]) -> str:
    if len(runs) < 2:
        return ""
    workflows = sorted({entry.workflow for entry in runs})
    tags = sorted({tag for entry in runs for tag in entry.tags})
    return (
        '<form class="filters" id="filters" aria-label="Filters">'
        f"{_choice('workflow', 'Workflow', workflows)}{_choice('tag', 'Tag', tags)}"
        '<label>From <input type="date" name="since"></label><label>Until <input type="date" name="until"></label>'
        '<button type="reset">All</button><output id="chosen"></output></form>'
    )


def _choice(name: str, label: str, options: Sequence[str]) -> str:
    if not options:
        return ""
    items = "".join(f"<option>{escape(option)}</option>" for option in options)
    return f'<label>{label} <select name="{name}"><option value="">all</option>{items}</select></label>'


def _words(part: Part) -> str:
    """Return a part as HTML without scripts and styles."""
    heading = f"<h3>{escape(part.title)}</h3>"
    if isinstance(part, Words):
        return heading + "".join(f"<p>{escape(text)}</p>" for text in part.paragraphs)
    if isinstance(part, Table):
        return f"{heading}{plain_table(part)}<p>{escape(part.text)}</p>"
    return f"{heading}{drawn(part.to_svg())}<p>{escape(part.caption)}</p>"


def plain_table(table: Table) -> str:
    """Return a table as plain HTML, empty where it has no rows."""
    if not table.rows:
        return ""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _table(table: Table) -> str:
    first = table.rows[0] if table.rows else [""] * len(table.columns)
    head = "".join(
        f"<th scope=col{' class=number' if _is_number(value) else ''}>{escape(column)}</th>"
        for column, value in zip(table.columns, first, strict=True)
    )
    rows = []
    for place, row in enumerate(table.rows):
        of = f' data-run="{escape(table.runs[place])}"' if table.runs else ""
        of += f' data-workflow="{escape(table.workflows[place])}"' if table.workflows else ""
        rows.append(f"<tr{of}>{''.join(_cell(value) for value in row)}</tr>")
    body = f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    shown = body if rows else ""
    return f'<section class="card wide"><h2>{escape(table.title)}</h2>{shown}<p class="told">{escape(table.text)}</p></section>'


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if _is_number(value):
        return f'<td class="number">{value:,}</td>'
    text = str(value)
    states = ("completed", "failed", "error", "stopped", "executing", "paused", "recovering", "degraded", "damaged")
    mark = f' class="state {text}"' if text in states else ""
    return f"<td{mark}>{escape(text)}</td>"
