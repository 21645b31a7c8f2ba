"""How the runs of a workflow went: their performance, their quality and their checkpoints, as frames and as figures."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from orchestrator_nb.drawing.card import style
from orchestrator_nb.drawing.numbers import number
from orchestrator_nb.orchestrator.display.shown import as_text

MOST_METRICS = 4
"""So many metrics have a figure, those first that most runs recorded."""
LAST = 10
"""So many rows of a frame are shown."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Figures that belong together; `figures` are those of `analytics`."""

    title: str
    figures: tuple[Any, ...]


def chapters(history: Any, workflow: str | None) -> tuple[Chapter, ...]:
    """Return the figures of a workflow's runs, of all without one. Raises StoreError."""
    from orchestrator_nb.analytics.figures import of_gates, of_history, of_quality
    from orchestrator_nb.analytics.material import Material
    from orchestrator_nb.analytics.trends import last_values, recorded_most

    wanted = {
        "metrics": ("run", "workflow", "command", "name", "at", "value"),
        "gates": ("run", "workflow", "command", "gate", "verdict", "value", "expected", "at"),
        "checkpoints": ("run", "workflow", "taken", "boundary", "at", "seconds", "files", "message", "id"),
    }
    material = Material(history, {} if workflow is None else {"workflow": workflow}, wanted)
    runs, metrics, gates, checkpoints = (material.runs, *(material.frame(name) for name in wanted))
    quality = []
    for place, name in enumerate(recorded_most(metrics)[:MOST_METRICS]):
        values = last_values(metrics, name)
        quality.append(of_quality.trend(values, name, marked=material.marks))
        if place == 0:
            quality.append(of_quality.tradeoff(runs, values, name))
    if len(gates):
        quality.append(of_gates.verdicts(gates))
    found = [
        Chapter("Performance", (of_history.durations(runs), of_history.efficiency(runs))),
        Chapter("Quality", tuple(quality)),
        Chapter("Checkpoints", (of_history.checkpoint_history(checkpoints),) if len(checkpoints) else ()),
    ]
    drawn = (Chapter(one.title, tuple(figure for figure in one.figures if not figure.is_empty)) for one in found)
    return tuple(one for one in drawn if one.figures)


class Trends:
    """Figures over runs: `frame` has the values of the one that was asked for, `figures` all that are shown,
    `checkpoints` those of the runs, a row each.

    It shows its figures, drawn by plotly where that is to be had, and the end of its frame.
    """

    def __init__(self, name: str, *, history: Any, workflow: str | None = None, whole: bool = False) -> None:
        """With `whole`, performance, quality and checkpoints are shown, else the figure `name` alone."""
        from orchestrator_nb.analytics.figures.of_quality import trend

        filters = {} if workflow is None else {"workflow": workflow}
        self.name = name
        self.frame = history.trends(name, **filters)
        self.checkpoints = history.checkpoints(**filters)
        found = chapters(history, workflow) if whole else ()
        self.figures = tuple(figure for chapter in found for figure in chapter.figures) or (trend(self.frame, name),)

    def __repr__(self) -> str:
        rows = self.frame[["run", "command", "value"]].tail(LAST)
        told = [f"{figure}" for figure in self.figures]
        return as_text("\n".join([*told, "", rows.to_string(index=False)] if len(rows) else told))

    def _repr_html_(self) -> str:
        figures = "".join(figure._repr_html_() for figure in self.figures)
        return f"<style>{style()}</style>{figures}{self._table()}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        for figure in self.figures:
            display(figure)  # type: ignore[no-untyped-call]
        rest = {"text/plain": repr(self), "text/html": f"<style>{style()}</style>{self._table()}"}
        display(rest, raw=True)  # type: ignore[no-untyped-call]

    def _table(self) -> str:
        rows = self.frame.tail(LAST)
        if not len(rows):
            return ""
        told = (
            (
                row.run,
                row.command if isinstance(row.command, str) else "",
                f"{row.at:%Y-%m-%d %H:%M:%S}",
                number(row.value),
            )
            for row in rows.iloc[::-1].itertuples()
        )
        body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in told)
        heads = "".join(f'<th scope="col">{name}</th>' for name in ("run", "command", "at (UTC)", self.name))
        return (
            f'<section class="onb-panel" aria-label="{escape(self.name)}"><table class="onb-rows onb-free">'
            f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></section>"
        )
