"""What commands hold while they run: slots, memory and named pools, in whole units.

Every command holds one `cpu`, which is a slot, unless it says otherwise; memory counts in bytes. How much there is of
`cpu` is said by the slots of the run, of `memory` by the machine or by `pools`, of anything else by `pools` alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from orchestrator_nb.definition.models import AMOUNT, CommandDefinition, WorkflowDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.errors import DefinitionError, Mistake

CPU = "cpu"
MEMORY = "memory"
ALL = "all"
RESOURCES, RETRY_RESOURCES = "resources", "retry_resources"
"""The keys of a command that say what it holds."""

_NUMBER = r"[0-9]+(\.[0-9]+)?"
_FACTORS = {"K": 1, "M": 2, "G": 3, "T": 4}


def amount(value: int | str) -> int:
    """Return an amount as a number: ``2GB`` is 2,000,000,000 and ``2GiB`` is 2,147,483,648. Raises ValueError."""
    if isinstance(value, int):
        return value
    number = re.match(_NUMBER, value)
    if number is None or not re.match(AMOUNT, value):
        raise ValueError(f'"{value}" is no amount; expected a whole number or one such as "2GB"')
    unit = value[number.end() :].strip()
    factor = int((1024 if "i" in unit else 1000) ** _FACTORS.get(unit[0], 0))
    whole, _, fraction = number.group().partition(".")
    return int(whole + fraction) * factor // int(10 ** len(fraction))


def capacities(definition: WorkflowDefinition, *, slots: int, memory: int | None) -> dict[str, int]:
    """Return how much there is of everything; `memory` is what the machine has, None where that is not known."""
    found = {CPU: slots}
    if memory is not None:
        found[MEMORY] = memory
    return {**found, **{name: amount(value) for name, value in definition.pools.items() if value != ALL}}


def takes(command: CommandDefinition) -> bool:
    """Tell whether a command says what it holds while it runs, at first or when it is tried again."""
    return bool(command.resources or command.retry_resources)


def needs(command: CommandDefinition, capacity: Mapping[str, int], *, retry: bool = False) -> dict[str, int]:
    """Return what the command holds while it runs, or is tried again, without what it holds nothing of.

    Raises KeyError for the whole of a pool that there is not.
    """
    wanted = {CPU: 1, **command.resources, **(command.retry_resources if retry else {})}
    found = {name: capacity[name] if value == ALL else amount(value) for name, value in wanted.items()}
    return {name: value for name, value in found.items() if value}


def pool_mistakes(
    definition: WorkflowDefinition, commands: Sequence[CommandDefinition]
) -> Iterator[tuple[int, Mistake]]:
    """Yield command and mistake for all that is wrong whatever the machine: unknown pools, and more than there is.

    `commands` are those of the definition with its matrices expanded; their places there are the numbers.
    """
    if definition.pools.keys() & {CPU} or ALL in definition.pools.values():
        name = CPU if CPU in definition.pools else next(n for n, value in definition.pools.items() if value == ALL)
        remedy = '"slots", of which each command takes as many as its cpu' if name == CPU else "how much there is of it"
        yield 0, Mistake(f'the pool "{name}" cannot be declared so', expected=remedy)
        return
    for number, command in enumerate(commands):
        if takes(command):
            for mistake in _unknown(command, definition):
                yield number, mistake
            known = capacities(definition, slots=definition.slots or 10**18, memory=10**18)
            for mistake in _too_much(command, known):
                yield number, mistake


def check_pools(definition: WorkflowDefinition, *, slots: int, memory: int | None) -> None:
    """Look whether the machine and the slots of this run suffice for each command. Raises DefinitionError."""
    known = capacities(definition, slots=slots, memory=memory)
    mistakes = [
        replace(mistake, path=f"/commands/{command.id}{mistake.path}")
        for command in definition.commands
        if takes(command)
        for mistake in _too_much(command, known)
    ]
    if mistakes:
        raise DefinitionError(mistakes)


def _unknown(command: CommandDefinition, definition: WorkflowDefinition) -> Iterator[Mistake]:
    known = [CPU, MEMORY, *definition.pools]
    for key, name in _named(command):
        if name not in known:
            yield Mistake(
                f'there is no pool "{name}"',
                path=f"/{key}/{name}",
                expected=f'one of {", ".join(known)}, or "{name}" among the pools of the workflow',
                nearest=nearest(name, known),
            )


def _too_much(command: CommandDefinition, capacity: Mapping[str, int]) -> Iterator[Mistake]:
    for key, name in _named(command):
        value = getattr(command, key)[name]
        if name in capacity and value != ALL and amount(value) > capacity[name]:
            there = "slots" if name == CPU else f'of "{name}"'
            what = "start" if key == RESOURCES else "be tried again"
            yield Mistake(
                f'"{command.base}" could never {what}: it takes {value} {there}, and there are {capacity[name]:,}',
                path=f"/{key}/{name}",
            )


def _named(command: CommandDefinition) -> Iterator[tuple[str, str]]:
    """Yield the pools that a command takes of, each with the key that says so."""
    yield from ((RESOURCES, name) for name in command.resources)
    yield from ((RETRY_RESOURCES, name) for name in command.retry_resources)
