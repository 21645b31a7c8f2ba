"""What the annotation of a function's result tells: whether such a value can leave its process."""

from __future__ import annotations

import collections.abc
import datetime as dt
import enum
import types
from functools import cache
from pathlib import Path, PurePath
from typing import Annotated, Any, get_args, get_origin

from orchestrator_nb.data.command_result import CommandResult
from orchestrator_nb.data.plain import type_name
from orchestrator_nb.events import Stored

_STORABLE = (str, int, float, bool, list, dict, bytes, type(None), Path)
"""Types with a stored form; a class that one of them is a kind of may stand for it."""


@cache
def _otherwise() -> tuple[type, ...]:
    """Return the types that are refused, turned into something else, or taken apart when they appear."""
    import decimal
    import fractions
    import uuid

    return (
        tuple, set, frozenset, bytearray, PurePath, enum.Enum, dt.date, dt.time, dt.timedelta, decimal.Decimal,
        fractions.Fraction, uuid.UUID, complex, collections.abc.Iterator, collections.abc.Awaitable, CommandResult, Stored,
    )  # fmt: skip


_DECIDED_BY_VALUE = frozenset(
    {"builtins", "typing", "collections", "abc", "numbers", "numpy", "pandas", "polars", "pyarrow"}
)


def unstorable(annotation: Any) -> str | None:
    """Return the name of the class that the annotation names, if its values are known to have no stored form.

    None where they have one, where they may have one, and where the annotation does not name one class.
    """
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kind = get_origin(annotation) or annotation
    if kind is types.UnionType or not isinstance(kind, type):
        return None
    if kind.__module__.partition(".")[0] in _DECIDED_BY_VALUE:
        return None
    try:
        if issubclass(kind, (*_STORABLE, *_otherwise())) or any(issubclass(each, kind) for each in _STORABLE):
            return None
    except TypeError:  # a protocol that cannot be asked
        return None
    return type_name(kind)
