"""Work that is done once before the fork, so that what it fills in passing is there: caches, lazy imports, tables.

Nothing that code could see is changed: no random number is drawn from a shared state, no option is set, no name is left.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def warm(shell: Any) -> None:
    """Do what most first cells do, with the libraries that are there; what fails here fails in a cell, if at all."""
    works = [work for name, work in _LIBRARIES.items() if name in sys.modules]
    if shell is not None:
        works.append(_cells)
    for work in works:
        with suppress(Exception):  # it is for speed alone
            work(shell)


def _cells(shell: Any) -> None:
    """Run a cell as the kernel does, and forget it."""
    names, files = set(shell.user_ns), set(shell.compile._filename_map)
    shell.run_cell("1\nNone", store_history=False, silent=True)
    for name in set(shell.user_ns) - names:
        del shell.user_ns[name]
    for name in set(shell.compile._filename_map) - files:
        del shell.compile._filename_map[name]
    shell.display_formatter.format([1, "a", {"b": 2.5}])


def _numpy(_: Any) -> None:
    import numpy as np

    generator = np.random.default_rng(1)
    values = generator.normal(size=8) + generator.integers(0, 5, 8)
    repr(np.linalg.inv(np.eye(2)) @ values.reshape(2, 4).round(2))


def _pandas(shell: Any) -> None:
    import io

    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2, 1], "b": [0.5, 1.5, None], "c": ["x", "y", "x"]})
    frame["d"] = frame["a"] * frame["b"]
    grouped = frame[frame["a"] > 0].groupby("a")["b"].agg(["mean", "count"]).round(6)
    merged = frame.merge(grouped, left_on="a", right_index=True).sort_values("b").fillna(0)
    read = pd.read_csv(io.StringIO(merged.to_csv(index=False)))
    read.describe()
    for shown in (grouped, frame["c"], read.head(1)):
        repr(shown)
        if shell is not None:
            shell.display_formatter.format(shown)


_LIBRARIES: dict[str, Callable[[Any], None]] = {"numpy": _numpy, "pandas": _pandas}
