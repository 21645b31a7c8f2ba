"""Plain JSON: which Python values have it as a stored form that gives the same value back, and private copies of them."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import sys
import types
from collections.abc import Iterator
from functools import cache
from typing import Any

from orchestrator_nb.definition.values import escaped

DEPTH = 200
"""How deep lists and dicts may be nested; whatever reads the journal has to follow."""

INTEGERS = 2**63


class Unfit(Exception):
    """A value has no plain JSON form; `value` is the one at fault, `path` leads to it, innermost key first.

    `why` ends a sentence that begins with the place, and is None where the value may have another stored form.
    """

    def __init__(self, value: Any, why: str | None) -> None:
        self.value = value
        self.why = why
        self.path: list[str | int] = []
        super().__init__(why)

    def place(self, at: str) -> str:
        """Return where the value is, such as ``result["a"][3]``."""
        return at + "".join(f"[{_key(key)}]" for key in reversed(self.path))


def plain(value: Any, size: list[int], depth: int = 0) -> Any:
    """Return a private copy of `value` as plain JSON; numpy's numbers become Python's.

    Adds to ``size[0]`` a bound of the bytes that its JSON text takes. Raises Unfit.
    """
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _check_text(value)
        size[0] += 6 * len(value) + 4
        return value
    if value is None or kind is bool:
        size[0] += 8
        return value
    if kind is int:
        if not -INTEGERS <= value < INTEGERS:
            raise Unfit(value, "is an integer beyond 64 bits, which other readers of JSON change: keep it as text")
        size[0] += 24
        return value
    if kind is float:
        if not math.isfinite(value):
            raise Unfit(value, f"is {value}, which JSON does not have: use None, or a table or array")
        size[0] += 28
        return value
    if kind is dict or kind is list:
        if depth >= DEPTH:
            raise Unfit(value, f"is nested deeper than {DEPTH} levels, or holds itself: flatten it")
        size[0] += 4
        return _plain_dict(value, size, depth + 1) if kind is dict else _plain_list(value, size, depth + 1)
    number = numpy_number(value)
    if number is not None:
        return plain(number, size, depth)
    raise Unfit(value, why_not(value))


def copied(value: Any) -> Any:
    """Return a private copy of plain JSON: its lists and dicts anew, anything else as it is."""
    kind = type(value)
    if kind is dict:
        return {key: copied(item) for key, item in value.items()}
    if kind is list:
        return [copied(item) for item in value]
    return value


def numpy_number(value: Any) -> Any:
    """Return the Python number of a numpy scalar, None for anything else."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, (numpy.bool_, numpy.integer, numpy.floating)):
        return None
    number = value.item()
    return number if type(number) in (bool, int, float) else None


def why_not(value: Any) -> str | None:
    """Return why a value that looks storable is not, and what to do; None where it may pass in another form."""
    kind = type(value)
    name = type_name(kind)
    if kind.__module__.partition(".")[0] == "pandas":  # some of whose types are dates too
        return _why_not_pandas(kind.__name__, name)
    for refused, why in _refused():
        if isinstance(value, refused):
            return why.format(name=name)
    if isinstance(value, (str, int, float, list, dict)):
        base = next(base for base in kind.__mro__ if base in (str, int, float, list, dict))
        return f'is a "{name}", which would come back as a plain {base.__name__}: use {base.__name__}(…)'
    root = kind.__module__.partition(".")[0]
    if root == "numpy":
        return _why_not_numpy(value, name)
    if root == "polars" and kind.__name__ in ("Series", "LazyFrame"):
        instead = ".collect()" if kind.__name__ == "LazyFrame" else ".to_frame()"
        return f'is a "{name}", which has no stored form of its own: use {instead}'
    return None


def type_name(kind: type) -> str:
    """Return the qualified name of a type, such as ``pandas.DataFrame`` or ``list``."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


@cache
def _refused() -> tuple[tuple[type | tuple[type, ...], str], ...]:
    """Return the types that are refused, each with what to do instead; made when the first value is refused."""
    import decimal
    import fractions
    import uuid

    return (
        (tuple, "is a {name}, which JSON turns into a list: use a list, or a dict that names the values"),
        ((set, frozenset), "is a {name}, which JSON does not have: use sorted(…) for a list"),
        (enum.Enum, 'is the enumeration member "{name}", which would come back as its value: use its .value'),
        ((bytearray, memoryview), "is a {name}: use bytes(…)"),
        ((dt.date, dt.time), "is a {name}, which JSON does not have: use .isoformat() and read it back"),
        (dt.timedelta, "is a {name}, which JSON does not have: use .total_seconds()"),
        ((decimal.Decimal, fractions.Fraction, uuid.UUID), "is a {name}, which JSON does not have: use str(…)"),
        (complex, "is a {name}, which JSON does not have: use [value.real, value.imag]"),
        ((range, types.GeneratorType, Iterator), "is a {name}, which can be stored only as what it gives: use list(…)"),
        ((type({}.keys()), type({}.values()), type({}.items())), "is a {name}, a view of a dict: use list(…)"),
        ((types.CoroutineType, types.AsyncGeneratorType), "is a {name} that nobody has awaited: await it and return that"),
    )  # fmt: skip


def _plain_list(value: list[Any], size: list[int], depth: int) -> list[Any]:
    copy: list[Any] = []
    try:
        for item in value:
            copy.append(plain(item, size, depth))  # noqa: PERF401 - its length is the place of what is refused
    except Unfit as unfit:
        unfit.path.append(len(copy))
        raise
    return copy


def _plain_dict(value: dict[Any, Any], size: list[int], depth: int) -> dict[str, Any]:
    copy: dict[str, Any] = {}
    key: Any = None
    try:
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                _check_key(key)
            size[0] += 6 * len(key) + 4
            copy[key] = plain(item, size, depth)
    except Unfit as unfit:
        unfit.path.append(key)
        raise
    return copy


def _check_key(key: Any) -> None:
    if type(key) is not str:
        raise Unfit(key, f"has a key of type {type_name(type(key))}, which JSON turns into text: use str({key!r})")
    _check_text(key)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unfit(
            text, f"holds half of a surrogate pair at character {error.start}, which UTF-8 does not have: mend the text"
        ) from None


def _why_not_numpy(value: Any, name: str) -> str | None:
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.generic):
        return f'is a "{name}", which JSON does not have: use .item() or .tolist(), or an array of it'
    if isinstance(value, numpy.ndarray) and type(value) not in (numpy.ndarray, numpy.memmap):
        return f'is a "{name}", which would come back as a plain array: use numpy.asarray(…)'
    return None


def _why_not_pandas(kind: str, name: str) -> str | None:
    if kind == "Series" or kind.endswith("Index"):
        return f'is a "{name}", which has no stored form of its own: use .to_frame(), or .to_list()'
    if kind in ("Timestamp", "Period", "NaTType", "NAType", "Timedelta", "Interval"):
        return f'is a "{name}", which JSON does not have: use text or None, or keep it in a table'
    return None


def _key(key: str | int) -> str:
    if not isinstance(key, str):
        return repr(key)
    return escaped(key)


def indented(document: Any) -> bytes:
    """Return plain JSON as a text that people may read, with escapes for what is no Unicode: names that are no UTF-8."""
    import msgspec

    try:
        return msgspec.json.format(msgspec.json.encode(document), indent=1)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(document))
        # Numbers that are none are null here, too.
        return json.dumps(json.loads(text, parse_constant=lambda _: None), indent=1).encode()
