"""The facts of runs as a frame, read from their journals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator_nb.analytics.columns import PANDAS
from orchestrator_nb.analytics.selection import Selection
from orchestrator_nb.errors import StoreError
from orchestrator_nb.events import RunRated
from orchestrator_nb.events.json_form import to_plain
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.journal.store_facts import store_facts

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
    found["at"] = _times(list(found["at"]))
    text = dict.fromkeys(("run", "workflow", "kind", "command"), PANDAS["text"])
    return found.astype({**text, "seq": "int64", "attempt": PANDAS["optional count"]})


def rating_rows(store: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each rating of these runs, from the facts of the store."""
    names = set(runs["run"].astype(str))
    given = [fact for fact in store_facts(store) if isinstance(fact, RunRated) and fact.run in names]
    text = {
        name: pd.Series([getattr(fact, name) for fact in given], dtype=PANDAS["text"])
        for name in ("run", "note", "author", "role", "about")
    }
    stars = pd.Series([fact.stars for fact in given], dtype=PANDAS["optional count"])
    found = pd.DataFrame({**text, "stars": stars, "at": _times([fact.at for fact in given])})
    return found[["run", "at", "stars", "note", "author", "role", "about"]]


def _times(moments: list[float]) -> pd.Series:
    micros = pd.Series([round(at * 1e6) for at in moments], dtype="int64")
    return micros.astype("datetime64[us]").dt.tz_localize("UTC")
