"""Marks beside values over time: thresholds, runs with deviations, new code, checkpoints; drawn, and told in words."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from orchestrator_nb.analytics.figures.figure import GREY, ORANGE, Trace, counted, listed, number
from orchestrator_nb.analytics.figures.of_history import moments
from orchestrator_nb.analytics.marks import Marks


class Marked(NamedTuple):
    """What is to be said of what was marked: always, to who sees it, and to who does not (see `Figure`)."""

    note: str = ""
    marks: str = ""
    unseen: str = ""


def mark(data: list[Trace], values: pd.DataFrame, name: str, marked: Marks | None) -> Marked:
    """Draw what is marked; return what is to be said of it. `name` is that of the metric whose gates have thresholds."""
    if marked is None:
        return Marked()
    note, seen, unseen = "", [], []
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
        asks, line = (
            ("gate asks", "line is what it asks") if len(signs) == 1 else ("gates ask", "lines are what they ask")
        )
        note = f"Its {asks} for {' and '.join(signs)}."
        seen.append(f"The dashed {line} for.")
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
        seen.append("A cross is a run that completed with deviations.")
        unseen.append(
            f"{counted(len(set(ids)), 'run')} of these completed with deviations: {listed(list(dict.fromkeys(ids)))}."
        )
    changes, kept = _of(marked.changes, runs), _of(marked.checkpoints, runs)
    if len(changes):
        words = [f"code of {command} changed" for command in changes["command"].astype(str)]
        data.append(_triangles(changes, words, "code changed", "triangle-up", "changed"))
        seen.append("A triangle below is a run in which the code or the definition of a command was new.")
        newest = changes.iloc[-1]
        unseen.append(
            f"In {counted(len(changes), 'run')} the code or the definition of a command was new, the last time that of "
            f"{newest['command']} in {newest['run']}."
        )
    if len(kept):
        data.append(_triangles(kept, ["checkpoint"] * len(kept), "checkpoint", "diamond-open", "checkpoint"))
        seen.append("A diamond below is a checkpoint of a whole run.")
        unseen.append(f"{counted(len(kept), 'checkpoint')} of whole runs {'was' if len(kept) == 1 else 'were'} taken.")
    return Marked(note, " ".join(seen), " ".join(unseen))


def _of(rows: pd.DataFrame, runs: pd.Series) -> pd.DataFrame:
    return rows if rows.empty else rows[rows["run"].astype(str).isin(set(runs))]


def _triangles(rows: pd.DataFrame, words: list[str], label: str, symbol: str, role: str) -> Trace:
    """Marks on the lower edge of the figure, on an axis of their own."""
    ids = list(rows["run"])
    return {
        "type": "scatter", "mode": "markers", "name": label, "x": moments(rows["at"]), "ids": ids, "yaxis": "y2",
        "y": [0.03 if role == "changed" else 0.09] * len(ids), "meta": {"role": role},
        "text": [f"{run}<br>{said}" for run, said in zip(ids, words, strict=True)],
        "marker": {"symbol": symbol, "size": 9, "color": GREY, "line": {"width": 1.5, "color": GREY}},
        "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


EDGE = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
"""The axis of what is marked on the lower edge."""
