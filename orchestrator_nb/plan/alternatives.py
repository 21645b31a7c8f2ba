"""Commands that stand by for others, since they provide the same."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator_nb.definition.matrix import CellDefinition
from orchestrator_nb.definition.models import CommandDefinition


def alternatives(
    commands: Mapping[str, CommandDefinition], upstream: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return for each command those that may take its place when it fails, in the order of the definition.

    An alternative comes later in the definition and provides all that the command provides. Nothing comes after it, it
    does not come after the command, and it is no cell of a matrix, nor is the command. A command with a `fallback` of
    its own, or that is the fallback of another, has no alternatives; nor has one that stands by itself.
    """
    providing = [name for name, command in commands.items() if command.provides and _is_single(command)]
    if len(providing) < 2:
        return {}
    fallbacks = {command.fallback for command in commands.values() if command.fallback}
    waited_for = {name for befores in upstream.values() for name in befores}
    found: dict[str, tuple[str, ...]] = {}
    standing_by: set[str] = set()
    for place, name in enumerate(providing):
        if commands[name].fallback or name in fallbacks or name in standing_by:
            continue
        wanted = set(commands[name].provides)
        fitting = tuple(
            other
            for other in providing[place + 1 :]
            if wanted <= set(commands[other].provides)
            and other not in waited_for
            and name not in _all_before(other, upstream)
        )
        if fitting:
            found[name] = fitting
            standing_by.update(fitting)
    return found


def alternative_notes(
    commands: Mapping[str, CommandDefinition], upstream: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Return a sentence for each command that others stand by for."""
    notes = []
    for name, others in alternatives(commands, upstream).items():
        what = ", ".join(f'"{capability}"' for capability in commands[name].provides)
        names = " and then ".join(f'"{other}"' for other in others)
        stand = "stands" if len(others) == 1 else "stand"
        notes.append(f'{names} {stand} by for "{name}", to provide {what} should it fail')
    return tuple(notes)


def _is_single(command: CommandDefinition) -> bool:
    return not isinstance(command, CellDefinition)


def _all_before(name: str, upstream: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Return everything that has to be done before a command."""
    seen: set[str] = set()
    left = list(upstream.get(name, ()))
    while left:
        before = left.pop()
        if before not in seen:
            seen.add(before)
            left.extend(upstream.get(before, ()))
    return seen
