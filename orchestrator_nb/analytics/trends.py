"""Figures over runs: one value a run, or one for each command that recorded it."""

from __future__ import annotations

import pandas as pd

RUN_FIGURES = ("seconds", "busy", "efficiency", "overhead")
"""The figures that every run has that has ended."""

COLUMNS = ["run", "workflow", "command", "at", "value"]
_ENDED = ("completed", "failed", "error", "stopped")


def run_figures(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return one of the `RUN_FIGURES` of these runs, the oldest first."""
    ended = runs[runs["state"].isin(_ENDED)].sort_values("started", kind="stable")
    driven = ended["seconds"].where(ended["seconds"] > 0)
    values = {
        "seconds": ended["seconds"],
        "busy": ended["busy"],
        "efficiency": ended["busy"] / (driven * ended["slots"]),
        "overhead": (driven - ended["under_way"]).clip(lower=0.0) / driven,
    }[name]
    found = ended.rename(columns={"started": "at"}).assign(value=values, command=None)
    return found[COLUMNS].reset_index(drop=True)


def last_values(metrics: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the last value of a metric in each command of each run, the oldest first."""
    of = metrics[(metrics["name"] == name) & metrics["value"].notna()].sort_values("at", kind="stable")
    last = of.drop_duplicates(["run", "command"], keep="last")
    return last[COLUMNS].reset_index(drop=True)


def recorded_most(metrics: pd.DataFrame) -> list[str]:
    """Return the names of the metrics, those of most runs first."""
    counts = metrics[["run", "name"]].drop_duplicates()["name"].value_counts()
    return sorted((str(name) for name in counts.index[counts > 0]), key=lambda name: (-counts[name], name))
