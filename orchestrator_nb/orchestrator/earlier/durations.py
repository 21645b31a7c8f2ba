"""How long the commands of a workflow took in its earlier runs.

Read from the latest journals themselves and not from the index over them: every start of a run asks, a few milliseconds
give the answer, and to load what the index needs would cost a hundred times as much.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from orchestrator_nb.journal.store import JOURNAL

RUNS = 5
"""So many of the latest runs are looked at."""
MOST = 8_000_000
"""Bytes of journals that are read at the most: learning must not cost more than it gives."""
WORTH = 1.0
"""Seconds that a run has to take altogether for its durations to be worth planning with."""

_MARK = b'"kind":"AttemptReturned"'


class _Returned(msgspec.Struct):
    command: str
    seconds: float


_decode = msgspec.json.Decoder(_Returned).decode


def earlier_seconds(store: Path, workflow: str, commands: Collection[str]) -> dict[str, float]:
    """Return the median of the seconds that each of these commands took where it returned, in the latest runs.

    Commands that are not known are left out. A journal that cannot be read tells nothing.
    """
    found: dict[str, list[float]] = {}
    left = MOST
    for folder in latest_runs(store, workflow):
        try:
            size = (folder / JOURNAL).stat().st_size
            if size > left:
                continue
            left -= size
            lines = (folder / JOURNAL).read_bytes().splitlines()
        except OSError:
            continue
        for line in lines:
            if _MARK in line:
                try:
                    returned = _decode(line)
                except msgspec.MsgspecError:
                    continue
                if returned.command in commands:
                    found.setdefault(returned.command, []).append(returned.seconds)
    if not found:
        return {}
    from statistics import median

    seconds = {command: median(values) for command, values in found.items()}
    return seconds if sum(seconds.values()) >= WORTH else {}


def latest_runs(store: Path, workflow: str) -> list[Path]:
    """Return the folders of the latest runs of the workflow: their names end with the time at which they began."""
    begins = f"{workflow}-"
    try:
        names = [name for name in os.listdir(store) if name.startswith(begins)]
    except OSError:
        return []
    # A name has the workflow, the day, the time and a few random digits; another workflow's may begin alike.
    names = sorted((name for name in names if name[len(begins) :].count("-") == 2), reverse=True)
    if len(names) > RUNS:  # which of one second came later, their journals tell
        least = _second(names[RUNS - 1])
        names = [name for name in names if _second(name) >= least]
        names.sort(key=lambda name: (_second(name), _written(store / name / JOURNAL)), reverse=True)
    return [store / name for name in names[:RUNS]]


def _second(name: str) -> str:
    return name.rpartition("-")[0]


def _written(journal: Path) -> int:
    try:
        return journal.stat().st_mtime_ns
    except OSError:
        return 0
