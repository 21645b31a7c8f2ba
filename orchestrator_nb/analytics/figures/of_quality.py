"""Figures of what runs recorded about their quality: over time, and against what it took."""

from __future__ import annotations

import re

import pandas as pd

from orchestrator_nb.analytics.figures.figure import (
    COLOURS,
    Figure,
    Trace,
    axis,
    chance,
    counted,
    empty,
    length,
    named,
    number,
)
from orchestrator_nb.analytics.figures.marking import EDGE, mark
from orchestrator_nb.analytics.figures.of_history import ENDED, MOST_POINTS, MOST_WORKFLOWS, moments
from orchestrator_nb.analytics.limits import pareto_front
from orchestrator_nb.analytics.marks import Marks

ENOUGH = 8
"""Runs that there have to be for a relation to be told."""

_LOWER = re.compile(
    r"(^|[_\W])(rmse|mse|mae|mape|loss|error|errors|seconds|latency|cost|tokens|missing|failures|warnings)($|[_\W])"
)


def lower_is_better(metric: str) -> bool:
    """Tell by its name whether a metric is the better the lower it is: errors, losses, costs."""
    return _LOWER.search(metric.lower()) is not None


def trend(values: pd.DataFrame, name: str, *, unit: str = "", marked: Marks | None = None) -> Figure:
    """Return a metric over runs; `values` are those that `History.trends` gives for it.

    With `marked`, the thresholds of its gates are lines, runs with deviations crossed, and signs below say when code
    changed and checkpoints of whole runs were taken.
    """
    title = f"{name} over time"
    if values.empty:
        return empty(named("trend", name), title, f'No run has recorded "{name}".')
    values = values.sort_values("at", kind="stable")
    series = values["workflow"].astype(str) + " · " + values["command"].astype(str).where(values["command"].notna(), "")
    series = series.str.removesuffix(" · ")
    shown = series.value_counts().index[:MOST_WORKFLOWS]
    data: list[Trace] = []
    told: list[str] = []
    most = MOST_POINTS // 8 // len(shown)
    for place, label in enumerate(shown):
        of = values[series == label].iloc[-most:]
        data.append(_line(of, str(label), COLOURS[place]))
        points = [float(value) for value in of["value"]]
        told.append(
            f"{label}: {number(points[-1])} in the latest of {counted(len(points), 'run')}, {number(points[0])} in the "
            f"first, {number(float(pd.Series(points).median()))} in the median"
        )
    drawn = sum(len(trace["y"]) for trace in data)
    left_out = "" if drawn == len(values) else f"The latest {drawn:,} of {len(values):,} values are drawn."
    told_of = mark(data, values[series.isin(shown)].iloc[-MOST_POINTS // 8 :], name, marked)
    layout = {
        "xaxis": axis("when it was recorded", type="date"),
        "yaxis": axis(f"{name}{f' ({unit})' if unit else ''}"),
        "yaxis2": EDGE,
    }
    note = f"{left_out} {told_of.note}".strip()
    return Figure(
        name=named("trend", name), title=title, text=f"{'; '.join(told)}. {note}".strip(), data=data, layout=layout,
        telling="trend", note=note, marks=told_of.marks, unseen=told_of.unseen,
    )  # fmt: skip


def _line(of: pd.DataFrame, label: str, colour: str) -> Trace:
    ids = list(of["run"])
    return {
        "type": "scatter", "mode": "lines+markers", "name": label, "x": moments(of["at"]),
        "y": [float(value) for value in of["value"]], "ids": ids, "text": ids, "meta": {"role": "values"},
        "hovertemplate": "%{text}<br>%{y:.5g}<extra></extra>", "marker": {"size": 7, "color": colour},
        "line": {"width": 1.2, "color": colour},
    }  # fmt: skip


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
        return empty(named("tradeoff", name), title, f'No run that has ended recorded "{name}".')
    lower = lower_is_better(name)
    data: list[Trace] = []
    told: list[str] = []
    names = of["workflow"].astype(str)
    shown = names.value_counts().index[:MOST_WORKFLOWS]
    most = MOST_POINTS // 8 // len(shown)
    for place, workflow in enumerate(shown):
        own = of[names == workflow].iloc[-most:]
        points = [(round(float(x), 4), float(y)) for x, y in zip(own[cost], own["value"], strict=True)]
        front = pareto_front(points, higher_is_better=not lower)
        ids, colour = list(own["run"]), COLOURS[place]
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": str(workflow), "ids": ids, "text": ids,
                "x": [x for x, _ in points], "y": [y for _, y in points], "marker": {"size": 8, "color": colour},
                "hovertemplate": "%{text}<br>%{x:.3g} s, " + name + " %{y:.5g}<extra></extra>",
                "meta": {"role": "points", "workflow": str(workflow)},
            }
        )  # fmt: skip
        data.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": f"best of {workflow}",
                "ids": [ids[place] for place in front], "x": [points[place][0] for place in front],
                "y": [points[place][1] for place in front], "line": {"color": colour, "width": 2, "shape": "hv", "dash": "dot"},
                "marker": {"symbol": "circle-open", "size": 13, "color": colour, "line": {"width": 2}}, "hoverinfo": "skip",
                "meta": {"role": "front", "workflow": str(workflow)},
            }
        )  # fmt: skip
        told.append(_relation(str(workflow), points, front, name))
    layout = {"xaxis": axis(f"{_COSTS[cost][0]} ({_COSTS[cost][1]})"), "yaxis": axis(name)}
    note = f"For {name}, {'lower' if lower else 'higher'} is better."
    drawn = sum(len(trace["x"]) for trace in data[::2])
    if drawn < len(of):
        note += f" {drawn:,} of {len(of):,} runs are drawn, the latest of the {len(shown)} workflows with most runs."
    return Figure(
        name=named("tradeoff", name), title=title, text=f"{' '.join(told)} {note}", data=data, layout=layout,
        telling="tradeoff", about={"lower": lower, "metric": name}, note=note,
        marks="Outlined runs are those that no other one beats in both.",
    )  # fmt: skip


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
        said = f"{name} {way} with the time taken (rank correlation {strength:.2f}, {chance(p)}, {len(points)} runs)"
    else:
        said = (
            f"no relation of {name} to the time taken can be seen (rank correlation {strength:.2f}, {len(points)} runs)"
        )
    return (
        f"{workflow}: {said}; the quickest run gave {number(quickest[1])} in {length(quickest[0])}, the best one "
        f"{number(best[1])} in {length(best[0])}."
    )
