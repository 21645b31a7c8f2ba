"""The gates of a definition, and the functions that merge, looked at before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from orchestrator_nb.definition.models import GateDefinition, WorkflowDefinition
from orchestrator_nb.definition.reading import Loaded
from orchestrator_nb.errors import Mistake
from orchestrator_nb.state.sharing import is_function


def all_gates(definition: WorkflowDefinition) -> Iterator[GateDefinition]:
    """Yield the gates of all commands, then those that are required of the run."""
    for command in definition.commands:
        if checks := command.checks:
            yield from checks
    yield from definition.quality_requirements


def gate_mistakes(
    definition: WorkflowDefinition,
    loaded: Loaded,
    *,
    functions: Mapping[str, Callable[..., Any]],
    settled: Collection[str] = (),
) -> list[Mistake]:
    """Return every mistake of gates and of functions that merge shared values, each with its place; commands that are
    `settled` are not checked.

    A workflow that has none imports nothing for this.
    """
    merges = _strategy_mistakes(definition, loaded, functions=functions)
    if not any(all_gates(definition)):
        return merges
    from orchestrator_nb.quality.mistakes import mistakes_of

    found: list[Mistake] = []
    for command in definition.commands:
        if command.checks and command.id not in settled:
            wrong = mistakes_of(command.checks, command, at="/gates", folder=loaded.folder, functions=functions)
            found += [loaded.placed(mistake, command=command.id) for mistake in wrong]
    required = definition.quality_requirements
    wrong = mistakes_of(required, None, at="/quality_requirements", folder=loaded.folder, functions=functions)
    return [*merges, *found, *(loaded.placed(mistake) for mistake in wrong)]


def _strategy_mistakes(
    definition: WorkflowDefinition, loaded: Loaded, *, functions: Mapping[str, Callable[..., Any]]
) -> list[Mistake]:
    if not any(map(is_function, definition.merge.values())):
        return []
    from orchestrator_nb.executors.merging import merge_mistakes

    wrong = merge_mistakes(definition.merge, folder=loaded.folder, functions=functions)
    return [loaded.placed(mistake) for mistake in wrong]
