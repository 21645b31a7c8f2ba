"""Plain JSON values: which values are plain, and how any value is named in a message."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from orchestrator_nb.definition.pointers import child
from orchestrator_nb.errors import Mistake

SMALLEST, LARGEST = -(2**63), 2**64 - 1
"""Integers beyond 64 bits are refused: other readers of JSON would change them."""

DEEPEST = 100
"""How deep lists and mappings may be nested in each other."""

PLAIN = "plain JSON: text, a finite number, true, false, null, a list, or a mapping with text keys"

_SHOWN = 60
_NAMES = {bool: "a boolean", int: "an integer", float: "a number", list: "a list", dict: "a mapping"}
_HINTS = {
    "tuple": "a list: list(value)",
    "set": "a list: sorted(value)",
    "frozenset": "a list: sorted(value)",
    "date": "text: value.isoformat()",
    "datetime": "text: value.isoformat()",
    "Timestamp": "text: value.isoformat()",
    "bytes": "text: value.decode()",
    "Decimal": "a number or text: float(value) or str(value)",
    "ndarray": "a list: value.tolist()",
}


def escaped(text: str) -> str:
    """Return the text in quotes, cut to a line of message, with what cannot be seen as escapes."""
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    quote = "'" if '"' in cut else '"'
    return f"{quote}{visible(cut)}{quote}"


def visible(text: str) -> str:
    """Return the text with escapes for what cannot be seen: control characters and marks that turn the writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def described(value: Any) -> str:
    """Return what a value is, in a few words with the value itself where it is short."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, str):
        return f"the text {escaped(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if type(value) in (int, float):
        if isinstance(value, int) and not SMALLEST <= value <= LARGEST:
            return "an integer of more than 64 bits"
        return f"the number {value}"
    return _NAMES.get(type(value)) or _type_name(value)


def misfits(value: Any, pointer: str = "", *, _around: tuple[int, ...] = ()) -> Iterator[Mistake]:
    """Yield a mistake for everything in `value` that is not plain JSON; subclasses of the plain types are not plain."""
    kind = type(value)
    if kind is list or kind is dict:
        if id(value) in _around:
            yield Mistake("a value contains itself", pointer)
        elif len(_around) >= DEEPEST:
            yield Mistake(f"a value is nested deeper than {DEEPEST} levels", pointer)
        else:
            around = (*_around, id(value))
            for key, item in value.items() if kind is dict else enumerate(value):
                if kind is dict and type(key) is not str:
                    yield Mistake("a key is not text", pointer, found=described(key), expected="text")
                elif type(item) is not str or not item.isascii():  # most values are plain text, and need no pointer
                    yield from misfits(item, child(pointer, key), _around=around)
    elif kind is int:
        if not SMALLEST <= value <= LARGEST:
            yield Mistake(
                "an integer does not fit", pointer, found=described(value), expected="at most 64 bits; write it as text"
            )
    elif kind is float:
        if not isfinite(value):
            yield Mistake("a number is not finite", pointer, found=str(value), expected="a finite number, or null")
    elif kind is str:
        if not value.isascii() and _has_surrogate(value):
            yield Mistake(
                "a text is not valid Unicode", pointer, found=f"{escaped(value)}, with half of a surrogate pair"
            )
    elif kind is not bool and value is not None:
        yield Mistake("a value is not plain JSON", pointer, found=_type_name(value), expected=_hint(value))


def _has_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _type_name(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"a value of type {name}"


def _hint(value: Any) -> str:
    kind = type(value)
    if kind.__name__ in _HINTS:
        return _HINTS[kind.__name__]
    if hasattr(kind, "__fspath__"):
        return "text: str(value)"
    if kind.__module__.partition(".")[0] == "numpy" and hasattr(kind, "item"):
        return "a plain value: value.item()"
    return PLAIN
