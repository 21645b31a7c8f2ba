"""What a definition asks for and nothing in this version acts on: it is named, never passed over in silence."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator_nb.definition.models import WorkflowDefinition

_OF_COMMANDS = {
    "milestone": "nothing is delivered before the end",
}
_SHOWN = 5


def unacted(definition: WorkflowDefinition) -> Iterator[str]:
    """Yield a sentence for each option that is given and has no effect, with the commands that it is given for."""
    for name, effect in _OF_COMMANDS.items():
        given = [command.id for command in definition.commands if getattr(command, name)]
        if given:
            more = f" and {len(given) - _SHOWN} more" if len(given) > _SHOWN else ""
            names = ", ".join(f'"{command}"' for command in given[:_SHOWN])
            yield f'"{name}" of {names}{more} has no effect in this version: {effect}'
    if definition.coordination_timeout is not None and definition.overlap != "wait":
        yield f'"coordination_timeout" has an effect with `overlap: wait` only; it is `{definition.overlap}`'
