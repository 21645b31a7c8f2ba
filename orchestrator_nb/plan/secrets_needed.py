"""Which secrets the commands of a plan need, and whether they are there before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from orchestrator_nb.data.secret_values import missing
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.references import may_refer, secrets_in
from orchestrator_nb.errors import Mistake


def secrets_needed(commands: Iterable[CommandDefinition]) -> tuple[str, ...]:
    """Return the names of all secrets that the commands refer to, each once."""
    return tuple(dict.fromkeys(name for command in commands for name, _ in secrets_in(command)))


def missing_secrets(
    commands: Iterable[CommandDefinition], *, settled: Collection[str]
) -> Iterator[tuple[int, Mistake]]:
    """Yield the number of the command and a mistake for each reference to a secret that cannot be had."""
    known: dict[str, Mistake | None] = {}
    for number, command in enumerate(commands):
        for name, pointer in secrets_in(command) if may_refer(command) and command.id not in settled else ():
            if name not in known:
                known[name] = missing(name)
            mistake = known[name]
            if mistake is not None:
                yield number, replace(mistake, path=pointer)
