"""Text in JSON, read strictly: every key once, finite numbers, and the place of every value."""

from __future__ import annotations

import re
from bisect import bisect_right
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]  # it is there, typeshed leaves it out
from typing import Any

from orchestrator_nb.definition.tree import Place, Tree
from orchestrator_nb.definition.values import escaped

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[-+]?[A-Za-z_]+|[-+.0-9][-+.\w]*")
_LITERALS = {"true": True, "false": False, "null": None}
_SHOWN = 20


def read_json(text: str, label: str | None) -> Tree:
    """Return the tree of the JSON in `text`. Raises DefinitionError at the first place that is not JSON."""
    return _Reader(text, label).read()


class _Reader:
    """Walks through the text once; `_ends` are the brackets that close what is open, `_fresh` while that is empty."""

    def __init__(self, text: str, label: str | None) -> None:
        self._text = text
        self._tree = Tree(label)
        self._at = 0
        self._ends: list[str] = []
        self._fresh = False
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]

    def read(self) -> Tree:
        self._skip()
        self._value()
        while self._ends:
            self._next_item()
        self._skip()
        if self._at < len(self._text):
            raise self._wrong("there is more after the end of the JSON", expected="one value only")
        return self._tree

    def _next_item(self) -> None:
        """Read one item, or the end, of the innermost list or mapping; a comma has to be between items."""
        end = self._ends[-1]
        self._skip()
        if self._peek() == end:
            self._close()
            return
        if not self._fresh:
            if self._peek() != ",":
                raise self._wrong("the JSON is not complete" if not self._peek() else "something is missing",
                                  expected=f'"," or "{end}"')  # fmt: skip
            self._at += 1
            self._skip()
            if self._peek() == end:
                raise self._wrong("there is a comma after the last item", expected="no comma there")
        self._fresh = False
        if end == "}":
            self._key()
        self._value()

    def _key(self) -> None:
        if self._peek() != '"':
            raise self._wrong("a key has to be a text in double quotes", expected='"key": value')
        place, start = self._place(), self._at
        key = self._string()
        self._tree.scalar(key, place, raw=self._text[start : self._at])
        self._skip()
        if self._peek() != ":":
            raise self._wrong(f"the key {escaped(key)} has no value", expected='":"')
        self._at += 1
        self._skip()

    def _value(self) -> None:
        place, start, first = self._place(), self._at, self._peek()
        if first in ("{", "["):
            self._tree.open({} if first == "{" else [], place)
            self._ends.append("}" if first == "{" else "]")
            self._at += 1
            self._fresh = True
            return
        value: Any
        if first == '"':
            value = self._string()
        elif number := _NUMBER.match(self._text, start):
            self._at = number.end()
            if _WORD.match(self._text, self._at):
                self._at = start
                raise self._wrong("this is not a number in JSON")
            value = self._tree.number(number.group(), place)
        else:
            word = _WORD.match(self._text, start)
            if word is None or word.group() not in _LITERALS:
                raise self._wrong_value(word.group() if word else "")
            self._at, value = word.end(), _LITERALS[word.group()]
        self._tree.scalar(value, place, raw=self._text[start : self._at])

    def _close(self) -> None:
        self._at += 1
        self._ends.pop()
        self._fresh = False
        self._tree.close()

    def _string(self) -> str:
        value: str
        try:
            value, self._at = scanstring(self._text, self._at + 1, True)
        except JSONDecodeError as error:
            self._at = error.pos
            raise self._wrong(f"a text is not valid JSON: {error.msg.lower().partition(' starting at')[0]}") from None
        return value

    def _skip(self) -> None:
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _place(self) -> Place:
        line = bisect_right(self._lines, self._at)
        return line, self._at - self._lines[line - 1] + 1

    def _wrong_value(self, word: str) -> Exception:
        if word.lstrip("+-") in ("NaN", "Infinity"):
            return self._wrong(f"{word} is not JSON", expected="a finite number, or null")
        if not self._peek():
            return self._wrong("the JSON is not complete", expected="a value")
        return self._wrong("this is not a JSON value",
                           expected="a text in double quotes, a number, true, false, null, a list or a mapping")  # fmt: skip

    def _wrong(self, message: str, *, expected: str | None = None) -> Exception:
        rest = self._text[self._at : self._at + _SHOWN].split("\n")[0]
        found = (
            escaped(rest) if rest else "the end of the text" if self._at >= len(self._text) else "the end of the line"
        )
        return self._tree.wrong(message, self._place(), found=found, expected=expected)
