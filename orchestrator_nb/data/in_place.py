"""Stored values as plain JSON in their place, for documents that carry what they tell of instead of references."""

from __future__ import annotations

import base64
import datetime as dt
import math
from typing import Any

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.stored import load
from orchestrator_nb.events import Stored
from orchestrator_nb.events.json_form import stored_to_plain


def in_place(stored: Stored, artifacts: Artifacts) -> Any:
    """Return a stored value as plain JSON.

    JSON is itself and a mapping one of its values; a table is an object with `columns` and `rows`, an array one with
    its `dtype` and `values`, bytes one with `base64`. What JSON has no word for is text (times, decimals), or null (not
    a number). Files and what lives in a process stay references. Raises StoreError where a file is gone.
    """
    if stored.form == "mapping":
        return {name: in_place(item, artifacts) for name, item in (stored.items or {}).items()}
    if stored.form == "json":
        return load(stored, artifacts=artifacts, live=None)
    if stored.artifact is None or stored.form == "file":
        return stored_to_plain(stored)
    path = artifacts.path(stored.artifact)
    if stored.form == "parquet":
        from pyarrow import parquet

        table = parquet.read_table(path)
        columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
        return {
            "form": "table",
            "columns": table.column_names,
            "rows": [list(row) for row in zip(*columns, strict=True)],
        }
    if stored.form == "npy":
        import numpy as np

        array = np.load(path, allow_pickle=False)
        return {"form": "array", "dtype": str(array.dtype), "values": _plain(array.tolist())}
    return {"form": stored.form, "base64": base64.b64encode(path.read_bytes()).decode()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
