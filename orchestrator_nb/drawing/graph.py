"""The graph of a workflow as SVG: commands as boxes from left to right, the critical path and inferred edges marked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise

from msgspec import Struct

from orchestrator_nb.drawing.bare import SEEN
from orchestrator_nb.drawing.dense import STYLE as SQUARES
from orchestrator_nb.drawing.dense import field
from orchestrator_nb.drawing.icons import ICONS
from orchestrator_nb.drawing.layers import Layout, lay_out
from orchestrator_nb.drawing.theme import variables

LETTER = 7.0
"""The width of a letter, roughly."""
LONGEST = 26
"""Longer labels are shortened; the whole is in the tooltip."""
NOTE = 13.0
"""So much room, in letters, has the note of a box whose note changes while a run is under way."""
MOST = 300
"""Above so many commands boxes show nothing that a person could see: each is a small square then."""
MOST_SQUARES = 3_000
"""Above so many a picture shows nothing at all."""

_ROW, _HEIGHT, _GAP, _MARGIN = 50.0, 36.0, 52.0, 12.0
_SIGN = 22.0
"""The room that the shape of a state takes at the left of a box."""

_STYLE = (
    f"{SEEN}"
    f".onb-graph{{{variables()}}}"
    ".onb-graph text{font:600 12px var(--onb-font);fill:var(--onb-ink)}"
    ".onb-graph text.note{font-size:10.5px;font-weight:400;fill:var(--onb-soft)}"
    ".onb-graph .box{fill:var(--onb-paper);stroke:var(--onb-edge)}"
    ".onb-graph .tint{fill:var(--c,transparent);opacity:.09}"
    ".onb-graph .bar{fill:var(--c,var(--onb-edge))}.onb-graph .sign{fill:var(--c,var(--onb-soft))}"
    ".onb-graph .critical .box{stroke:var(--onb-warn);stroke-width:2}"
    ".onb-graph .edge{fill:none;stroke:var(--onb-edge);stroke-width:1.3}.onb-graph .inferred{stroke-dasharray:5 3}"
    ".onb-graph .edge.critical{stroke:var(--onb-warn);stroke-width:2}.onb-graph .heads{fill:var(--onb-edge)}"
    ".onb-graph [data-state=succeeded],.onb-graph [data-state=reused]{--c:var(--onb-good)}"
    ".onb-graph [data-state=running]{--c:var(--onb-live)}"
    ".onb-graph [data-state=failed],.onb-graph [data-state=crashed]{--c:var(--onb-bad)}"
    ".onb-graph [data-state=waiting],.onb-graph [data-state=upstream_failed],.onb-graph [data-state=cancelled]"
    "{--c:var(--onb-warn)}"
    ".onb-graph [data-state] .box{stroke:var(--c,var(--onb-edge))}"
    ".onb-graph [data-state=pending] .box,.onb-graph [data-state=skipped] .box{stroke-dasharray:3 3}"
    ".onb-graph [data-state=running] .box{stroke-width:2}"
)


class Box(Struct, frozen=True, kw_only=True):
    """What a box shows: its label, a `note` below it, and the `title` that is shown on hovering; in the picture of a
    run also the `state` of the command and the `fraction` of it that is done, from 0 to 1."""

    label: str
    note: str = ""
    title: str = ""
    state: str = ""
    fraction: float | None = None


def graph_svg(
    upstream: Mapping[str, Sequence[str]],
    *,
    boxes: Mapping[str, Box],
    critical: Sequence[str] = (),
    inferred: Collection[tuple[str, str]] = (),
    reasons: Mapping[tuple[str, str], str] | None = None,
    title: str = "",
    paper: bool = True,
    clickable: bool = False,
) -> str:
    """Return a picture of a graph as SVG, in the colours of the theme where it is part of a page.

    `upstream` gives the commands in an order in which they can run, `critical` is the path to mark, `inferred` are the
    edges (upstream, downstream) to draw dashed, `reasons` what is shown when the pointer is on an edge.
    Without `paper` the page shows through. Each box says what it stands for in ``data-node`` and ``data-state``, so
    that a script can bring it up to date; `clickable` ones can be reached with the keyboard.
    """
    if MOST < len(upstream) <= MOST_SQUARES:
        told = {name: (box.state, box.title or box.label) for name, box in boxes.items()}
        wide, tall, squares = field(upstream, told)
        return _svg(wide, tall, title, f"<style>{SQUARES}</style>{squares}", paper=paper)
    if len(upstream) > MOST:
        return _words(f"{title}: {len(upstream):,} commands, more than a picture can show".lstrip(": "))
    layout = lay_out(upstream)
    widths = [max((_width(boxes[name]) for name in column), default=0.0) for column in layout.columns]
    lefts = [_MARGIN + sum(widths[:number]) + _GAP * number for number in range(len(widths))]
    marked = set(pairwise(critical))
    parts = [
        _edge(pair, layout, lefts, widths, pair in marked, pair in inferred, (reasons or {}).get(pair, ""))
        for pair in sorted(layout.ways, key=lambda pair: pair in marked)
    ]
    ends = {pair[1]: layout.rows[pair[1]] for pair in layout.ways}
    parts.append(_heads((lefts[column], _middle(row)) for column, row in ends.values()))
    for name in upstream:
        column, row = layout.rows[name]
        left, top = lefts[column], _MARGIN + row * _ROW
        parts.append(_box(name, boxes[name], left, top, widths[column], name in critical, clickable))
    rows = [row for _, row in layout.rows.values()] + [row for way in layout.ways.values() for row in way]
    height = 2 * _MARGIN + max(rows, default=0.0) * _ROW + _HEIGHT
    width = _MARGIN + sum(widths) + _GAP * max(0, len(widths) - 1) + _MARGIN
    return _svg(width, height, title, "".join(parts), paper=paper)


def _svg(width: float, height: float, title: str, body: str, *, paper: bool = True) -> str:
    ground = '<rect width="100%" height="100%" fill="var(--onb-ground)"/>' if paper else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="onb-graph" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="{"img" if paper else "group"}" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>{ground}{body}</svg>"
    )


def _words(text: str) -> str:
    width = 2 * _MARGIN + LETTER * len(text)
    return _svg(width, _HEIGHT + _MARGIN, text, f'<text x="{_MARGIN}" y="{_HEIGHT - 6:.0f}">{escape(text)}</text>')


def _width(box: Box) -> float:
    note = NOTE if box.state else 0.85 * len(_shortened(box.note))
    return max(56.0, LETTER * max(len(_shortened(box.label)), note) + 20 + (_SIGN if box.state else 0))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 9]}…{text[-8:]}"


def _box(name: str, box: Box, left: float, top: float, width: float, critical: bool, clickable: bool) -> str:
    start = left + 10 + (_SIGN if box.state else 0)
    first = top + (16 if box.note or box.state else 22)
    told = escape(box.title or box.label)
    shape = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_HEIGHT:.0f}" rx="6"'
    parts = [f'<title>{told}</title><rect class="box" {shape}/>']
    data = ""
    if box.state:
        reached = 'tabindex="0" role="button"' if clickable else 'role="img"'
        data = f' data-node="{escape(name)}" data-state="{box.state}" data-width="{width:.1f}" {reached} aria-label="{told}"'
        done = width * min(1.0, max(0.0, box.fraction or 0.0))
        parts.append(f'<rect class="tint" {shape}/>')
        parts.append(
            f'<svg x="{left + 9:.1f}" y="{top + 10:.1f}" width="16" height="16" viewBox="0 0 16 16">'
            f'<path class="sign" fill-rule="evenodd" d="{ICONS[box.state]}"/></svg>'
            f'<rect class="bar" x="{left + 4:.1f}" y="{top + _HEIGHT - 3:.1f}" width="{max(0.0, done - 8):.1f}"'
            ' height="3" rx="1.5"/>'
        )
    parts.append(f'<text x="{start:.1f}" y="{first:.1f}">{escape(_shortened(box.label))}</text>')
    if box.note or box.state:
        parts.append(f'<text class="note" x="{start:.1f}" y="{top + 29:.1f}">{escape(_shortened(box.note))}</text>')
    return f"<g{_class('critical' if critical else '')}{data}>{''.join(parts)}</g>"


def _edge(
    pair: tuple[str, str],
    layout: Layout,
    lefts: Sequence[float],
    widths: Sequence[float],
    critical: bool,
    inferred: bool,
    reason: str,
) -> str:
    """Draw an edge: a curve between columns, straight on where it passes one."""
    (column, row), (last, end) = layout.rows[pair[0]], layout.rows[pair[1]]
    x, y = lefts[column] + widths[column], _middle(row)
    path = f"M{x:.1f} {y:.1f}"
    for place in layout.ways[pair]:
        column += 1
        path += f"{_curve(x, y, lefts[column], _middle(place))}H{lefts[column] + widths[column]:.1f}"
        x, y = lefts[column] + widths[column], _middle(place)
    path += _curve(x, y, lefts[last] - 1, _middle(end))
    names = " ".join(("edge", *(["critical"] if critical else []), *(["inferred"] if inferred else [])))
    told = f"{pair[1]} after {pair[0]}" + (f": {reason}" if reason else "")
    return f'<path d="{path}"{_class(names)}><title>{escape(told)}</title></path>'


def _heads(tips: Iterable[tuple[float, float]]) -> str:
    """Draw arrowheads. They are no markers: a marker is found by its id, and where two pictures of a page have the same
    and the first is hidden, the second is drawn without."""
    drawn = "".join(f"M{x - 7.5:.1f} {y - 3.5:.1f}l7 3.5l-7 3.5z" for x, y in tips)
    return f'<path class="heads" d="{drawn}"/>' if drawn else ""


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    bend = (to_x - x) / 2
    return f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"


def _middle(row: float) -> float:
    return _MARGIN + row * _ROW + _HEIGHT / 2


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""
