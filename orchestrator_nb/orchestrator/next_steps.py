"""What to type to go on with a run that has ended, is paused or waits for somebody."""

from __future__ import annotations

import shlex
from pathlib import Path

from orchestrator_nb.journal.store import find_store
from orchestrator_nb.orchestrator.display.decisions import what_to_type
from orchestrator_nb.recovery.rollbacks import how_to_step_back, why_step_back
from orchestrator_nb.state.run_state import RunState


def next_steps(state: RunState, folder: Path, *, in_session: str | None, is_ours: bool) -> tuple[str, ...]:
    """Return the lines, none for a run that completed without deviations.

    `in_session` is the session that defined the functions of a run that is `ours`; of any other, what was kept says so.
    """
    if state.run.state == "completed" and not state.deviations:
        return ()
    elsewhere = "" if find_store() == folder.parent else f" --store {shlex.quote(str(folder.parent))}"
    asked = what_to_type(state, folder.name, elsewhere)
    if state.run.state == "failed" and why_step_back(state) is not None:
        asked.append(how_to_step_back(folder.name))
    if not is_ours:
        from orchestrator_nb.orchestrator.frozen import session_needed  # it reads definitions, with pydantic

        in_session = session_needed(folder, state)
    if in_session is not None:
        return (*asked, f"to go on, in {in_session}: flow.resume()")
    return (*asked, f"to go on: orchestrator-nb resume {folder.name}{elsewhere}")
