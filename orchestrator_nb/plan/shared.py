"""What commands change in the shared state, held against who reads it and who else changes it, before anything runs."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator_nb.commands.code import parsed, without_magic
from orchestrator_nb.definition.annotations import mismatch
from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.errors import Mistake, OrchestratorError
from orchestrator_nb.ports import Command
from orchestrator_nb.sharing import ANY

_TAKEN_AS = {"integer": {"number"}, "date": {"string"}, "datetime": {"string"}, "path": {"string"}}
"""What a value of a type may be declared as besides."""

_ANNOTATIONS = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "list": "list",
    "object": "dict",
}

_MERGES = {"integer": "add", "number": "add", "list": "append", "object": "deep"}
"""The strategy that is proposed for values of a type."""

_READ = frozenset({"call", "notebook", "command"})
"""The kinds of command whose code may tell what it changes."""

_SILENT = frozenset({"shell", "workflow"})
"""The kinds of command that change no shared state."""

MANY = 2_000
"""Of a workflow with more commands the code is not looked at, nor who runs beside whom."""

MOST = 200
"""Of so many that change the same key it is looked at who runs beside whom."""


class SharedUse:
    """Which keys of the shared state the commands of a plan change, as they declare it or as their code shows.

    `upstream` has, for the number of each command, the numbers of those it waits for.
    """

    def __init__(
        self,
        definition: WorkflowDefinition,
        commands: Sequence[CommandDefinition],
        upstream: Sequence[Sequence[int]],
        *,
        folder: Path,
        types: Mapping[str, Command],
        settled: Collection[str],
    ) -> None:
        self._definition, self._commands, self._upstream = definition, commands, upstream
        self._settled = settled
        few = len(commands) <= MANY
        self._changes = [
            command.shares or (_seen(command, folder, types) if few and command.id not in settled else {})
            for command in commands
        ]

    def mistakes(self) -> Iterator[tuple[int, Mistake]]:
        """Yield the number of the command and a mistake for each key that is declared as another type than it has."""
        for number, command in self._readers():
            before = self._before(number)
            for key, wanted in command.context.items():
                path = child("/context", key)
                givers = [other for other in before if key in self._changes[other]]
                for other in givers:
                    found = self._changes[other][key]
                    if "any" not in (found, wanted) and wanted not in {found} | _TAKEN_AS.get(found, set()):
                        text = (
                            f'"{key}" of the shared state is declared as another type than "{self._id(other)}" gives it'
                        )
                        yield number, Mistake(text, path, found=found, expected=wanted)
                stays = not any(self._may_give(other, key) for other in before)
                if stays and key in self._definition.context and wanted in _ANNOTATIONS:
                    wrong = mismatch(self._definition.context[key], _ANNOTATIONS[wanted])
                    if wrong:
                        yield number, Mistake(f'"{key}" of the context that the run begins with: {wrong}', path)

    def notes(self) -> Iterator[str]:
        """Yield what will, or may, go otherwise than meant: keys that nobody gives, that change while they are read, and
        that commands change side by side without a strategy."""
        for number, command in self._readers():
            before = self._before(number)
            for key in command.context:
                if key not in self._definition.context and not any(self._may_give(other, key) for other in before):
                    yield (
                        f'"{command.id}" reads shared["{key}"], and neither the workflow\'s `context` nor a command '
                        f"before it gives it: it will not start without (context: {{{key}: …}})"
                    )
        yield from self._side_by_side()

    def _side_by_side(self) -> Iterator[str]:
        changed: dict[str, list[int]] = {}
        for number, keys in enumerate(self._changes):
            for key in keys:
                changed.setdefault(key, []).append(number)
        merge = self._definition.merge
        for key, changing in changed.items() if len(self._commands) <= MANY else ():
            numbers = changing[:MOST]
            readers = [number for number, command in self._readers() if key in command.context]
            loose = self._loose(numbers) if len(numbers) > 1 and key not in merge and ANY not in merge else []
            if loose:
                types = {self._changes[number][key] for number in loose}
                proposed = _MERGES.get(types.pop(), "last") if len(types) == 1 else "last"
                yield (
                    f"{_quoted([self._id(number) for number in loose])} may run side by side and all change "
                    f'shared["{key}"], of which then the last one is left: say how they come together '
                    f"(merge: {{{key}: {proposed}}}), or put one after the other (after)"
                )
            for reader in readers:
                beside = [number for number in self._loose([*numbers, reader], beside=reader) if number != reader]
                if beside:
                    names = [self._id(number) for number in beside]
                    yield (
                        f'"{self._id(reader)}" reads shared["{key}"] while {_quoted(names)} may be changing it: what it '
                        f"finds is chance; put it after them, or before (after: [{names[0]}])"
                    )

    def _readers(self) -> Iterator[tuple[int, CommandDefinition]]:
        for number, command in enumerate(self._commands):
            if command.context and command.id not in self._settled:
                yield number, command

    def _may_give(self, number: int, key: str) -> bool:
        command = self._commands[number]
        return key in self._changes[number] or (not command.shares and command.kind not in _SILENT)

    def _before(self, number: int) -> list[int]:
        """Return the commands that come to their end before this one starts."""
        found, waiting = {number}, [number]
        while waiting:
            for other in self._upstream[waiting.pop()]:
                if other not in found:
                    found.add(other)
                    waiting.append(other)
        return sorted(found - {number})

    def _loose(self, numbers: Sequence[int], *, beside: int | None = None) -> list[int]:
        """Return those that are neither before nor after another one of these, or than the one `beside`."""
        before = {number: set(self._before(number)) for number in numbers}
        found: dict[int, None] = {}
        for place, one in enumerate(numbers):
            for other in numbers[place + 1 :]:
                ordered = one == other or one in before[other] or other in before[one]
                if not ordered and beside in (None, one, other):
                    found.update({one: None, other: None})
        return sorted(found)

    def _id(self, number: int) -> str:
        return self._commands[number].id


def _seen(command: CommandDefinition, folder: Path, types: Mapping[str, Command]) -> dict[str, str]:
    """Return the keys that a command's own code plainly assigns; nothing where it cannot be read."""
    kind = types.get(command.kind)
    if kind is None or command.kind not in _READ:
        return {}
    try:
        text = kind.source(command, folder=folder)
    except (OrchestratorError, OSError, ValueError):
        return {}
    return dict.fromkeys(assigned_keys(text), "any") if "shared" in text else {}


def assigned_keys(text: str) -> tuple[str, ...]:
    """Return the keys that Python code assigns in ``context.shared``, as far as they are written out."""
    tree = parsed(without_magic(text))
    found: dict[str, None] = {}
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _is_shared(node.value):
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                found[node.slice.value] = None
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
            if _is_shared(node.func.value):
                found.update({keyword.arg: None for keyword in node.keywords if keyword.arg})
    return tuple(found)


def _is_shared(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in ("shared", "shared_state")
        and isinstance(node.value, ast.Name)
        and node.value.id == "context"
    )


def _quoted(names: Sequence[str]) -> str:
    shown = [f'"{name}"' for name in names[:6]]
    if len(names) > 6:
        return f"{', '.join(shown)} and {len(names) - 6:,} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]
