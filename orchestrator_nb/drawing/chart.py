"""A chart as SVG from what plotly would draw: points, lines, bars and boxes, for pages that run no scripts.

It takes the small part of plotly's language in which our figures are written; what is not of it is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from statistics import quantiles
from typing import Any

from orchestrator_nb.drawing.scale import Scale, scale_of

WIDTH = 680.0
MOST_MARKS = 1_500
"""Points of a chart; of more, every so many are drawn."""

_TOP, _RIGHT, _BOTTOM, _LETTER = 10.0, 14.0, 42.0, 6.3
_INK, _GRID = "var(--onb-soft, #7B8087)", "var(--onb-line, rgba(128,128,128,.3))"
_STYLE = (
    f".onb-chart text{{font:11px system-ui,sans-serif;fill:{_INK}}}"
    f".onb-chart .grid{{stroke:{_GRID};stroke-width:1;opacity:.6}}"
)
_DASHES = {"dot": "2 3", "dash": "6 4", "dashdot": "6 3 2 3"}

Trace = Mapping[str, Any]


def chart_svg(data: Sequence[Trace], layout: Mapping[str, Any], *, title: str, height: float = 300.0) -> str:
    """Return the chart of traces as SVG with its axes and legend, empty where nothing can be drawn.

    `data` and `layout` are those of plotly. Of several pairs of axes the first is drawn. `title` is for those who
    cannot see it.
    """
    traces = [_plain(trace) for trace in data if trace.get("xaxis", "x") == "x"]
    axes = layout.get("xaxis", {}), layout.get("yaxis", {})
    across = scale_of([value for trace in traces for value in _reach(trace)], dict(axes[0]))
    up = scale_of([value for trace in traces for value in trace["y"]], dict(axes[1]))
    if across is None or up is None:
        return ""
    named = {str(trace["name"]): trace["colour"] for trace in traces if trace["name"]}
    legend, top = _legend(named) if len(named) > 1 else ("", _TOP)
    left = 12.0 + _LETTER * max((len(words) for _, words in up.ticks), default=0)
    left += 18.0 if _title(axes[1]) else 0.0
    frame = _Frame(across, up, left, top, WIDTH - left - _RIGHT, max(80.0, height - top - _BOTTOM))
    hidden = axes[0].get("visible") is False
    body = "".join(part for trace in traces for part in frame.marks(trace))
    total = frame.top + frame.tall + _BOTTOM
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="onb-chart" viewBox="0 0 {WIDTH:.0f} {total:.0f}" '
        f'width="{WIDTH:.0f}" height="{total:.0f}" style="max-width:100%;height:auto" role="img" '
        f'aria-label="{escape(title)}"><style>{_STYLE}</style>'
        f"{'' if hidden else frame.axes(_title(axes[0]), _title(axes[1]))}{legend}{body}</svg>"
    )


def _title(axis: Mapping[str, Any]) -> str:
    return str(axis.get("title", {}).get("text", ""))


def _plain(trace: Trace) -> dict[str, Any]:
    """Return a trace with its bars counted, and its colour found."""
    marker, line = trace.get("marker", {}), trace.get("line", {})
    colour = marker.get("color") or line.get("color") or "#0072B2"
    plain: dict[str, Any] = {
        "kind": trace.get("type", "scatter"), "x": list(trace.get("x") or ()), "y": list(trace.get("y") or ()),
        "base": list(trace.get("base") or ()), "mode": trace.get("mode", "lines"), "marker": marker, "line": line,
        "colour": colour if isinstance(colour, str) else "#0072B2", "width": trace.get("width", 0.62),
        "name": trace.get("name", "") if trace.get("showlegend", True) else "", "text": list(trace.get("text") or ()),
    }  # fmt: skip
    if plain["kind"] == "histogram":
        sums: Counter[str] = Counter()
        weights = plain["x"] if trace.get("histfunc") == "sum" else [1] * len(plain["y"])
        for name, weight in zip(plain["y"], weights, strict=True):
            sums[str(name)] += weight
        plain.update(kind="bar", x=list(sums.values()), y=list(sums))
    return plain


def _reach(trace: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the values of a trace on the axis across: where its bars begin and end, or its points."""
    if trace["kind"] != "bar":
        yield from trace["x"]
        return
    bases = trace["base"] or [0.0] * len(trace["x"])
    yield from bases
    yield from (base + (size or 0.0) for base, size in zip(bases, trace["x"], strict=True))


def _legend(named: Mapping[str, str]) -> tuple[str, float]:
    """Return the legend in as many lines as it needs, and where the chart begins below it."""
    parts, left, top = [], 8.0, 16.0
    for name, colour in named.items():
        wide = 24.0 + _LETTER * len(name)
        if left + wide > WIDTH and left > 8.0:
            left, top = 8.0, top + 18.0
        parts.append(f'<rect x="{left}" y="{top - 9}" width="10" height="10" rx="2" fill="{escape(colour)}"/>')
        parts.append(f'<text x="{left + 15}" y="{top}">{escape(name)}</text>')
        left += wide
    return "".join(parts), top + 14.0


def _stairs(piece: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a line that goes across first and then up or down."""
    return [corner for (x0, y0), (x1, _) in pairwise(piece) for corner in ((x0, y0), (x1, y0))] + piece[-1:]


class _Frame:
    """The ground between the axes."""

    def __init__(self, across: Scale, up: Scale, left: float, top: float, wide: float, tall: float) -> None:
        self.across, self.up = across, up
        self.left, self.top, self.wide, self.tall = left, top, wide, tall
        self._stacked: Counter[tuple[Any, bool]] = Counter()

    def x(self, value: Any) -> float | None:
        place = self.across.place(value)
        return None if place is None else self.left + place * self.wide

    def y(self, value: Any) -> float | None:
        place = self.up.place(value)
        return None if place is None else self.top + (1.0 - place) * self.tall

    def axes(self, below: str, beside: str) -> str:
        """Return the ticks with their lines, and the titles."""
        parts, end = [], self.top + self.tall
        last = -99.0
        for place, words in self.across.ticks:
            x = self.left + place * self.wide
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top:.1f}" y2="{end:.1f}"/>')
            if x - last > _LETTER * len(words) + 8:
                # One at the right edge ends there, so that nothing of it is cut off.
                half = x + _LETTER * len(words) / 2
                at, anchor = (WIDTH - 2, "end") if half > WIDTH - 2 else (x, "middle")
                parts.append(f'<text x="{at:.1f}" y="{end + 15:.1f}" text-anchor="{anchor}">{escape(words)}</text>')
                last = x
        names = self.up.kind == "category"
        for place, words in self.up.ticks:
            y = self.top + (1.0 - place) * self.tall
            if not names:
                right = self.left + self.wide
                parts.append(f'<line class="grid" x1="{self.left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{self.left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(words)}</text>')
        middle = self.left + self.wide / 2
        parts.append(f'<text x="{middle:.1f}" y="{end + 34:.1f}" text-anchor="middle">{escape(below)}</text>')
        if beside:
            y = self.top + self.tall / 2
            parts.append(
                f'<text transform="translate(13 {y:.1f}) rotate(-90)" text-anchor="middle">{escape(beside)}</text>'
            )
        return "".join(parts)

    def marks(self, trace: Mapping[str, Any]) -> Iterator[str]:
        """Yield what a trace draws."""
        if trace["kind"] == "bar":
            yield from self._bars(trace)
        elif trace["kind"] == "box":
            yield from self._boxes(trace)
        else:
            if "lines" in trace["mode"]:
                yield from self._lines(trace)
            if "markers" in trace["mode"]:
                yield from self._points(trace)
            if "text" in trace["mode"]:
                yield from self._words(trace)

    def _places(self, trace: Mapping[str, Any]) -> list[tuple[float, float] | None]:
        places = ((self.x(x), self.y(y)) for x, y in zip(trace["x"], trace["y"], strict=False))
        return [None if x is None or y is None else (x, y) for x, y in places]

    def _lines(self, trace: Mapping[str, Any]) -> Iterator[str]:
        line = trace["line"]
        dash = _DASHES.get(line.get("dash", ""), "")
        pieces: list[list[tuple[float, float]]] = [[]]
        for place in self._places(trace):
            if place is None:
                pieces.append([])
            else:
                pieces[-1].append(place)
        for piece in pieces:
            way = _stairs(piece) if line.get("shape") == "hv" else piece
            if len(way) > 1:
                yield (
                    f'<polyline fill="none" stroke="{escape(line.get("color", trace["colour"]))}" '
                    f'stroke-width="{line.get("width", 1.5)}" stroke-dasharray="{dash}" stroke-linejoin="round" '
                    f'points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in way)}"/>'
                )

    def _points(self, trace: Mapping[str, Any]) -> Iterator[str]:
        marker = trace["marker"]
        symbol = str(marker.get("symbol", "circle"))
        sizes, border = marker.get("size", 6), marker.get("line", {}).get("width", 0)
        ring = escape(
            marker.get("line", {}).get("color") if isinstance(marker.get("line", {}).get("color"), str) else ""
        )
        every = max(1, len(trace["x"]) // MOST_MARKS)
        for place, point in enumerate(self._places(trace)):
            if point is None or place % every:
                continue
            (x, y), size = point, (sizes[place] if isinstance(sizes, (list, tuple)) else sizes) / 2
            wide = border[place] if isinstance(border, (list, tuple)) else border
            colour = escape(trace["colour"])
            if symbol == "x":
                cross = f"M{x - size:.1f} {y - size:.1f}l{2 * size:.1f} {2 * size:.1f}m0 {-2 * size:.1f}l{-2 * size:.1f} {2 * size:.1f}"
                yield f'<path d="{cross}" stroke="{colour}" stroke-width="2" fill="none"/>'
            elif symbol.endswith("-open"):
                yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" fill="none" stroke="{colour}" stroke-width="2"/>'
            else:
                edge = f' stroke="{ring}" stroke-width="{wide}"' if wide and ring else ""
                yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" fill="{colour}"{edge}/>'

    def _words(self, trace: Mapping[str, Any]) -> Iterator[str]:
        for point, words in zip(self._places(trace), trace["text"], strict=False):
            if point is not None:
                yield f'<text x="{point[0]:.1f}" y="{point[1] + 28:.1f}" text-anchor="middle">{escape(str(words))}</text>'

    def _row(self) -> float:
        return self.tall / max(1, len(self.up.names))

    def _bars(self, trace: Mapping[str, Any]) -> Iterator[str]:
        bases = trace["base"]
        tall = self._row() * (trace["width"] if bases else 0.65)
        for place, (size, name) in enumerate(zip(trace["x"], trace["y"], strict=True)):
            middle = self.y(name)
            if middle is None or not size:
                continue
            begin = bases[place] if bases else self._stacked[(name, size > 0)]
            if not bases:
                self._stacked[(name, size > 0)] += size
            left, right = self.x(begin), self.x(begin + size)
            if left is None or right is None:
                continue
            yield (
                f'<rect x="{min(left, right):.1f}" y="{middle - tall / 2:.1f}" width="{max(1.0, abs(right - left)):.1f}" '
                f'height="{tall:.1f}" rx="1.5" fill="{escape(trace["colour"])}"/>'
            )

    def _boxes(self, trace: Mapping[str, Any]) -> Iterator[str]:
        values = sorted(trace["x"])
        middle = self.y(trace["y"][0]) if trace["y"] else None
        if not values or middle is None:
            return
        low, median, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        ends = [self.x(value) or 0.0 for value in (values[0], low, median, high, values[-1])]
        tall, colour = self._row() * 0.5, escape(trace["colour"])
        yield f'<line x1="{ends[0]:.1f}" x2="{ends[4]:.1f}" y1="{middle:.1f}" y2="{middle:.1f}" stroke="{colour}"/>'
        yield (
            f'<rect x="{ends[1]:.1f}" y="{middle - tall / 2:.1f}" width="{max(1.0, ends[3] - ends[1]):.1f}" '
            f'height="{tall:.1f}" fill="{colour}" fill-opacity=".25" stroke="{colour}"/>'
        )
        top, end = middle - tall / 2, middle + tall / 2
        yield f'<line x1="{ends[2]:.1f}" x2="{ends[2]:.1f}" y1="{top:.1f}" y2="{end:.1f}" stroke="{colour}" stroke-width="2"/>'
