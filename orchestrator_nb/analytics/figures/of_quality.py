"""Figures of what runs recorded about their quality: over time, and against what it took."""

from __future__ import annotations

import re

import pandas as pd

from orchestrator_nb.analytics.figures.figure import (
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    RED,
    Figure,
    Trace,
    axis,
    counted,
    empty,
    length,
)
from orchestrator_nb.analytics.figures.of_history import ENDED, MOST_WORKFLOWS, moments
from orchestrator_nb.analytics.limits import pareto_front

ENOUGH = 8
"""Runs that there have to be for a relation to be told."""

_LOWER = re.compile(
    r"(^|[_\W])(rmse|mse|mae|mape|loss|error|errors|seconds|latency|cost|tokens|missing|failures|warnings)($|[_\W])"
)


def lower_is_better(metric: str) -> bool:
    """Tell by its name whether a metric is the better the lower it is: errors, losses, costs."""
    return _LOWER.search(metric.lower()) is not None


def trend(values: pd.DataFrame, name: str, *, unit: str = "") -> Figure:
    """Return a metric over runs; `values` are those that `History.trends` gives for it."""
    title = f"{name} over time"
    if values.empty:
        return empty(f"trend-{name}", title, f'No run has recorded "{name}".')
    series = values["workflow"].astype(str) + " · " + values["command"].astype(str).where(values["command"].notna(), "")
    series = series.str.removesuffix(" · ")
    shown = series.value_counts().index[:MOST_WORKFLOWS]
    data: list[Trace] = []
    told: list[str] = []
    for place, label in enumerate(shown):
        of = values[series == label].sort_values("at")
        data.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": str(label), "x": moments(of["at"]),
                "y": [float(value) for value in of["value"]], "ids": list(of["run"]), "text": list(of["run"]),
                "hovertemplate": "%{text}<br>%{y:.5g}<extra></extra>", "marker": {"size": 7, "color": COLOURS[place]},
                "line": {"width": 1.2, "color": COLOURS[place]},
            }
        )  # fmt: skip
        first, last = of["value"].iloc[0], of["value"].iloc[-1]
        told.append(
            f"{label}: {last:.4g} in the latest of {counted(len(of), 'run')}, {first:.4g} in the first, "
            f"{of['value'].median():.4g} in the median"
        )
    layout = {
        "xaxis": axis("when it was recorded", type="date"),
        "yaxis": axis(f"{name}{f' ({unit})' if unit else ''}"),
    }
    text = f"{'; '.join(told)}."
    return Figure(name=f"trend-{name}", title=title, text=text, data=data, layout=layout)


def verdicts(gates: pd.DataFrame) -> Figure:
    """Return how often each gate passed and failed."""
    name, title = "verdicts", "Gates"
    if gates.empty:
        return empty(name, title, "No gate has been checked.")
    colours = {"passed": GREEN, "failed": RED, "error": GREY}
    data: list[Trace] = [
        {
            "type": "histogram", "orientation": "h", "name": verdict, "y": [str(gate) for gate in of["gate"]],
            "ids": list(of["run"]), "marker": {"color": colour},
            "hovertemplate": "%{y}: %{x} times " + verdict + "<extra></extra>",
        }
        for verdict, colour in colours.items()
        if len(of := gates[gates["verdict"] == verdict])
    ]  # fmt: skip
    passed = gates["verdict"] == "passed"
    text = f"{counted(len(gates), 'check')} of {counted(gates['gate'].nunique(), 'gate')}, {passed.mean():.0%} passed"
    if not passed.all():
        worst = gates["gate"][~passed].astype(str).value_counts()
        text += f"; {worst.index[0]} stood in the way most often ({worst.iloc[0]})"
    layout = {"barmode": "stack", "xaxis": axis("checks (count)"), "yaxis": {"type": "category"}}
    height = 150 + 28 * min(gates["gate"].nunique(), 30)
    return Figure(name=name, title=title, text=f"{text}.", data=data, layout=layout, height=height)


def tradeoff(runs: pd.DataFrame, values: pd.DataFrame, name: str, *, cost: str = "seconds") -> Figure:
    """Return a metric of runs against what they took, with the runs that no other one beats in both.

    `cost` is a column of `runs`: seconds, busy, cpu.
    """
    title = f"{name} against {_COSTS[cost][0]}"
    last = values.sort_values("at").groupby(values["run"].astype(str))["value"].last()
    of = runs[runs["state"].isin(ENDED) & runs["run"].isin(last.index) & runs[cost].notna()].copy()
    of["value"] = [last[run] for run in of["run"].astype(str)]
    of = of[of["value"].notna()]
    if of.empty:
        return empty(f"tradeoff-{name}", title, f'No run that has ended recorded "{name}".')
    lower = lower_is_better(name)
    data: list[Trace] = []
    told: list[str] = []
    names = of["workflow"].astype(str)
    for place, workflow in enumerate(names.value_counts().index[:MOST_WORKFLOWS]):
        own = of[names == workflow]
        points = [(float(x), float(y)) for x, y in zip(own[cost], own["value"], strict=True)]
        front = pareto_front(points, higher_is_better=not lower)
        ids = list(own["run"])
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": str(workflow), "ids": ids, "text": ids,
                "x": [round(x, 4) for x, _ in points], "y": [y for _, y in points], "marker": {"size": 8, "color": COLOURS[place]},
                "hovertemplate": "%{text}<br>%{x:.3g} s, " + name + " %{y:.5g}<extra></extra>",
            }
        )  # fmt: skip
        data.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": f"best of {workflow}",
                "ids": [ids[place] for place in front], "x": [points[place][0] for place in front],
                "y": [points[place][1] for place in front], "line": {"color": ORANGE, "width": 2, "shape": "hv"},
                "marker": {"symbol": "circle-open", "size": 13, "color": ORANGE, "line": {"width": 2}}, "hoverinfo": "skip",
            }
        )  # fmt: skip
        told.append(_relation(str(workflow), points, front, name))
    layout = {"xaxis": axis(f"{_COSTS[cost][0]} ({_COSTS[cost][1]})", rangemode="tozero"), "yaxis": axis(name)}
    better = "lower" if lower else "higher"
    text = f"{' '.join(told)} Outlined runs are those that no other one beats in both ({name}: {better} is better)."
    return Figure(name=f"tradeoff-{name}", title=title, text=text, data=data, layout=layout)


_COSTS = {
    "seconds": ("duration of the run", "seconds"),
    "busy": ("time of all attempts", "seconds"),
    "cpu": ("processor time", "seconds"),
}


def _relation(workflow: str, points: list[tuple[float, float]], front: list[int], name: str) -> str:
    """Return in a sentence how quality and time go together, as far as that can be said."""
    if len(points) < ENOUGH or len({x for x, _ in points}) < 3 or len({y for _, y in points}) < 3:
        return f"{workflow}: {counted(len(points), 'run')}, too few to tell whether {name} goes with the time taken."
    from scipy.stats import spearmanr

    found = spearmanr([x for x, _ in points], [y for _, y in points])
    strength, p = float(found.statistic), float(found.pvalue)
    quickest = points[front[0]]
    best = points[front[-1]]
    way = "rises" if strength > 0 else "falls"
    if p < 0.05:
        said = f"{name} {way} with the time taken (rank correlation {strength:.2f}, p = {p:.2g}, {len(points)} runs)"
    else:
        said = (
            f"no relation of {name} to the time taken can be seen (rank correlation {strength:.2f}, {len(points)} runs)"
        )
    return (
        f"{workflow}: {said}; the quickest run gave {quickest[1]:.4g} in {length(quickest[0])}, the best one {best[1]:.4g} in "
        f"{length(best[0])}."
    )
