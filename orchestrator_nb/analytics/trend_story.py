"""How one figure went over runs: its values as a frame and drawn, beside how long the runs took and their checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from typing_extensions import Unpack

from orchestrator_nb.analytics.figures import of_history, of_quality
from orchestrator_nb.analytics.figures.figure import Figure
from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.material import ALL, Material
from orchestrator_nb.analytics.selection import Filters
from orchestrator_nb.analytics.trends import RUN_FIGURES, last_values, recorded_most, run_figures
from orchestrator_nb.errors import UsageError

_UNITS = {
    "seconds": "seconds",
    "busy": "seconds",
    "efficiency": "part of the slots' time",
    "overhead": "part of the time",
}
_WANTED = {
    "metrics": ALL["metrics"],
    "gates": ("run", "workflow", "command", "gate", "verdict", "value", "expected", "at"),
    "commands": ("workflow", "command", "fingerprint", "started"),
    "checkpoints": ALL["checkpoints"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendStory:
    """A figure over runs: its `values` (``run``, ``workflow``, ``command``, ``at``, ``value``), and as figures itself,
    the durations of the runs, what it has to do with them, and the checkpoints. Shown in a notebook, it shows all."""

    name: str
    values: pd.DataFrame
    figures: tuple[Figure, ...]

    @property
    def figure(self) -> Figure:
        """The figure itself over time."""
        return self.figures[0]

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.values.tail(10))  # type: ignore[no-untyped-call]
        for figure in self.figures:
            figure._ipython_display_()

    def __str__(self) -> str:
        return "\n".join(str(figure) for figure in self.figures)


def trend_story(name: str, history: History, **filters: Unpack[Filters]) -> TrendStory:
    """Return how a metric went, or one of seconds, busy, efficiency, overhead. Raises UsageError for another name."""
    material = Material(history, filters, _WANTED)
    metrics: Any = material.frame("metrics")
    if name in RUN_FIGURES:
        values = run_figures(material.runs, name)
    else:
        values = last_values(metrics, name)
        if values.empty:
            there = ", ".join([*RUN_FIGURES, *recorded_most(metrics)])
            raise UsageError(f'no run has recorded "{name}"; there is {there}')
    figures = [of_quality.trend(values, name, unit=_UNITS.get(name, ""), marked=material.marks)]
    if name != "seconds":
        figures.append(of_history.durations(material.runs))
    if name not in RUN_FIGURES:
        figures.append(of_quality.tradeoff(material.runs, values, name))
    figures.append(of_history.checkpoint_history(material.frame("checkpoints")))
    return TrendStory(name=name, values=values, figures=tuple(figures))
