"""The graph of a workflow as SVG: commands as boxes from left to right, the critical path and inferred edges marked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from orchestrator_nb.drawing.layers import Layout, lay_out

LETTER = 7.0
"""The width of a letter, roughly."""
LONGEST = 26
"""Longer labels are shortened; the whole is in the tooltip."""
MOST = 300
"""Above so many commands a picture shows nothing that a person could see."""

_ROW, _HEIGHT, _GAP, _MARGIN = 46.0, 32.0, 56.0, 12.0
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2933}.note{font-size:9.5px;fill:#52606d}"
    ".box{fill:#f7f9fb;stroke:#829ab1}.critical .box{fill:#fff3e0;stroke:#c05600;stroke-width:2}"
    ".edge{fill:none;stroke:#9fb3c8}.edge.inferred{stroke-dasharray:5 3}.edge.critical{stroke:#c05600;stroke-width:2}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What a box shows: its label, a `note` below it, and the `title` that is shown on hovering."""

    label: str
    note: str = ""
    title: str = ""


def graph_svg(
    upstream: Mapping[str, Sequence[str]],
    *,
    boxes: Mapping[str, Box],
    critical: Sequence[str] = (),
    inferred: Collection[tuple[str, str]] = (),
    reasons: Mapping[tuple[str, str], str] | None = None,
    title: str = "",
) -> str:
    """Return a picture of a graph as SVG.

    `upstream` gives the commands in an order in which they can run, `critical` is the path to mark, `inferred` are the
    edges (upstream, downstream) to draw dashed, `reasons` what is shown when the pointer is on an edge.
    """
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
    for name in upstream:
        column, row = layout.rows[name]
        parts.append(_box(boxes[name], lefts[column], _MARGIN + row * _ROW, widths[column], name in critical))
    rows = [row for _, row in layout.rows.values()] + [row for way in layout.ways.values() for row in way]
    height = 2 * _MARGIN + max(rows, default=0.0) * _ROW + _HEIGHT
    width = _MARGIN + sum(widths) + _GAP * max(0, len(widths) - 1) + _MARGIN
    return _svg(width, height, title, "".join(parts))


def _svg(width: float, height: float, title: str, body: str) -> str:
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#829ab1"/></marker></defs>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img"><title>{escape(title)}</title>'
        f'<style>{_STYLE}</style>{arrow}<rect width="100%" height="100%" fill="#ffffff"/>{body}</svg>'
    )


def _words(text: str) -> str:
    width = 2 * _MARGIN + LETTER * len(text)
    return _svg(width, _HEIGHT + _MARGIN, text, f'<text x="{_MARGIN}" y="{_HEIGHT - 6:.0f}">{escape(text)}</text>')


def _width(box: Box) -> float:
    return max(48.0, LETTER * max(len(_shortened(box.label)), 0.85 * len(_shortened(box.note))) + 18)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 9]}…{text[-8:]}"


def _box(box: Box, left: float, top: float, width: float, critical: bool) -> str:
    middle = left + width / 2
    first = top + (14 if box.note else 20)
    note = f'<text class="note" x="{middle:.1f}" y="{top + 26:.1f}">{escape(_shortened(box.note))}</text>'
    return (
        f'<g text-anchor="middle"{_class("critical" if critical else "")}><title>{escape(box.title or box.label)}</title>'
        f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_HEIGHT:.0f}" rx="5"/>'
        f'<text x="{middle:.1f}" y="{first:.1f}">{escape(_shortened(box.label))}</text>{note if box.note else ""}</g>'
    )


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
    return f'<path d="{path}"{_class(names)} marker-end="url(#arrow)"><title>{escape(told)}</title></path>'


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    bend = (to_x - x) / 2
    return f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"


def _middle(row: float) -> float:
    return _MARGIN + row * _ROW + _HEIGHT / 2


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""
