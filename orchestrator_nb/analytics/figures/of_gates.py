"""Figures of what gates found: their verdicts, and the numbers of one over time."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from orchestrator_nb.analytics.figures.figure import (
    COLOURS,
    GREEN,
    GREY,
    RED,
    Figure,
    Trace,
    axis,
    counted,
    empty,
    named,
    number,
)
from orchestrator_nb.analytics.figures.marking import EDGE, mark
from orchestrator_nb.analytics.figures.of_history import MOST_POINTS, moments
from orchestrator_nb.analytics.marks import Marks, bound_of


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
    notes, seen = [], ["A cross is a check that did not pass."]
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
        notes.append(f"It asks for {said}.")
        seen.append("The dashed line is what it asks for.")
    if whole > len(of):
        notes.append(f"The latest {len(of):,} of {whole:,} checks are drawn.")
    told_of = mark(data, of.assign(command=None), "", marked)
    note = " ".join(notes)
    text = _checked(passed, float(of["value"].iloc[-1]))
    layout = {
        "xaxis": axis("when it was checked", type="date"),
        "yaxis": axis("what was found (unit of the gate)"),
        "yaxis2": EDGE,
    }
    return Figure(
        name=name, title=title, text=f"{text} {note}".strip(), data=data, layout=layout, height=300,
        telling="gate", note=note, marks=f"{' '.join(seen)} {told_of.marks}".strip(), unseen=told_of.unseen,
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
