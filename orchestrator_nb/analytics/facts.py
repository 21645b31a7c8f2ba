"""The facts of runs as a frame, read from their journals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator_nb.analytics.columns import PANDAS
from orchestrator_nb.analytics.selection import Selection
from orchestrator_nb.errors import StoreError
from orchestrator_nb.event_json import to_plain
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL

COLUMNS = ("run", "workflow", "seq", "at", "kind", "command", "attempt", "details")
_OWN = ("kind", "at", "command", "attempt")


def event_rows(store: Path, runs: pd.DataFrame, chosen: Selection) -> pd.DataFrame:
    """Return a row for each fact of these runs; of a journal that is damaged, those before that place."""
    rows: list[tuple[Any, ...]] = []
    for run, workflow in zip(runs["run"], runs["workflow"], strict=True):
        try:
            for seq, event in enumerate(read(store / run / JOURNAL), start=1):
                plain = to_plain(event)
                command = plain.get("command")
                if chosen.commands and command not in chosen.commands:
                    continue
                details = {name: value for name, value in plain.items() if name not in _OWN}
                rows.append((run, workflow, seq, event.at, plain["kind"], command, plain.get("attempt"), details))
        except (StoreError, FileNotFoundError):
            continue
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    micros = pd.Series([round(at * 1e6) for at in found["at"]], dtype="int64")
    found["at"] = micros.astype("datetime64[us]").dt.tz_localize("UTC")
    text = dict.fromkeys(("run", "workflow", "kind", "command"), PANDAS["text"])
    return found.astype({**text, "seq": "int64", "attempt": PANDAS["optional count"]})
