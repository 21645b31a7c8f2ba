"""Sums over a whole history, made of Arrow columns: what overviews and dashboards begin with."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator_nb.analytics.history import History
from orchestrator_nb.analytics.selection import Selection
from orchestrator_nb.analytics.tables import in_one_piece

_FAILED = pa.array(["failed", "crashed"])


def of_runs(history: History, chosen: Selection | None = None) -> list[dict[str, Any]]:
    """Return a row a workflow: ``runs``, ``completed``, ``seconds`` (mean), ``busy`` (sum, seconds), ``latest``."""
    table = history.read("runs", ("workflow", "state", "seconds", "busy", "started"), chosen)
    good = pc.equal(table.column("state").cast("string"), "completed").cast("int64")
    table = table.unify_dictionaries().append_column("good", good)
    found = table.group_by("workflow").aggregate(
        [("run", "count"), ("good", "sum"), ("seconds", "mean"), ("busy", "sum"), ("started", "max")]
    )
    names = {"run_count": "runs", "good_sum": "completed", "seconds_mean": "seconds", "busy_sum": "busy"}
    names["started_max"] = "latest"
    rows = [{names.get(name, name): value for name, value in row.items()} for row in found.to_pylist()]
    return sorted(rows, key=lambda row: row["runs"], reverse=True)


def of_commands(history: History, chosen: Selection | None = None) -> list[dict[str, Any]]:
    """Return a row for each command of each workflow, the most expensive first.

    ``runs``, ``seconds`` (mean of the last attempts), ``deviation`` (standard, seconds), ``spent`` (sum over all
    attempts, seconds), ``waited`` (sum, seconds), ``failed`` (how often it did not succeed), ``retries`` (sum).
    """
    columns = ("workflow", "command", "state", "seconds", "spent", "waited", "retry")
    table = history.read("commands", columns, chosen)
    table = in_one_piece(table.drop_columns(["run"]))
    state = table.column("state").combine_chunks()  # of the few states each is looked at once
    failed = pc.is_in(state.dictionary, value_set=_FAILED).cast("int64").take(state.indices)
    table = table.append_column("failed", failed).drop_columns(["state"])
    found = table.group_by(["workflow", "command"]).aggregate(
        [
            ("seconds", "count"), ("seconds", "mean"), ("seconds", "stddev"), ("spent", "sum"), ("waited", "sum"),
            ("failed", "sum"), ("retry", "sum"),
        ]
    )  # fmt: skip
    names = {
        "seconds_count": "runs", "seconds_mean": "seconds", "seconds_stddev": "deviation", "spent_sum": "spent",
        "waited_sum": "waited", "failed_sum": "failed", "retry_sum": "retries",
    }  # fmt: skip
    rows = [{names.get(name, name): value for name, value in row.items()} for row in found.to_pylist()]
    return sorted(rows, key=lambda row: row["spent"], reverse=True)
