"""Figures of what runs recorded about their quality: over time, and against what it took."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    chance,
    counted,
    empty,
    length,
    named,
    number,
)
from orchestrator_nb.analytics.figures.of_history import ENDED, MOST_POINTS, MOST_WORKFLOWS, moments
from orchestrator_nb.analytics.limits import pareto_front
from orchestrator_nb.analytics.marks import Marks, bound_of

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

    With `marked`, the thresholds of its gates are lines, runs with deviations crossed, and triangles below say when code
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
    notes = [] if drawn == len(values) else [f"The latest {drawn:,} of {len(values):,} values are drawn."]
    if marked is not None:
        notes += _mark(data, values[series.isin(shown)].iloc[-MOST_POINTS // 8 :], name, marked)
    layout = {
        "xaxis": axis("when it was recorded", type="date"),
        "yaxis": axis(f"{name}{f' ({unit})' if unit else ''}"),
        "yaxis2": EDGE,
    }
    note = " ".join(notes)
    return Figure(
        name=named("trend", name), title=title, text=f"{'; '.join(told)}. {note}".strip(), data=data, layout=layout,
        telling="trend", note=note,
    )  # fmt: skip


def _line(of: pd.DataFrame, label: str, colour: str) -> Trace:
    ids = list(of["run"])
    return {
        "type": "scatter", "mode": "lines+markers", "name": label, "x": moments(of["at"]),
        "y": [float(value) for value in of["value"]], "ids": ids, "text": ids, "meta": {"role": "values"},
        "hovertemplate": "%{text}<br>%{y:.5g}<extra></extra>", "marker": {"size": 7, "color": colour},
        "line": {"width": 1.2, "color": colour},
    }  # fmt: skip


def _mark(data: list[Trace], values: pd.DataFrame, name: str, marked: Marks) -> list[str]:
    """Draw what is marked; return what is to be said of it."""
    said: list[str] = []
    runs = values["run"].astype(str)
    bounds = marked.thresholds(name)
    bounds = bounds[bounds["run"].astype(str).isin(set(runs))]
    # Gates that ask for different things in one run are a line each, and not one that goes to and fro.
    bounds = bounds.drop_duplicates(["run", "sign", "level"])
    place = bounds.groupby(["run", "sign"])["level"].rank(method="dense")
    signs: list[str] = []
    for (_, sign, _), of in bounds.groupby(["workflow", "sign", place]):
        ids = list(of["run"])
        latest = f"{sign} {number(float(of['level'].iloc[-1]))}"
        known = latest in signs
        signs += [] if known else [latest]
        data.append(
            {
                "type": "scatter", "mode": "lines", "name": f"gate: {latest}", "x": moments(of["at"]), "ids": ids,
                "y": [float(level) for level in of["level"]], "text": ids, "meta": {"role": "threshold"}, "showlegend": not known,
                "line": {"color": GREY, "width": 1.6, "dash": "dash", "shape": "hv"},
                "hovertemplate": f"%{{text}}<br>gate: {sign} %{{y:.5g}}<extra></extra>",
            }
        )  # fmt: skip
    if signs:
        asks, line = ("gate asks", "line") if len(signs) == 1 else ("gates ask", "lines")
        said.append(f"Its {asks} for {' and '.join(signs)}, the dashed {line}.")
    astray = values[runs.isin(marked.deviating)]
    if len(astray):
        ids = list(astray["run"])
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": "run with deviations", "x": moments(astray["at"]), "ids": ids,
                "y": [float(value) for value in astray["value"]], "text": ids, "meta": {"role": "deviating"},
                "marker": {"symbol": "x-open", "size": 11, "color": ORANGE, "line": {"width": 1.5}},
                "hovertemplate": "%{text}<br>completed with deviations<extra></extra>",
            }
        )  # fmt: skip
        said.append("A cross is a run that completed with deviations.")
    changes, kept = _of(marked.changes, runs), _of(marked.checkpoints, runs)
    if len(changes):
        words = [f"code of {command} changed" for command in changes["command"].astype(str)]
        data.append(_triangles(changes, words, "code changed", "triangle-up", "changed"))
        said.append("A triangle below is a run in which the code or the definition of a command was new.")
    if len(kept):
        data.append(_triangles(kept, ["checkpoint"] * len(kept), "checkpoint", "diamond-open", "checkpoint"))
        said.append("A diamond below is a checkpoint of a whole run.")
    return said


def _of(rows: pd.DataFrame, runs: pd.Series) -> pd.DataFrame:
    return rows if rows.empty else rows[rows["run"].astype(str).isin(set(runs))]


def _triangles(rows: pd.DataFrame, words: list[str], label: str, symbol: str, role: str) -> Trace:
    """Marks on the lower edge of the figure, on an axis of their own."""
    ids = list(rows["run"])
    return {
        "type": "scatter", "mode": "markers", "name": label, "x": moments(rows["at"]), "ids": ids, "yaxis": "y2",
        "y": [0.03 if role == "changed" else 0.09] * len(ids), "meta": {"role": role},
        "text": [f"{run}<br>{said}" for run, said in zip(ids, words, strict=True)],
        "marker": {"symbol": symbol, "size": 9, "color": GREY, "line": {"width": 1.5}},
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


EDGE = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
"""The axis of what is marked on the lower edge."""


def numeric_gates(gates: pd.DataFrame) -> list[str]:
    """Return the gates that have found numbers, those checked most often first."""
    counts = gates["gate"][gates["value"].notna()].astype(str).value_counts()
    return sorted(counts.index, key=lambda name: (-counts[name], name))


def gate_trend(gates: pd.DataFrame, gate: str, *, marked: Marks | None = None) -> Figure:
    """Return what a gate found over time, where that is a number, with its threshold; failed checks are crosses."""
    name, title = named("gate", gate), f"Gate: {gate}"
    of = gates[(gates["gate"] == gate) & gates["value"].notna()].sort_values("at", kind="stable")
    if of.empty:
        return empty(name, title, f'The gate "{gate}" has found no number yet.')
    whole, of = len(of), of.iloc[-MOST_POINTS // 8 :]
    ids, passed = list(of["run"]), [str(verdict) == "passed" for verdict in of["verdict"]]
    data: list[Trace] = [
        {
            "type": "scatter", "mode": "lines+markers", "name": "found", "x": moments(of["at"]), "ids": ids, "text": ids,
            "y": [float(value) for value in of["value"]], "meta": {"role": "values"}, "line": {"width": 1.2, "color": COLOURS[0]},
            "marker": {
                "opacity": 1, "size": [7 if good else 11 for good in passed], "symbol": ["circle" if good else "x" for good in passed],
                "color": [COLOURS[0] if good else RED for good in passed],
            },
            "customdata": ["passed" if good else "did not pass" for good in passed],
            "hovertemplate": "%{text}<br>%{y:.5g}, %{customdata}<extra></extra>",
        }
    ]  # fmt: skip
    bounds = [
        (at, run, bound)
        for at, run, said in zip(of["at"], ids, of["expected"], strict=True)
        if (bound := bound_of(str(said)))
    ]
    notes = []
    if bounds:
        latest = bounds[-1][2]
        said = f"{latest.sign} {number(latest.level)}"
        data.append(
            {
                "type": "scatter", "mode": "lines", "name": f"threshold: {said}", "x": moments([at for at, _, _ in bounds]),
                "y": [bound.level for _, _, bound in bounds], "ids": [run for _, run, _ in bounds],
                "meta": {"role": "threshold"}, "line": {"color": GREY, "width": 1.6, "dash": "dash", "shape": "hv"},
                "hovertemplate": "threshold %{y:.5g}<extra></extra>",
            }
        )  # fmt: skip
        notes.append(f"It asks for {said}, the dashed line.")
    if whole > len(of):
        notes.append(f"The latest {len(of):,} of {whole:,} checks are drawn.")
    if marked is not None:
        notes += _mark(data, of.assign(command=None), "", marked)
    note = " ".join(notes)
    text = _checked(passed, float(of["value"].iloc[-1]))
    layout = {
        "xaxis": axis("when it was checked", type="date"),
        "yaxis": axis("what was found (unit of the gate)"),
        "yaxis2": EDGE,
    }
    return Figure(
        name=name, title=title, text=f"{text} {note}".strip(), data=data, layout=layout, height=300,
        telling="gate", note=note,
    )  # fmt: skip


def _checked(passed: Sequence[bool], latest: float) -> str:
    bad = len(passed) - sum(passed)
    return f"{counted(len(passed), 'check')}, {bad or 'none'} of them not passed; {number(latest)} in the latest."


def verdicts(gates: pd.DataFrame) -> Figure:
    """Return how often each gate passed and failed.

    What did not pass is there for each run, as far as there are not too many of that, too; of many, what passed is summed
    by periods.
    """
    name, title = "verdicts", "Gates"
    if gates.empty:
        return empty(name, title, "No gate has been checked.")
    colours = {"passed": GREEN, "failed": RED, "error": GREY}
    every = gates["gate"].astype(str)
    shown = every.value_counts().index[:MOST_GATES]
    counted_as = gates.assign(gate=every.where(every.isin(shown), OTHER_GATES))
    data: list[Trace] = []
    summed: dict[str, str] = {}
    for verdict, colour in colours.items():
        of = counted_as[counted_as["verdict"] == verdict]
        if of.empty:
            continue
        rows, period = _counts(of)
        if period:
            summed[verdict] = period
        data.append(
            {
                "type": "histogram", "histfunc": "sum", "orientation": "h", "name": verdict, "y": list(rows["gate"]),
                "x": rows["count"].tolist(), "ids": list(rows["run"]), "marker": {"color": colour},
                "hovertemplate": "%{y}: %{x} times " + verdict + "<extra></extra>",
            }
        )  # fmt: skip
    passed = gates["verdict"] == "passed"
    more = every.nunique() - len(shown)
    of_gates = "" if more else f" of {counted(len(shown), 'gate')}"
    text = f"{counted(len(gates), 'check')}{of_gates}, {passed.mean():.0%} passed"
    if not passed.all():
        worst = counted_as["gate"][~passed].value_counts()
        text += f"; {worst.index[0]} stood in the way most often ({worst.iloc[0]:,})"
    notes = (
        [f"The {len(shown)} gates that were checked most often are shown, {more} are not told apart."] if more else []
    )
    notes += [
        f"Checks that {'passed' if verdict == 'passed' else 'did not pass'} are summed by {period}, so that a filter by dates "
        f"takes in or leaves out each {period} as a whole."
        for verdict, period in summed.items()
    ]
    note = " ".join(notes)
    layout = {"barmode": "stack", "xaxis": axis("checks (count)"), "yaxis": {"type": "category"}}
    return Figure(
        name=name, title=title, text=f"{text}. {note}".strip(), data=data, layout=layout, height=150 + 28 * len(shown),
        telling="verdicts", about={"more": more}, note=note,
    )  # fmt: skip


MOST_GATES = 30
"""Gates that are told apart, those checked most often."""
OTHER_GATES = "all other gates"
_PERIODS = ((1, "day"), (7, "week"), (28, "four weeks"), (364, "year"))


def _counts(of: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return how many checks of each gate there are in each run, or in each period where these are too many rows."""
    rows = (
        of.assign(run=of["run"].astype(str)).groupby(["run", "gate"], sort=False).size().rename("count").reset_index()
    )
    if len(rows) <= MOST_POINTS // 4:
        return rows, ""
    day = of["at"].astype("int64") // 86_400_000_000
    period = ""
    for length_, period in _PERIODS:  # noqa: B007 - the last one is what is returned
        keys = [of["workflow"].astype(str), of["gate"], day // length_]
        rows = of.groupby(keys, sort=False).agg(run=("run", "first"), count=("run", "size")).reset_index()
        if len(rows) <= MOST_POINTS // 4:
            break
    return rows, period


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
    layout = {"xaxis": axis(f"{_COSTS[cost][0]} ({_COSTS[cost][1]})", rangemode="tozero"), "yaxis": axis(name)}
    note = (
        f"Outlined runs are those that no other one beats in both ({name}: {'lower' if lower else 'higher'} is better)."
    )
    drawn = sum(len(trace["x"]) for trace in data[::2])
    if drawn < len(of):
        note += f" {drawn:,} of {len(of):,} runs are drawn, the latest of the {len(shown)} workflows with most runs."
    return Figure(
        name=named("tradeoff", name), title=title, text=f"{' '.join(told)} {note}", data=data, layout=layout,
        telling="tradeoff", about={"lower": lower, "metric": name}, note=note,
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
