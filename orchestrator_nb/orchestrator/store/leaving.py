"""The summary that a run leaves in its folder."""

from __future__ import annotations

from pathlib import Path

from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.state.run_state import RunState

FILE = "summary.md"

PACE = 1000.0
"""Events a second above which a run is not kept waiting for its summary: reading them again would cost a part of its time
that can be felt. `orchestrator-nb report` gives it then."""


def leave_summary(folder: Path, state: RunState) -> None:
    """Write the summary into the run's folder, unless the run was too quick for as much as it recorded.

    Raises StoreError and OSError.
    """
    started, commands = state.run.started, len(state.commands)
    last = max((record.ended or 0.0 for record in state.commands.values()), default=0.0)
    if started is None or (last - started) * PACE < 3 * commands:
        return
    from orchestrator_nb.analytics.summary import summary_markdown
    from orchestrator_nb.state.timing import timing

    text = summary_markdown(timing(read(folder / JOURNAL)), state)
    (folder / FILE).write_text(text, encoding="utf-8", errors="backslashreplace")
