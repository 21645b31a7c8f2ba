"""Figures of many runs: durations with their limits, commands, efficiency, failures, checkpoints.

They are made of frames. Every point bears the id of its run, so that a page can leave out those of some runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from orchestrator_nb.analytics.figures.figure import (
    BLUE,
    COLOURS,
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
from orchestrator_nb.analytics.limits import Limits, control_limits

ENDED = ("completed", "failed", "error", "stopped")
MOST_WORKFLOWS = 6
MOST_COMMANDS = 18
MOST_POINTS = 6_000
"""Points of one figure; of more, the latest are shown, and that is said."""


def durations(runs: pd.DataFrame) -> Figure:
    """Return how long runs took, one after the other, with the limits within which they usually lie."""
    name, title = "durations", "Duration of runs"
    ended = runs[runs["state"].isin(ENDED)].sort_values("started")
    if ended.empty:
        return empty(name, title, "No run has ended yet.")
    data: list[Trace] = []
    told: list[str] = []
    for place, (workflow, of) in enumerate(_by_workflow(ended)):
        colour = COLOURS[place]
        good = of[of["state"] == "completed"]
        limits = control_limits(list(good["seconds"]))
        data.append(_runs_of(good, limits, "circle", colour, workflow))
        if len(bad := of[of["state"] != "completed"]):
            data.append({**_runs_of(bad, None, "x", colour, workflow), "showlegend": False})
        if limits is not None:
            data += _limit_lines(of, limits, colour, workflow)
            far = int(((good["seconds"] < limits.low) | (good["seconds"] > limits.high)).sum())
            told.append(
                f"{workflow} usually takes {length(limits.centre)} (limits {length(limits.low)} to "
                f"{length(limits.high)}); {far or 'none'} of {counted(len(good), 'completed run')} lay outside"
            )
        else:
            told.append(f"{workflow} took {length(of['seconds'].median())} in the median of {counted(len(of), 'run')}")
    layout = {"xaxis": axis("start of the run", type="date"), "yaxis": axis("duration (seconds)", rangemode="tozero")}
    text = f"{'; '.join(told)}. A cross is a run that did not complete; outlined ones lie outside the limits."
    return Figure(name=name, title=title, text=text, data=data, layout=layout)


def _runs_of(of: pd.DataFrame, limits: Limits | None, symbol: str, colour: str, workflow: str) -> Trace:
    seconds = [round(value, 3) for value in of["seconds"]]
    outside = [limits is not None and not limits.low <= value <= limits.high for value in seconds]
    return {
        "type": "scatter", "mode": "markers", "name": workflow, "ids": list(of["run"]), "legendgroup": workflow,
        "x": moments(of["started"]), "y": seconds, "text": list(of["run"]),
        "hovertemplate": "%{text}<br>%{y:.3g} s<extra></extra>",
        "marker": {
            "size": 8, "color": colour, "symbol": symbol,
            "line": {"color": ORANGE, "width": [3 if far else 0 for far in outside]},
        },
    }  # fmt: skip


def _limit_lines(of: pd.DataFrame, limits: Any, colour: str, workflow: str) -> list[Trace]:
    ends = moments(of["started"].iloc[[0, -1]])
    line = {"type": "scatter", "mode": "lines", "x": ends, "showlegend": False, "hoverinfo": "skip"}
    of_group = {"legendgroup": workflow, "meta": {"workflow": workflow}}
    return [
        {**line, **of_group, "y": [value, value], "line": {"color": colour, "width": 1.4, "dash": dash}}
        for value, dash in ((limits.centre, "solid"), (limits.low, "dot"), (limits.high, "dot"))
    ]


def distribution(attempts: pd.DataFrame) -> Figure:
    """Return how the durations of commands are spread, those first that take most of the time."""
    name, title = "distribution", "Duration of commands"
    done = attempts[attempts["outcome"] == "returned"].sort_values("started")
    if done.empty:
        return empty(name, title, "No command has returned yet.")
    total = done.groupby("command", observed=True)["seconds"].sum().sort_values(ascending=False)
    shown = list(total.index[:MOST_COMMANDS])
    data: list[Trace] = []
    for command in reversed(shown):
        of = _latest(done[done["command"] == command], MOST_POINTS // MOST_COMMANDS)
        data.append(
            {
                "type": "box", "name": command, "x": [round(value, 4) for value in of["seconds"]], "ids": list(of["run"]),
                "y": [command] * len(of), "orientation": "h", "boxpoints": "outliers", "marker": {"color": BLUE, "size": 4},
                "line": {"width": 1.5}, "fillcolor": "rgba(86,180,233,0.25)", "showlegend": False, "text": list(of["run"]),
                "hovertemplate": "%{text}<br>%{x:.3g} s<extra></extra>",
            }
        )  # fmt: skip
    first = done[done["command"] == shown[0]]["seconds"]
    text = (
        f"{shown[0]} takes most of all time, {total.iloc[0] / total.sum():.0%}: {length(first.median())} in the median, half "
        f"of its attempts between {length(first.quantile(0.25))} and {length(first.quantile(0.75))}."
    )
    if len(total) > len(shown):
        text += f" The {len(shown)} commands that take most are shown, {len(total) - len(shown)} are not."
    layout = {"xaxis": axis("duration of an attempt (seconds)", rangemode="tozero"), "yaxis": {"type": "category"}}
    return Figure(name=name, title=title, text=text, data=data, layout=layout, height=140 + 26 * len(shown))


def efficiency(runs: pd.DataFrame) -> Figure:
    """Return which part of their slots' time runs used, and which part of their time was coordination."""
    name, title = "efficiency", "Efficiency and overhead"
    ended = runs[runs["state"].isin(ENDED) & (runs["seconds"] > 0)].sort_values("started")
    if ended.empty:
        return empty(name, title, "No run has ended yet.")
    used = (ended["busy"] / (ended["seconds"] * ended["slots"])).clip(upper=1.0) * 100
    overhead = ((ended["seconds"] - ended["under_way"]).clip(lower=0.0) / ended["seconds"]) * 100
    speed_up = ended["busy"] / ended["seconds"]
    x, ids = moments(ended["started"]), list(ended["run"])
    point = {"type": "scatter", "mode": "markers", "x": x, "ids": ids, "text": ids}
    data: list[Trace] = [
        {
            **point, "y": [round(value, 2) for value in used], "name": "slots used", "marker": {"color": BLUE, "size": 7},
            "customdata": [round(value, 2) for value in speed_up],
            "hovertemplate": "%{text}<br>%{y:.0f} % of the slots' time, speed-up %{customdata:.2f}<extra></extra>",
        },
        {
            **point, "y": [round(value, 2) for value in overhead], "name": "coordination",
            "marker": {"color": RED, "size": 7, "symbol": "diamond"},
            "hovertemplate": "%{text}<br>%{y:.1f} % of the time nothing ran<extra></extra>",
        },
    ]  # fmt: skip
    text = (
        f"In the median of {counted(len(ended), 'run')}, attempts ran in {used.median():.0f} % of the slots' time, a "
        f"speed-up of {speed_up.median():.2f} over one after the other; in {overhead.median():.1f} % of the time nothing ran."
    )
    layout = {
        "xaxis": axis("start of the run", type="date"),
        "yaxis": axis("part of the time (%)", range=[0, 104]),
    }
    return Figure(name=name, title=title, text=text, data=data, layout=layout)


def time_spent(attempts: pd.DataFrame) -> Figure:
    """Return where the time of commands goes: waiting, starting kernels, running, and what came to nothing."""
    name, title = "time-spent", "Where the time goes"
    ended = attempts[attempts["seconds"].notna()]
    if ended.empty:
        return empty(name, title, "No attempt has ended yet.")
    good = ended["outcome"].isin(["returned", "reused"])
    kernel = ended["kernel_seconds"].fillna(0.0).clip(upper=ended["seconds"])
    parts = pd.DataFrame(
        {
            "command": ended["command"].astype(str), "run": ended["run"].astype(str),
            "ran": (ended["seconds"] - kernel).where(good, 0.0), "kernel started": kernel.where(good, 0.0),
            "waited": ended["waited"].fillna(0.0), "came to nothing": ended["seconds"].where(~good, 0.0),
        }
    )  # fmt: skip
    kinds = (("ran", BLUE), ("kernel started", "#56B4E9"), ("waited", GREY), ("came to nothing", RED))
    names = [kind for kind, _ in kinds]
    total = parts.groupby("command")[names].sum()
    shown = list(total.sum(axis=1).sort_values(ascending=False).index[:MOST_COMMANDS])
    by_run = parts[parts["command"].isin(shown)].groupby(["command", "run"], as_index=False)[names].sum()
    by_run = by_run.iloc[-MOST_POINTS:]
    data: list[Trace] = [
        {
            "type": "histogram", "histfunc": "sum", "orientation": "h", "name": kind, "marker": {"color": colour},
            "y": list(of["command"]), "x": [round(value, 3) for value in of[kind]], "ids": list(of["run"]),
            "hovertemplate": "%{y}: %{x:,.3g} s " + kind + "<extra></extra>",
        }
        for kind, colour in kinds
        if len(of := by_run[by_run[kind] > 0])
    ]  # fmt: skip
    sums = total.sum()
    whole = sums.sum() or 1.0
    text = (
        f"Of {length(whole)} in all attempts, {sums['ran'] / whole:.0%} went into running, "
        f"{sums['kernel started'] / whole:.0%} into starting kernels, {sums['waited'] / whole:.0%} into waiting for a slot "
        f"or for what else was needed, and {sums['came to nothing'] / whole:.0%} into attempts that came to nothing."
    )
    layout = {
        "barmode": "stack",
        "xaxis": axis("time of all attempts (seconds)"),
        "yaxis": {"type": "category", "categoryorder": "array", "categoryarray": shown[::-1]},
    }
    return Figure(name=name, title=title, text=text, data=data, layout=layout, height=140 + 26 * len(shown))


def failures(attempts: pd.DataFrame) -> Figure:
    """Return why attempts failed, by command and by the kind of error."""
    name, title = "failures", "Causes of failures"
    bad = attempts[attempts["outcome"].isin(["failed", "crashed", "abandoned"])].sort_values("started")
    if bad.empty:
        return empty(name, title, "No attempt has failed.")
    bad = _latest(bad, MOST_POINTS)
    kind = bad["failure_type"].astype(object).where(bad["failure_type"].notna(), bad["failure_kind"].astype(object))
    causes = kind.fillna("unknown").str.rsplit(".", n=1).str[-1]
    counts = causes.value_counts()
    shown = list(counts.index[: len(COLOURS)])
    data: list[Trace] = []
    for place, cause in enumerate([*shown, *(["other"] if len(counts) > len(shown) else [])]):
        of = bad[(causes == cause) if cause in shown else ~causes.isin(shown)]
        data.append(
            {
                "type": "histogram", "orientation": "h", "name": cause, "y": [str(item) for item in of["command"]],
                "ids": list(of["run"]), "marker": {"color": COLOURS[place] if place < len(COLOURS) else GREY},
                "hovertemplate": "%{y}: %{x} times " + cause + "<extra></extra>",
            }
        )  # fmt: skip
    commands = bad["command"].astype(str).value_counts()
    layout = {
        "barmode": "stack",
        "xaxis": axis("attempts that failed (count)"),
        "yaxis": {"type": "category", "categoryorder": "total ascending"},
    }
    text = (
        f"{counted(len(bad), 'attempt')} failed; the most frequent cause is {counts.index[0]} ({counts.iloc[0]}), the "
        f"command that failed most often {commands.index[0]} ({commands.iloc[0]})."
    )
    height = 150 + 26 * min(len(commands), 30)
    return Figure(name=name, title=title, text=text, data=data, layout=layout, height=height)


def checkpoint_history(checkpoints: pd.DataFrame) -> Figure:
    """Return when files were kept, how long that took, and how many had changed."""
    name, title = "checkpoints", "Checkpoints"
    taken = _latest(checkpoints[checkpoints["taken"]], MOST_POINTS)
    if taken.empty:
        return empty(name, title, "No checkpoint has been taken.")
    data: list[Trace] = []
    for place, (boundary, of) in enumerate(taken.groupby(taken["boundary"].astype(str))):
        files = of["files"].fillna(0).astype(int)
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": str(boundary), "ids": list(of["run"]), "x": moments(of["at"]),
                "y": [round(value * 1000, 2) for value in of["seconds"]],
                "text": [f"{message or name}<br>{count} files" for message, name, count in zip(of["message"], of["id"], files, strict=True)],
                "hovertemplate": "%{text}<br>%{y:.3g} ms<extra></extra>",
                "marker": {"color": COLOURS[place % len(COLOURS)], "size": [6 + min(18, 3 * count**0.5) for count in files]},
            }
        )  # fmt: skip
    layout = {
        "xaxis": axis("when it was taken", type="date"),
        "yaxis": axis("how long it took (ms)", rangemode="tozero"),
    }
    text = (
        f"{counted(len(taken), 'checkpoint')} of {counted(taken['run'].nunique(), 'run')}, "
        f"{length(taken['seconds'].median())} each in the median; a larger dot had more changed files."
    )
    return Figure(name=name, title=title, text=text, data=data, layout=layout)


def _by_workflow(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    names = runs["workflow"].astype(str)
    shown = names.value_counts().index[:MOST_WORKFLOWS]
    return [(str(name), _latest(runs[names == name], MOST_POINTS // MOST_WORKFLOWS)) for name in shown]


def _latest(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    return rows if len(rows) <= most else rows.iloc[-most:]


def moments(values: Any) -> Sequence[str]:
    """Return moments as plotly takes them, in UTC."""
    return [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in values]
