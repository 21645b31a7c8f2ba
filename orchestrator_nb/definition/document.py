"""A definition document: a file or a text in YAML or JSON as plain data, with the place of everything in it."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from orchestrator_nb.definition.pointers import parent
from orchestrator_nb.definition.tree import Place, Tree
from orchestrator_nb.definition.values import described
from orchestrator_nb.errors import DefinitionError, Mistake

LARGEST_FILE = 10_000_000
"""The most bytes that a definition may have."""

_LANGUAGES: dict[str, Literal["yaml", "json"]] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
_KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


class Document(Struct, frozen=True):
    """What a definition's text says. `mistakes` did not stop the reading: repeated keys, tags, numbers that do not fit."""

    data: dict[str, Any]
    label: str | None = None
    places: Mapping[str, Place] | None = None
    mistakes: tuple[Mistake, ...] = ()

    def place(self, pointer: str) -> Place | None:
        """Return line and column, from 1, of what a JSON pointer leads to, or of the nearest thing around it."""
        if not self.places:
            return None
        while pointer not in self.places and pointer:
            pointer = parent(pointer)
        return self.places.get(pointer)


def read_file(path: str | os.PathLike[str]) -> Document:
    """Read the definition in a .yaml, .yml or .json file. Raises DefinitionError."""
    file = Path(path)
    language = _LANGUAGES.get(file.suffix.lower())
    content = file_bytes(file, limit=LARGEST_FILE, what="a definition")
    if language is None:
        raise _refused(file, "this kind of file is not a definition", found=f'"{file.name}"',
                       expected="a file that ends in .yaml, .yml or .json")  # fmt: skip
    return read_text(decoded(content, str(file)), label=str(file), language=language)


def read_text(text: str, *, label: str | None = None, language: Literal["yaml", "json"] = "yaml") -> Document:
    """Read the definition in a text, such as a notebook's cell; `label` names it in mistakes. Raises DefinitionError."""
    if len(text) > LARGEST_FILE:
        raise DefinitionError([Mistake("the definition is too large", file=label, found=f"{len(text):,} characters",
                                       expected=f"at most {LARGEST_FILE:,}")])  # fmt: skip
    text = text.removeprefix("\ufeff")
    at = text.find("\0")
    if at >= 0:
        line, column = _counted(text[:at])
        raise DefinitionError([Mistake("there is a NUL character in the text", file=label, line=line, column=column)])
    if language == "json":
        from orchestrator_nb.definition.json_text import read_json

        tree = read_json(text, label)
    else:
        from orchestrator_nb.definition.yaml_text import read_yaml

        tree = read_yaml(text, label)
    return Document(_mapping(tree, label), label, tree.places, tuple(tree.mistakes))


def file_bytes(file: Path, *, limit: int, what: str) -> bytes:
    """Return the content of a regular file of at most `limit` bytes; `what` it is goes into the mistake.

    Raises DefinitionError for anything else; never waits on a pipe or a device.
    """
    try:
        mode = file.stat().st_mode
        kind = next((name for test, name in _KINDS.items() if test(mode)), None)
        if kind is not None:
            raise _refused(file, f"this is {kind}", expected=f"a file with {what}")
        with file.open("rb") as opened:
            content = opened.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
        raise _refused(file, f"{what} cannot be read: {reason}") from None
    if len(content) > limit:
        raise _refused(file, f"{what} is too large", found=f"more than {limit:,} bytes", expected="less")
    return content


def decoded(content: bytes, label: str | None) -> str:
    """Return the text that UTF-8 bytes, with or without a byte order mark, stand for. Raises DefinitionError."""
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _counted(content[: error.start].decode("utf-8", "replace"))
        raise DefinitionError([
            Mistake("the text is not UTF-8", file=label, line=line, column=column,
                    found=f"the byte 0x{content[error.start]:02X}", expected="a file saved as UTF-8"),
        ]) from None  # fmt: skip


def _mapping(tree: Tree, label: str | None) -> dict[str, Any]:
    if type(tree.value) is dict:
        return tree.value
    line, column = tree.places.get("", (1, 1))
    found = "nothing" if tree.value is None else described(tree.value)
    raise DefinitionError([
        *tree.mistakes,
        Mistake("this is not a workflow", file=label, line=line, column=column, found=found,
                expected='a mapping with "workflow" and "commands"'),
    ])  # fmt: skip


def _counted(before: str) -> Place:
    """Return line and column of what follows a text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _refused(file: Path, message: str, **words: Any) -> DefinitionError:
    return DefinitionError([Mistake(message, file=str(file), **words)])
