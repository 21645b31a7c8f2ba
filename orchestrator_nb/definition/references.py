"""References such as ``${{ clean.rows }}``: dotted look-ups in what is known when a command starts, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.values import described, escaped
from orchestrator_nb.errors import UsageError

FIELDS = ("parameters", "args", "shell", "environment")
"""The fields of a command in which references are read."""

ROOTS = ("parameters", "context", "secrets")
"""What a reference may begin with besides the name of a command."""

_OPENING = "${{"
_WRITTEN = r"(?s)\$\{\{(.*?)\}\}"
_PATH = r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*"
_GRAMMAR = "names with dots between them, as in ${{ clean.rows }} or ${{ parameters.day }}"


class Reference(Struct, frozen=True):
    """One reference: `root` is parameters, context or the name of a command, `keys` lead on from there.

    `text` is how it was written, with its braces. A command whose id has a dot is named by its argument name.
    """

    text: str
    root: str
    keys: tuple[str, ...] = ()


def references_in(value: Any) -> tuple[Reference, ...]:
    """Return every reference in a value, also inside lists, mappings and longer texts, in order.

    Raises UsageError naming the text of one that is malformed.
    """
    return tuple(_found(value))


def may_refer(command: CommandDefinition) -> bool:
    """Whether anything is written in the fields of a command in which references are read."""
    return bool(command.parameters or command.shell or command.environment or command.args is not None)


def secrets_in(command: CommandDefinition) -> Iterator[tuple[str, str]]:
    """Yield the name of each secret that a command refers to, with the pointer into the command."""
    for field in FIELDS:
        value = getattr(command, field)
        for pointer, text in leaves(value, f"/{field}") if value else ():
            if "secrets" in text and _OPENING in text:
                yield from ((each.keys[0], pointer) for each in references_in(text) if each.root == "secrets")


def leaves(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Yield every text inside a value that has an end, with its pointer."""
    if type(value) is str:
        yield pointer, value
    elif type(value) is dict:
        for key, item in value.items():
            yield from leaves(item, child(pointer, str(key)))
    elif type(value) in (list, tuple):
        for place, item in enumerate(value):
            yield from leaves(item, f"{pointer}/{place}")


def resolve(value: Any, lookup: Callable[[Reference], Any]) -> Any:
    """Return the value with what `lookup` gives in the place of each reference.

    A text that is one reference and nothing else becomes that very value, whatever its type; inside a longer text
    only text, numbers and booleans (written true and false) have a place. Raises UsageError naming the reference.
    """
    if type(value) is str:
        return _resolved(value, lookup) if _OPENING in value else value
    if type(value) is dict:
        return {key: resolve(item, lookup) for key, item in value.items()}
    if type(value) is list:
        return [resolve(item, lookup) for item in value]
    if type(value) is tuple:
        return tuple(resolve(item, lookup) for item in value)
    return value


def _found(value: Any) -> Iterator[Reference]:
    if type(value) is str:
        if _OPENING in value:
            _check_closed(value)
            for match in re.finditer(_WRITTEN, value):
                yield _parsed(match)
    elif type(value) is dict:
        for item in value.values():
            yield from _found(item)
    elif type(value) is list or type(value) is tuple:
        for item in value:
            yield from _found(item)


def _resolved(text: str, lookup: Callable[[Reference], Any]) -> Any:
    _check_closed(text)
    whole = re.fullmatch(_WRITTEN, text)
    if whole and text.count(_OPENING) == 1:
        return lookup(_parsed(whole))
    return re.sub(_WRITTEN, lambda match: _written(_parsed(match), lookup), text)


def _written(reference: Reference, lookup: Callable[[Reference], Any]) -> str:
    value = lookup(reference)
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) in (str, int, float):
        return str(value)
    raise UsageError(
        f'"{reference.text}" stands inside a longer text and is {described(value)}; expected text, a number or a '
        "boolean: let the reference be the whole value"
    )


def _check_closed(text: str) -> None:
    rest = re.sub(_WRITTEN, "", text)
    if _OPENING in rest:
        raise UsageError(f'a reference in {escaped(text)} has no end; expected "}}}}" after its names')


def _parsed(match: re.Match[str]) -> Reference:
    text, inner = match.group(), match.group(1).strip()
    if not re.fullmatch(_PATH, inner):
        raise UsageError(f"{escaped(text)} is not a reference; expected {_GRAMMAR}")
    root, *keys = inner.split(".")
    hidden = next((part for part in (root, *keys) if part.startswith("__")), None)
    if hidden is not None:
        raise UsageError(f'{escaped(text)} is not a reference: "{hidden}" is no name of a value; expected {_GRAMMAR}')
    if root in (*ROOTS, "matrix") and not keys:
        raise UsageError(f'{escaped(text)} names nothing; expected a name after "{root}", as in ${{{{ {root}.name }}}}')
    return Reference(text, root, tuple(keys))
