"""Figures of many runs: durations with their limits, commands, efficiency, failures, checkpoints.

They are made of frames. Every point bears the id of its run, so that a page can leave out those of some runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from orchestrator_nb.analytics.digest import OTHERS, Digest
from orchestrator_nb.analytics.figures.figure import (
    BLUE,
    COLOURS,
    GREY,
    ORANGE,
    RED,
    SKY,
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
    by_workflow = _by_workflow(ended)
    for place, (workflow, of) in enumerate(by_workflow):
        colour = COLOURS[place]
        good = of[of["state"] == "completed"]
        limits = control_limits([round(value, 3) for value in good["seconds"]])
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
    note = _left_out(ended, by_workflow)
    missed = int((ended["state"] != "completed").sum())
    return Figure(
        name=name, title=title, text=f"{'; '.join(told)}. {note}".strip(), data=data, layout=layout, telling="durations",
        note=note, marks="A cross is a run that did not complete; outlined ones lie outside the limits.",
        unseen=f"{counted(missed, 'run')} of {len(ended):,} did not complete." if missed else "",
    )  # fmt: skip


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
        for value, dash in zip(limits, ("solid", "dot", "dot"), strict=True)
    ]


def distribution(found: Digest) -> Figure:
    """Return how the durations of commands are spread, those first that take most of the time."""
    name, title = "distribution", "Duration of commands"
    returned = found.returned
    if returned.empty:
        return empty(name, title, "No command has returned yet.")
    data: list[Trace] = []
    shown = list(dict.fromkeys(returned["command"].astype(str)))
    for command in reversed(shown):
        of = returned[returned["command"] == command]
        ids = list(of["run"])
        data.append(
            {
                "type": "box", "name": command, "x": [round(value, 4) for value in of["seconds"]], "ids": ids,
                "y": [command] * len(of), "orientation": "h", "boxpoints": "outliers", "marker": {"color": BLUE, "size": 4},
                "line": {"width": 1.5}, "fillcolor": "rgba(86,180,233,0.25)", "showlegend": False, "text": ids,
                "hovertemplate": "%{text}<br>%{x:.3g} s<extra></extra>",
            }
        )  # fmt: skip
    first = np.array(data[-1]["x"], dtype=float)
    text = (
        f"{shown[0]} takes most of all time: {length(float(np.median(first)))} in the median of {counted(len(first), 'attempt')}, "
        f"half of them between {length(float(np.quantile(first, 0.25)))} and {length(float(np.quantile(first, 0.75)))}."
    )
    notes = []
    if found.commands > len(shown):
        notes.append(f"The {len(shown)} commands that take most are shown, {found.commands - len(shown)} are not.")
    if found.many > len(returned):
        notes.append(f"Of {found.many:,} attempts the latest of each command are drawn, {len(returned):,} in all.")
    note = " ".join(notes)
    layout = {"xaxis": axis("duration of an attempt (seconds)", rangemode="tozero"), "yaxis": {"type": "category"}}
    return Figure(
        name=name, title=title, text=f"{text} {note}".strip(), data=data, layout=layout, height=140 + 26 * len(shown),
        telling="distribution", note=note,
    )  # fmt: skip


def efficiency(runs: pd.DataFrame) -> Figure:
    """Return which part of their slots' time runs used, and which part of their time was coordination."""
    name, title = "efficiency", "Efficiency and overhead"
    ended = runs[runs["state"].isin(ENDED) & (runs["seconds"] > 0)].sort_values("started")
    if ended.empty:
        return empty(name, title, "No run has ended yet.")
    used = ((ended["busy"] / (ended["seconds"] * ended["slots"])).clip(upper=1.0) * 100).round(2)
    overhead = ((ended["seconds"] - ended["under_way"]).clip(lower=0.0) / ended["seconds"] * 100).round(2)
    speed_up = (ended["busy"] / ended["seconds"]).round(2)
    x, ids = moments(ended["started"]), list(ended["run"])
    point = {"type": "scatter", "mode": "markers", "x": x, "ids": ids, "text": ids}
    data: list[Trace] = [
        {
            **point, "y": list(used), "name": "slots used", "marker": {"color": BLUE, "size": 7},
            "customdata": list(speed_up),
            "hovertemplate": "%{text}<br>%{y:.0f}% of the slots' time, speed-up %{customdata:.2f}<extra></extra>",
        },
        {
            **point, "y": list(overhead), "name": "coordination",
            "marker": {"color": RED, "size": 7, "symbol": "diamond"},
            "hovertemplate": "%{text}<br>%{y:.1f}% of the time nothing ran<extra></extra>",
        },
    ]  # fmt: skip
    text = (
        f"In the median of {counted(len(ended), 'run')}, attempts ran in {used.median():.0f}% of the slots' time, a "
        f"speed-up of {speed_up.median():.2f} over one after the other; in {overhead.median():.1f}% of the time nothing ran."
    )
    layout = {
        "xaxis": axis("start of the run", type="date"),
        "yaxis": axis("part of the time (%)", range=[0, 104]),
    }
    return Figure(name=name, title=title, text=text, data=data, layout=layout, telling="efficiency")


def time_spent(found: Digest) -> Figure:
    """Return where the time of commands goes: waiting, starting kernels, running, and what came to nothing."""
    name, title = "time-spent", "Where the time goes"
    spent = found.spent
    if spent.empty:
        return empty(name, title, "No attempt has ended yet.")
    total = spent.groupby("command")[list(_KINDS)].sum()
    shown = list(total.sum(axis=1).sort_values(ascending=False).index)
    if OTHERS in shown:
        shown = [*(command for command in shown if command != OTHERS), OTHERS]
    data: list[Trace] = [
        {
            "type": "histogram", "histfunc": "sum", "orientation": "h", "name": label, "marker": {"color": colour},
            "y": list(of["command"]), "x": [round(value, 3) for value in of[kind]], "ids": list(of["run"]),
            "hovertemplate": "%{y}: %{x:,.3g} s " + label + "<extra></extra>",
        }
        for kind, (label, colour) in _KINDS.items()
        if len(of := spent[spent[kind] > 0])
    ]  # fmt: skip
    sums = {trace["name"]: sum(trace["x"]) for trace in data}
    whole = sum(sums.values()) or 1.0
    part = {label: sums.get(label, 0.0) / whole for label, _ in _KINDS.values()}
    text = (
        f"Of {length(whole)} in all attempts, {part['ran']:.0%} went into running, {part['kernel started']:.0%} into "
        f"starting kernels, {part['waited']:.0%} into waiting for a slot or for what else was needed, and "
        f"{part['came to nothing']:.0%} into attempts that came to nothing."
    )
    note = "" if found.by == "run" else _SUMMED.format(found.by)
    layout = {
        "barmode": "stack",
        "xaxis": axis("time of all attempts (seconds)"),
        "yaxis": {"type": "category", "categoryorder": "array", "categoryarray": shown[::-1]},
    }
    return Figure(
        name=name, title=title, text=f"{text} {note}".strip(), data=data, layout=layout, height=140 + 26 * len(shown),
        telling="time-spent", note=note,
    )  # fmt: skip


_KINDS = {
    "ran": ("ran", BLUE),
    "kernel": ("kernel started", SKY),
    "waited": ("waited", GREY),
    "lost": ("came to nothing", RED),
}
_SUMMED = "It is summed by {0}, so that a filter by dates takes in or leaves out each {0} as a whole."


def failures(found: Digest) -> Figure:
    """Return why attempts failed, by command and by the kind of error."""
    name, title = "failures", "Causes of failures"
    bad = found.failed
    if bad.empty:
        return empty(name, title, "No attempt has failed.")
    counts = bad.groupby("cause")["count"].sum().sort_values(ascending=False, kind="stable")
    shown = list(counts.index[: len(COLOURS)])
    cause = bad["cause"].where(bad["cause"].isin(shown), "other causes")
    data: list[Trace] = []
    for place, label in enumerate([*shown, *(["other causes"] if len(counts) > len(shown) else [])]):
        of = bad[cause == label]
        data.append(
            {
                "type": "histogram", "histfunc": "sum", "orientation": "h", "name": label, "y": list(of["command"]),
                "x": [int(count) for count in of["count"]], "ids": list(of["run"]),
                "marker": {"color": COLOURS[place] if place < len(COLOURS) else GREY},
                "hovertemplate": "%{y}: %{x} times " + label + "<extra></extra>",
            }
        )  # fmt: skip
    commands = bad.groupby("command")["count"].sum().sort_values(ascending=False, kind="stable")
    layout = {
        "barmode": "stack",
        "showlegend": True,
        "xaxis": axis("attempts that failed (count)"),
        "yaxis": {"type": "category", "categoryorder": "total ascending"},
    }
    note = "" if found.by == "run" else _SUMMED.format(found.by)
    text = (
        f"{counted(int(bad['count'].sum()), 'attempt')} failed; the most frequent cause is {counts.index[0]} "
        f"({counts.iloc[0]:,}), the command that failed most often {commands.index[0]} ({commands.iloc[0]:,})."
    )
    return Figure(
        name=name, title=title, text=f"{text} {note}".strip(), data=data, layout=layout, height=150 + 26 * len(commands),
        telling="failures", note=note,
    )  # fmt: skip


def checkpoint_history(checkpoints: pd.DataFrame) -> Figure:
    """Return when files were kept, how long that took, and how many had changed."""
    name, title = "checkpoints", "Checkpoints"
    every = checkpoints[checkpoints["taken"]].sort_values("at", kind="stable")
    taken = _latest(every, MOST_POINTS)
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
        f"{length(taken['seconds'].median())} each in the median."
    )
    note = f"The latest {len(taken):,} of {len(every):,} are drawn." if len(every) > len(taken) else ""
    return Figure(
        name=name, title=title, text=f"{text} {note}".strip(), data=data, layout=layout, telling="checkpoints", note=note,
        marks="A larger dot had more changed files.",
    )  # fmt: skip


def _by_workflow(runs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    names = runs["workflow"].astype(str)
    shown = names.value_counts().index[:MOST_WORKFLOWS]
    return [(str(name), _latest(runs[names == name], MOST_POINTS // MOST_WORKFLOWS)) for name in shown]


def _left_out(ended: pd.DataFrame, by_workflow: list[tuple[str, pd.DataFrame]]) -> str:
    drawn = sum(len(of) for _, of in by_workflow)
    if drawn == len(ended):
        return ""
    return (
        f" {drawn:,} of {len(ended):,} runs are drawn: the latest of the {len(by_workflow)} workflows with most runs."
    )


def _latest(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    return rows if len(rows) <= most else rows.iloc[-most:]


def moments(values: Any) -> Sequence[str]:
    """Return moments as plotly takes them, in UTC."""
    return [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in values]
