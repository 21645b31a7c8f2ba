"""The standard record of what a command came to: the same fields whatever kind of command it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import fields

from orchestrator_nb.data.shared_values import read_shared
from orchestrator_nb.events import Stored

NEXT = "next_command_context"
"""The name under which a command records what only those that come after it have to know."""


class CommandResult(Struct, frozen=True, kw_only=True):
    """What a command came to.

    `primary_outputs` is its result, `state_changes` are its changes of the shared state by name, `workflow_data` is
    what it recorded by name (of one that failed, what it had recorded by then), `quality_metrics` are its numbers by
    name, `next_command_context` is the mapping that it recorded under that name. A native command may return one;
    `command` is filled in for it.
    """

    success: bool = True
    primary_outputs: Any = None
    state_changes: Mapping[str, Any] = field(default_factory=dict)
    workflow_data: Mapping[str, Any] = field(default_factory=dict)
    quality_metrics: Mapping[str, float] = field(default_factory=dict)
    next_command_context: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Return the record as a dictionary."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


def command_result(
    command: str,
    *,
    success: bool,
    output: Stored | None,
    recorded: Mapping[str, Stored],
    changes: Mapping[str, Any],
    metrics: Mapping[str, float],
    load: Callable[[Stored], Any],
) -> CommandResult:
    """Return the record of a command, its values loaded. Raises what `load` raises."""
    data = {name: load(stored) for name, stored in recorded.items()}
    handed_on = data.pop(NEXT, {})
    return CommandResult(
        success=success,
        primary_outputs=None if output is None else load(output),
        state_changes={name: read_shared(value, load) for name, value in changes.items()},
        workflow_data=data,
        quality_metrics=dict(metrics),
        next_command_context=handed_on if isinstance(handed_on, dict) else {NEXT: handed_on},
        command=command,
    )


def previous_results(
    *,
    inputs: Mapping[str, Stored],
    recorded: Mapping[str, Mapping[str, Stored]],
    changes: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, Mapping[str, float]],
    load: Callable[[Stored], Any],
) -> list[dict[str, Any]]:
    """Return the records of the upstream commands, which all succeeded, as dictionaries. Raises what `load` raises."""
    return [
        command_result(
            name,
            success=True,
            output=inputs.get(name),
            recorded=recorded.get(name, {}),
            changes=changes.get(name, {}),
            metrics=metrics.get(name, {}),
            load=load,
        ).to_plain()
        for name in dict.fromkeys((*inputs, *recorded, *changes, *metrics))
    ]
