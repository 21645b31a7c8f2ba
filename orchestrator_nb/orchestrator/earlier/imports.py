"""What the notebooks of a workflow imported in its latest runs without saying so in a cell: a module of the project did, or
a function that was called. Read from the journals, like the durations."""

from __future__ import annotations

from pathlib import Path

import msgspec

from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.kernels.imported import module_names
from orchestrator_nb.orchestrator.earlier.durations import MOST, latest_runs

_MARK = b'"kind":"ModulesImported"'


class _Imported(msgspec.Struct):
    modules: tuple[str, ...]


_decode = msgspec.json.Decoder(_Imported).decode


def earlier_imports(store: Path, workflow: str) -> tuple[str, ...]:
    """Return the modules, sorted. A run that had them before its kernels were forked tells nothing of them, so what is
    not imported any more is forgotten after some runs, and what is, is learnt anew."""
    found: set[str] = set()
    left = MOST
    for folder in latest_runs(store, workflow):
        try:
            left -= (folder / JOURNAL).stat().st_size
            content = (folder / JOURNAL).read_bytes() if left >= 0 else b""
        except OSError:
            continue
        for line in content.splitlines() if _MARK in content else ():
            if _MARK in line:
                try:
                    found.update(_decode(line).modules)
                except msgspec.MsgspecError:
                    continue
    return module_names(found)
