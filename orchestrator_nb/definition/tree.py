"""The tree of a document: put together from the pieces a parser meets, with the place of every one of them."""

from __future__ import annotations

from math import isfinite
from typing import Any

from msgspec import Struct, field

from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.values import DEEPEST, LARGEST, SMALLEST, described, escaped, misfits, visible
from orchestrator_nb.errors import DefinitionError, Mistake

Place = tuple[int, int]
"""Line and column, counted from 1."""

MOST_ALIASES = 1_000
MOST_REPEATED = 100_000
"""How many values all aliases of a document together may repeat."""

_DIGITS = 25


class _Open(Struct):
    """A list or mapping that is being filled; `size` and `height` count what is in it, itself included."""

    value: Any
    pointer: str
    anchor: str | None
    keys: dict[str, Place] = field(default_factory=dict)
    key: str | None = None
    awaits_key: bool = True
    size: int = 1
    height: int = 1


class _Anchored(Struct, frozen=True):
    value: Any
    size: int
    height: int


class Tree:
    """Built without recursion, in the order of the text; `mistakes` holds what is wrong but lets the reading go on.

    A mapping takes a key and a value in turn. Places are those of the keys, and of the items of lists.
    """

    def __init__(self, label: str | None) -> None:
        self.value: Any = None
        self.places: dict[str, Place] = {}
        self.mistakes: list[Mistake] = []
        self._label = label
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._aliases = 0
        self._repeated = 0

    def open(self, value: list[Any] | dict[str, Any], place: Place, *, anchor: str | None = None) -> None:
        """Begin a list or a mapping. Raises DefinitionError when it is nested too deep."""
        if self._at_key:
            raise self.wrong("a key has to be text", place, found=described(value), expected="text")
        if len(self._open) >= DEEPEST:
            raise self.wrong("lists and mappings are nested too deep", place, expected=f"at most {DEEPEST} levels")
        pointer = self._take(value, place, size=0, height=0)
        if anchor is not None:
            self._anchors[anchor] = None
        self._open.append(_Open(value, pointer, anchor))

    def close(self) -> None:
        """End the innermost list or mapping."""
        ended = self._open.pop()
        if self._open:
            self._open[-1].size += ended.size
            self._open[-1].height = max(self._open[-1].height, ended.height + 1)
        if ended.anchor is not None:
            self._anchors[ended.anchor] = _Anchored(ended.value, ended.size, ended.height)

    def scalar(self, value: Any, place: Place, *, raw: str, anchor: str | None = None) -> None:
        """Take a key or a single value; `raw` is how it was written."""
        if self._at_key:
            self._take_key(value, place, raw)
        else:
            pointer = self._take(value, place, size=1, height=0)
            for mistake in misfits(value, pointer):
                self.note(mistake.message, place, path=pointer, found=mistake.found, expected=mistake.expected)
        if anchor is not None:
            self._anchors[anchor] = _Anchored(value, 1, 0)

    def alias(self, anchor: str, place: Place) -> None:
        """Take a copy of what was anchored. Raises DefinitionError when there is no such thing or it is too much."""
        if anchor not in self._anchors:
            raise self.wrong(f"the alias {escaped('*' + anchor)} has no anchor before it", place)
        target = self._anchors[anchor]
        if target is None:
            raise self.wrong(f"the alias {escaped('*' + anchor)} is inside of what it repeats", place)
        self._aliases += 1
        self._repeated += target.size
        if self._aliases > MOST_ALIASES:
            raise self.wrong("there are too many aliases", place, expected=f"at most {MOST_ALIASES:,}")
        if self._repeated > MOST_REPEATED:
            raise self.wrong("the aliases repeat too much", place, expected=f"at most {MOST_REPEATED:,} values")
        if len(self._open) + target.height > DEEPEST:
            raise self.wrong("lists and mappings are nested too deep", place, expected=f"at most {DEEPEST} levels")
        if self._at_key:
            self._take_key(target.value, place, f"*{anchor}")
        else:
            self._take(_copy(target.value), place, size=target.size, height=target.height)

    def note(self, message: str, place: Place, *, path: str = "", **words: Any) -> None:
        """Keep a mistake and go on."""
        self.mistakes.append(Mistake(message, visible(path), file=self._label, line=place[0], column=place[1], **words))

    def wrong(self, message: str, place: Place, **words: Any) -> DefinitionError:
        """Return the error that ends the reading here, with the mistakes that were found before."""
        self.note(message, place, **words)
        return DefinitionError(self.mistakes)

    @property
    def _at_key(self) -> bool:
        return bool(self._open) and type(self._open[-1].value) is dict and self._open[-1].awaits_key

    def _take_key(self, key: Any, place: Place, raw: str) -> None:
        around = self._open[-1]
        if type(key) is not str:
            expected = f'text: put it in quotes, "{raw}"' if isinstance(key, (bool, int, float)) else "text"
            self.note(f"the key {raw or '(nothing)'} is not text", place, path=child(around.pointer, raw),
                      found=described(key), expected=expected)  # fmt: skip
            key = raw
        elif key in around.keys:
            line, column = around.keys[key]
            self.note(
                f"the key {escaped(key)} is there twice", place, path=child(around.pointer, key),
                found=f"the first one in line {line}, column {column}", expected="each key once",
            )  # fmt: skip
        for mistake in misfits(key):
            self.note(mistake.message, place, path=around.pointer, found=mistake.found)
        around.keys.setdefault(key, place)
        around.key, around.awaits_key = key, False

    def _take(self, value: Any, place: Place, *, size: int, height: int) -> str:
        if not self._open:
            self.value = value
            self.places[""] = place
            return ""
        around = self._open[-1]
        around.size += size
        around.height = max(around.height, height + 1)
        if around.key is not None and type(around.value) is dict:
            pointer = child(around.pointer, around.key)
            place = around.keys[around.key]
            around.value[around.key] = value
            around.key, around.awaits_key = None, True
        else:
            pointer = child(around.pointer, len(around.value))
            around.value.append(value)
        self.places[pointer] = place
        return pointer

    def number(self, raw: str, place: Place) -> int | float | str:
        """Return the number that a text in decimal digits writes; one that does not fit is a mistake."""
        whole = raw.lstrip("+-").isdigit()
        if whole and len(raw) <= _DIGITS and SMALLEST <= int(raw) <= LARGEST:
            return int(raw)
        value = 0.0 if whole else float(raw)
        if whole or not isfinite(value):
            value = 0.0
            self.note("a number does not fit", place, found=_cut(raw),
                      expected="at most 64 bits; put it in quotes to have it as text")  # fmt: skip
        return value


def _cut(raw: str) -> str:
    return raw if len(raw) <= _DIGITS else f"{raw[:_DIGITS]}… ({len(raw):,} characters)"


def _copy(value: Any) -> Any:
    if type(value) is list:
        return [_copy(item) for item in value]
    return {key: _copy(item) for key, item in value.items()} if type(value) is dict else value
