"""Taking a result for up to date although its code or its files have changed since it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator_nb.data.secret_digests import SecretDigests
from orchestrator_nb.definition.names import instead
from orchestrator_nb.errors import UsageError
from orchestrator_nb.plan.contents import Contents
from orchestrator_nb.plan.key import key_of, why_never
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE


def acceptance(command: str, opening: Any, state: RunState, store: Path) -> dict[str, Any]:
    """Return the fields of the request that accepts a result: the key of its code now, the hashes of its files now.

    `opening` is the `Opening` of the run as its workflow is today, `store` where it is kept. Raises UsageError.
    """
    record = state.commands.get(command)
    plan = opening.plan
    if record is None or command not in plan.commands:
        raise UsageError(f'the run has no command "{command}"; {instead(command, state.commands)}')
    if record.state not in DONE:
        raise UsageError(f'"{command}" is {record.state} and has no result that could be accepted')
    key = key_of(command, plan=plan, commands=opening.commands, secrets=SecretDigests(store, make=True))
    if not key:
        never = why_never(command, plan=plan, commands=opening.commands)
        raise UsageError(f'"{command}" is never reused, so it cannot be accepted: {never}')
    definition, contents = plan.commands[command], Contents()

    def hashes(texts: tuple[str, ...]) -> dict[str, str | None] | None:
        return contents.of(texts, definition, folder=plan.folder, parameters=plan.parameters) if texts else None

    return {"command": command, "key": key, "reads": hashes(definition.reads), "writes": hashes(definition.writes)}
