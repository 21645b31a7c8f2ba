"""A figure: what plotly draws, its title, and a sentence that says the same in words; one look for light and dark."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any

from orchestrator_nb.drawing.bare import drawn
from orchestrator_nb.drawing.chart import chart_svg
from orchestrator_nb.errors import UsageError

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#8A8F98"
COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY)
"""Colours that people tell apart who see red and green alike (Okabe and Ito), on white and on black."""

INK = "#7B8087"
"""Of text and axes: as far from white as from black, so that both themes can be read."""
GRID = "rgba(128,128,128,0.22)"
CLEAR = "rgba(0,0,0,0)"

Trace = dict[str, Any]

_AXIS = {
    "gridcolor": GRID,
    "zerolinecolor": GRID,
    "linecolor": GRID,
    "automargin": True,
    "title": {"standoff": 10, "font": {"size": 12}},
    "tickfont": {"size": 12},
}
TEMPLATE: dict[str, Any] = {
    "layout": {
        "font": {"family": "system-ui, -apple-system, Segoe UI, sans-serif", "size": 13, "color": INK},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "colorway": list(COLOURS),
        "xaxis": {**_AXIS, "ticks": "outside", "ticklen": 6, "tickcolor": CLEAR},
        "yaxis": {**_AXIS, "ticks": "outside", "ticklen": 5, "tickcolor": CLEAR},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 12},
            "traceorder": "normal",
        },
        "margin": {"l": 8, "r": 16, "t": 44, "b": 8},
        "hoverlabel": {"align": "left", "bgcolor": "#22272E", "bordercolor": "#22272E", "font": {"color": "#F0F3F6"}},
        "bargap": 0.35,
        "hovermode": "closest",
    }
}
"""How every figure looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure by its `name` and `title`; `text` says in a sentence or two what it shows, `data` and `layout` are what
    plotly draws. Shown in a notebook it is drawn with its sentence, by plotly or, without scripts, as SVG.

    `telling` is the name by which a page knows how to tell it again of some of its runs, `about` what it has to know for
    that besides the data, and `note` what is true of it whatever is left out: it ends the `text`. `marks` says what signs in
    it mean, for who sees it, `unseen` what they tell, for who does not.
    """

    name: str
    title: str
    text: str
    data: Sequence[Trace] = ()
    layout: Mapping[str, Any] | None = None
    height: int = 360
    telling: str = ""
    about: Mapping[str, Any] | None = None
    note: str = ""
    marks: str = ""
    unseen: str = ""

    @property
    def caption(self) -> str:
        """The sentence below it."""
        return f"{self.text} {self.marks}".strip()

    @property
    def words(self) -> str:
        """The sentence in its place."""
        return f"{self.text} {self.unseen}".strip()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw; then the sentence says why."""
        return not self.data

    def spec(self) -> dict[str, Any]:
        """Return what plotly takes, in plain JSON, without the title."""
        layout = {"height": self.height, "template": TEMPLATE, **(self.layout or {})}
        return {"data": [*self.data], "layout": layout}

    def to_plotly(self) -> dict[str, Any]:
        """Return what plotly takes, as `spec` has it, in JSON that has no number which is none.

        Points have no ids: plotly draws one of those with the same id, and here every command of a run has the run's.
        """
        spec = finite(self.spec())
        data = [{key: value for key, value in trace.items() if key != "ids"} for trace in spec["data"]]
        return {**spec, "data": data}

    @property
    def plot(self) -> Any:
        """The figure as a `plotly.graph_objects.Figure`. Raises UsageError where plotly is not installed."""
        try:
            import plotly.graph_objects as go
        except ImportError as error:
            raise UsageError('figures need plotly: pip install "orchestrator-nb[analytics]"') from error
        spec = self.to_plotly()
        spec["layout"] = {**spec["layout"], "title": {"text": self.title, "font": {"size": 16}}}
        spec["layout"]["margin"] = {"t": 84, "l": 8, "r": 16, "b": 8}
        return go.Figure(spec)

    def show(self) -> None:
        """Draw it wherever plotly draws."""
        self.plot.show()

    def to_html(self) -> str:
        """Return it as a page of its own, plotly.js included."""
        drawn = self.plot.to_html(include_plotlyjs=True, full_html=False) if not self.is_empty else ""
        return f"<figure>{drawn}<figcaption>{escape(self.caption)}</figcaption></figure>"

    def to_svg(self) -> str:
        """Return it drawn without plotly, for pages that run no scripts; empty where there is nothing to draw."""
        spec = self.spec()
        return chart_svg(spec["data"], spec["layout"], title=self.title, height=self.height) if self.data else ""

    def _repr_html_(self) -> str:
        title = f"<figcaption><b>{escape(self.title)}</b></figcaption>"
        return f'<figure style="margin:8px 0;max-width:760px">{title}{drawn(self.to_svg())}<p>{escape(self.caption)}</p></figure>'

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Be drawn by plotly where it can be, as SVG on pages that run no scripts, and told in words elsewhere."""
        bundle: dict[str, Any] = {"text/plain": str(self), "text/html": self._repr_html_()}
        if not self.is_empty:
            spec = self.to_plotly()
            title = {"text": _titled(self.title, self.caption), "font": {"size": 16}}
            spec["layout"] = {**spec["layout"], "title": title, "height": self.height + 60}
            spec["layout"]["margin"] = {"t": 110, "l": 8, "r": 16, "b": 8}
            bundle["application/vnd.plotly.v1+json"] = spec
        return bundle

    def __str__(self) -> str:
        return f"{self.title}: {self.words}"


def finite(value: Any) -> Any:
    """Return data as plain JSON: numbers that are none become null, those of numpy become Python's."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return finite(value.item()) if hasattr(value, "item") else value


def named(kind: str, of: str) -> str:
    """Return the name of a figure of that kind about something that people have named."""
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', of).strip('-')}"


def _titled(title: str, text: str) -> str:
    """Return a title with the sentence below it, in lines that fit, as plotly writes them."""
    lines = wrap(text, 110)
    return f"{escape(title)}<br><sup>{'<br>'.join(map(escape, lines[:3]))}{' …' if len(lines) > 3 else ''}</sup>"


def empty(name: str, title: str, why: str) -> Figure:
    """Return a figure that has nothing to draw."""
    return Figure(name=name, title=title, text=why)


def axis(title: str, **options: Any) -> dict[str, Any]:
    """Return an axis with a title that names the unit."""
    return {"title": {"text": title}, **options}


def length(seconds: float) -> str:
    """Return a duration in words, as people say it."""
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    if seconds >= 120:
        return f"{seconds / 60:.1f} min"
    if seconds < 5e-7:
        return "0 s"
    if seconds >= 1:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    digits = max(0, 1 - math.floor(math.log10(seconds * 1000)))
    return f"{seconds * 1000:.{digits}f} ms"


def number(value: float) -> str:
    """Return a number of four digits as people write it."""
    text = f"{float(f'{value:.4g}'):,}"
    return text.removesuffix(".0")


def chance(p: float) -> str:
    """Return how probable something is by chance alone."""
    return "p < 0.001" if p < 0.001 else f"p = {float(f'{p:.2g}'):g}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: Sequence[str], *, most: int = 6) -> str:
    """Return names joined by commas, the rest as a number."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
