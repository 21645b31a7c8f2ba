"""The gates of a definition, looked at before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from orchestrator_nb.definition.models import GateDefinition, WorkflowDefinition
from orchestrator_nb.definition.reading import Loaded
from orchestrator_nb.errors import Mistake


def all_gates(definition: WorkflowDefinition) -> Iterator[GateDefinition]:
    """Yield the gates of all commands, then those that are required of the run."""
    for command in definition.commands:
        yield from command.checks
    yield from definition.quality_requirements


def gate_mistakes(
    definition: WorkflowDefinition,
    loaded: Loaded,
    *,
    functions: Mapping[str, Callable[..., Any]],
    settled: Collection[str] = (),
) -> list[Mistake]:
    """Return every mistake of gates, each with its place; commands that are `settled` are not checked.

    A workflow without gates imports nothing for this.
    """
    if not any(all_gates(definition)):
        return []
    from orchestrator_nb.quality.mistakes import mistakes_of

    found: list[Mistake] = []
    for command in definition.commands:
        if command.checks and command.id not in settled:
            wrong = mistakes_of(command.checks, command, at="/gates", folder=loaded.folder, functions=functions)
            found += [loaded.placed(mistake, command=command.id) for mistake in wrong]
    required = definition.quality_requirements
    wrong = mistakes_of(required, None, at="/quality_requirements", folder=loaded.folder, functions=functions)
    return [*found, *(loaded.placed(mistake) for mistake in wrong)]
