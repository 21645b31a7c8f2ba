"""What is wrong with one command by itself, said where it is written and not when the workflow is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from orchestrator_nb.definition.model import Invalid
from orchestrator_nb.definition.models import WorkflowDefinition
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.spelling import canonical
from orchestrator_nb.errors import DefinitionError, Mistake


def check_command(name: str, body: Mapping[str, Any]) -> None:
    """Look at the names and the types of a command's fields; what it refers to is not looked for.

    Raises DefinitionError with every mistake.
    """
    spelled = canonical({"workflow": "workflow", "commands": {name: dict(body)}})
    mistakes = list(spelled.mistakes)
    try:
        WorkflowDefinition.read(spelled.data)
    except Invalid as error:
        from orchestrator_nb.definition.wording import translate

        mistakes += [mistake for item in error.errors if (mistake := translate(item, spelled.data)) is not None]
    if mistakes:
        raise DefinitionError([_named(mistake, name) for mistake in mistakes])


def _named(mistake: Mistake, name: str) -> Mistake:
    """Return the mistake with the command's id in its path, where the canonical spelling has its number."""
    rest = mistake.path.removeprefix("/commands/0")
    return mistake if rest == mistake.path else replace(mistake, path=child("/commands", name) + rest)
