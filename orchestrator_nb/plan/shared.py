"""What commands change in the shared state, held against who reads it and who else changes it, before anything runs."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator_nb.commands.code import parsed, without_magic
from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.errors import Mistake, OrchestratorError
from orchestrator_nb.ports import Command
from orchestrator_nb.state.sharing import ANY

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
        self._known: dict[int, frozenset[int]] = {}
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
                givers = [other for other in sorted(before) if key in self._changes[other]]
                for other in givers:
                    found = self._changes[other][key]
                    if "any" not in (found, wanted) and wanted not in {found} | _TAKEN_AS.get(found, set()):
                        text = (
                            f'"{key}" of the shared state is declared as another type than "{self._id(other)}" gives it'
                        )
                        yield number, Mistake(text, path, found=found, expected=wanted)
                stays = not any(self._may_give(other, key) for other in before)
                if stays and key in self._definition.context and wanted in _ANNOTATIONS:
                    from orchestrator_nb.definition.annotations import mismatch

                    wrong = mismatch(self._definition.context[key], _ANNOTATIONS[wanted])
                    if wrong:
                        yield number, Mistake(f'"{key}" of the context that the run begins with: {wrong}', path)

    def notes(self) -> Iterator[str]:
        """Yield what will, or may, go otherwise than meant: keys that nobody gives, that change while they are read, and
        that commands change side by side without a strategy."""
        wanting: dict[str, list[str]] = {}
        for number, command in self._readers():
            for key in command.context:
                given = key in self._definition.context
                if not given and not any(self._may_give(other, key) for other in self._before(number)):
                    wanting.setdefault(key, []).append(command.id)
        for key, names in wanting.items():
            yield (
                f'{_quoted(names)} {_verb(names, "read")} shared["{key}"], and neither the workflow\'s `context` nor a '
                f"command before gives it: nothing that declares to read it starts without (context: {{{key}: …}})"
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
            loose = (
                [one for one in numbers if self._beside(one, numbers)] if key not in merge and ANY not in merge else []
            )
            if loose:
                types = {self._changes[number][key] for number in loose}
                proposed = _MERGES.get(types.pop(), "last") if len(types) == 1 else "last"
                yield (
                    f'{_quoted([self._id(number) for number in loose])} may run side by side and change shared["{key}"], '
                    "of which then the last one is left: say how they come together "
                    f"(merge: {{{key}: {proposed}}}), or put one after the other (after)"
                )
            readers = [number for number, command in self._readers() if key in command.context and number not in loose]
            chance = {number: beside for number in readers[:MOST] if (beside := self._beside(number, numbers))}
            if chance:
                names = [self._id(number) for number in chance]
                others = list(dict.fromkeys(self._id(other) for beside in chance.values() for other in beside))
                yield (
                    f'{_quoted(names)} {_verb(names, "read")} shared["{key}"] while {_quoted(others)} may be changing it: '
                    f"what is found is chance; put one after the other (after: [{others[0]}])"
                )

    def _beside(self, one: int, numbers: Sequence[int]) -> list[int]:
        """Return those of the commands that are neither before nor after this one."""
        before = self._before(one)
        return [other for other in numbers if other != one and other not in before and one not in self._before(other)]

    def _readers(self) -> Iterator[tuple[int, CommandDefinition]]:
        for number, command in enumerate(self._commands):
            if command.context and command.id not in self._settled:
                yield number, command

    def _may_give(self, number: int, key: str) -> bool:
        command = self._commands[number]
        return key in self._changes[number] or (not command.shares and command.kind not in _SILENT)

    def _before(self, number: int) -> frozenset[int]:
        """Return the commands that come to their end before this one starts."""
        known = self._known.get(number)
        if known is None:
            found, waiting = {number}, [number]
            while waiting:
                for other in self._upstream[waiting.pop()]:
                    if other not in found:
                        found.add(other)
                        waiting.append(other)
            known = self._known[number] = frozenset(found - {number})
        return known

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


def _verb(names: Sequence[str], verb: str) -> str:
    return verb if len(names) > 1 else f"{verb}s"
