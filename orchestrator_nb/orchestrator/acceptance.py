"""Taking a result for up to date although its code or its files have changed since it was made."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.engine.requests import Accept, accepted
from orchestrator_nb.errors import StoreError, UsageError
from orchestrator_nb.events import NoticeGiven
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.identity import asker
from orchestrator_nb.journal.owner import Ownership
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.plan.contents import Contents
from orchestrator_nb.plan.key import key_of, why_never
from orchestrator_nb.state import RunState, fold
from orchestrator_nb.transitions import DONE, IllegalTransition


def acceptance(command: str, opening: Any, state: RunState) -> dict[str, Any]:
    """Return the fields of the request that accepts a result: the key of its code now, the hashes of its files now.

    `opening` is the `Opening` of the run as its workflow is today. Raises UsageError.
    """
    record = state.commands.get(command)
    plan = opening.plan
    if record is None or command not in plan.commands:
        raise UsageError(f'the run has no command "{command}"; it has {", ".join(state.commands) or "none yet"}')
    if record.state not in DONE:
        raise UsageError(f'"{command}" is {record.state} and has no result that could be accepted')
    key = key_of(command, plan=plan, commands=opening.commands)
    if not key:
        never = why_never(command, plan=plan, commands=opening.commands)
        raise UsageError(f'"{command}" is never reused, so it cannot be accepted: {never}')
    definition, contents = plan.commands[command], Contents()

    def hashes(texts: tuple[str, ...]) -> dict[str, str | None] | None:
        return contents.of(texts, definition, folder=plan.folder, parameters=plan.parameters) if texts else None

    return {"command": command, "key": key, "reads": hashes(definition.reads), "writes": hashes(definition.writes)}


def record_accepted(run_folder: Path, told: Mapping[str, Any]) -> None:
    """Record the acceptance in the journal of a run that nobody drives. Raises RunRefused, UsageError, StoreError."""
    ownership = Ownership(run_folder)
    try:
        journal = JournalFile(run_folder / JOURNAL, clock=time.time)
        try:
            state = fold(journal.read())
            fact = accepted(Accept(**told, by=asker()), state, time.time())
            if isinstance(fact, NoticeGiven):
                raise UsageError(fact.text)
            journal.append([fact])
        except IllegalTransition as error:
            raise StoreError(f'the journal "{journal.path}" tells something impossible: {error}') from error
        finally:
            journal.close()
    finally:
        ownership.release()
