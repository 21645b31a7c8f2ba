"""What a run may be given besides its parameters: its context, quality requirements, and how it is driven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_nb.definition.models import MOST_SLOTS, WorkflowDefinition
from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.definition.writing import to_plain
from orchestrator_nb.errors import UsageError

SETTINGS = ("context", "quality_requirements", "recovery", "optimization", "monitoring", "deadline")
"""The keys of a definition that a start may give, too."""

_ALONE = {"workflow": "run", "commands": {"command": {"shell": ["true"]}}}


def given_settings(**given: Any) -> dict[str, Any]:
    """Return the settings that were given, without those that were not (None). The names are those of SETTINGS."""
    return {name: given[name] for name in SETTINGS if given.get(name) is not None}


def with_settings(definition: WorkflowDefinition, given: Mapping[str, Any]) -> WorkflowDefinition:
    """Return the definition as a run is started with it, when it was given these settings.

    The context is added to that of the definition, key by key, and requirements to its requirements; of the others what
    is given counts, key by key. Applied twice, they change nothing more. Raises DefinitionError with every mistake.
    """
    if not given:
        return definition
    read = read_definition({**_ALONE, **given}).definition
    changes: dict[str, Any] = {}
    for name in given:
        own, new = getattr(definition, name), getattr(read, name)
        if name == "context":
            changes[name] = {**own, **new}
        elif name == "quality_requirements":
            changes[name] = (*own, *(gate for gate in new if gate not in own))
        elif name == "deadline":
            changes[name] = new
        else:
            changes[name] = own.model_copy(update={key: getattr(new, key) for key in new.model_fields_set})
    return definition.model_copy(update=changes)


def recorded_settings(definition: WorkflowDefinition) -> dict[str, Any]:
    """Return what the journal keeps of them: every one, at its default where nobody said anything."""
    return {name: to_plain(getattr(definition, name), defaults=True) for name in SETTINGS}


def check_driving(*, slots: int | None, durability: str | None) -> None:
    """Look at the two that say how a run is driven. Raises UsageError."""
    if durability not in (None, "full", "process"):
        raise UsageError(f'durability is "full" or "process"; found {durability!r}')
    if slots is not None and (type(slots) is not int or not 1 <= slots <= MOST_SLOTS):
        raise UsageError(f"slots is a whole number from 1 to {MOST_SLOTS:,}; found {slots!r}")
