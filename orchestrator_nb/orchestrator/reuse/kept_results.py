"""Whether the results that a resumed run goes on with are what was recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.errors import StoreError
from orchestrator_nb.events import Stored
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import GOOD


def check_kept_results(state: RunState, plan: Plan, artifacts: Artifacts, *, again: Collection[str] = ()) -> None:
    """Read the files of every result that a command waits for which has not succeeded, or which is to run `again`.

    Raises StoreError naming all that are missing or altered, with the commands that made them.
    """
    good = {name for name, record in state.commands.items() if record.state in GOOD and name not in again}
    needed = {upstream for name in plan.order if name not in good for upstream in plan.upstream[name]} & good
    troubles = []
    for name in sorted(needed):
        record = state.commands[name]
        kept = (record.result, *record.recorded.values(), *record.artifacts.values())
        for sha256 in sorted({found for stored in kept for found in _files(stored)}):
            try:
                artifacts.verify(sha256)
            except StoreError as error:
                troubles.append(f'the result of "{name}": {error}')
    if troubles:
        raise StoreError("\n".join([*troubles, "put the files back as they were, or start a new run"]))


def _files(stored: Stored | None) -> Iterator[str]:
    if stored is None:
        return
    if stored.artifact is not None:
        yield stored.artifact
    for item in (stored.items or {}).values():
        yield from _files(item)
