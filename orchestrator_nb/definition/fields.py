"""The fields of a model: what is declared of each, and which values plainly fit without a library being asked."""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from functools import cache
from math import isfinite
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

MISSING: Final = object()
"""Stands for no default, and for a value of which it is not plain that it fits."""

Reader = Callable[[Any], Any]
"""Gives a value as the model keeps it, MISSING where it is not plain that it fits."""


class FieldInfo:
    """What is declared of a field, or of a part of its type: default, description, and the limits of its values.

    `limits` are gt, ge, le, pattern, min_length and allow_inf_nan, as pydantic names them.
    """

    __slots__ = ("default", "description", "limits")

    def __init__(self, default: Any = MISSING, description: str | None = None, **limits: Any) -> None:
        self.default = default
        self.description = description
        self.limits = limits


def Field(default: Any = MISSING, *, description: str | None = None, **limits: Any) -> Any:  # noqa: N802
    """Declare a field. A default that is a mapping is shared by all models, and is not changed by anyone."""
    return FieldInfo(default, description, **limits)


def reader_of(annotation: Any, limits: dict[str, Any] | None = None) -> Reader:
    """Return what takes the values that plainly fit a type: those that pydantic would take, and as it would keep them.

    It is careful: what it does not take may fit all the same, and is for pydantic to say.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        declared = [item.limits for item in arguments[1:] if isinstance(item, FieldInfo)]
        return reader_of(arguments[0], {**(declared[0] if declared else {}), **(limits or {})})
    if hasattr(annotation, "evident"):
        found: Reader = annotation.evident
        return found
    if annotation is Any:
        return lambda value: value
    if origin is Literal:
        words = frozenset(argument for argument in arguments if type(argument) is str)
        return lambda value: value if type(value) is str and value in words else MISSING
    if origin in (Union, types.UnionType):
        return _any_of([reader_of(argument) for argument in arguments])
    if origin is tuple and arguments[1:] == (...,):
        return _tuple_of(reader_of(arguments[0]), (limits or {}).get("min_length", 0))
    if origin is dict:
        return _dict_of(reader_of(arguments[0]), reader_of(arguments[1]))
    if origin is list and arguments == (Any,):
        return lambda value: [*value] if type(value) is list else MISSING
    if annotation in (types.NoneType, None):
        return lambda value: None if value is None else MISSING
    return _plain_of(annotation, limits or {})


def _any_of(readers: list[Reader]) -> Reader:
    def read(value: Any) -> Any:
        for reader in readers:
            found = reader(value)
            if found is not MISSING:
                return found
        return MISSING

    return read


def _tuple_of(item: Reader, least: int) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not tuple or len(value) < least:
            return MISSING
        found = tuple([item(each) for each in value])
        return MISSING if any(each is MISSING for each in found) else found

    return read


def _dict_of(key: Reader, item: Reader) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not dict:
            return MISSING
        found = {key(name): item(each) for name, each in value.items()}
        return MISSING if MISSING in found or any(each is MISSING for each in found.values()) else found

    return read


def _plain_of(kind: Any, limits: dict[str, Any]) -> Reader:
    if kind is str and limits.keys() <= {"pattern", "min_length"}:
        pattern, least = limits.get("pattern"), limits.get("min_length", 0)
        fits = (lambda _: True) if pattern is None else _fits(pattern)
        return lambda value: (
            value if type(value) is str and value.isascii() and len(value) >= least and fits(value) else MISSING
        )
    if kind is bool and not limits:
        return lambda value: value if type(value) is bool else MISSING
    if kind in (int, float) and limits.keys() <= {"gt", "ge", "le", "allow_inf_nan"}:
        above, least, most = limits.get("gt"), limits.get("ge"), limits.get("le")

        def number(value: Any) -> Any:
            plain = type(value) is kind and isfinite(value)
            if not plain or (above is not None and value <= above) or (least is not None and value < least):
                return MISSING
            return MISSING if most is not None and value > most else value

        return number
    return lambda _: MISSING


@cache
def _fits(pattern: str) -> Callable[[str], Any]:
    """Return what says whether a text fits a pattern to its very end: a line break after it is no part of it."""
    found = re.compile(pattern).match
    return lambda text: "\n" not in text and found(text)
