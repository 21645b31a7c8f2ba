"""What expressions can do with plain values: operators, comparisons and functions of a bounded cost."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator_nb.definition.values import described

LONGEST = 10_000
"""Letters or items that a text or a list made by an operator may have."""
MOST_BITS = 10_000
"""Bits that a whole number made by an operator may have."""


class Impossible(Exception):
    """An operation that there is not for these values; the message says for which."""


def _too_long() -> Impossible:
    return Impossible(f"the text or list that this makes is longer than {LONGEST:,}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _impossible(what: str, *values: Any) -> Impossible:
    return Impossible(f"{what} is not possible with {' and '.join(described(value) for value in values)}")


def _add(left: Any, right: Any) -> Any:
    if _is_number(left) and _is_number(right):
        return _number("+", operator.add, left, right)
    if type(left) is type(right) and type(left) in (str, list):
        if len(left) + len(right) > LONGEST:
            raise _too_long()
        return left + right
    raise _impossible("+", left, right)


def _multiply(left: Any, right: Any) -> Any:
    if _is_number(left) and _is_number(right):
        return _number("*", operator.mul, left, right)
    for sequence, times in ((left, right), (right, left)):
        if type(sequence) in (str, list) and isinstance(times, int):
            if len(sequence) * times > LONGEST:
                raise _too_long()
            return sequence * times
    raise _impossible("*", left, right)


def _arithmetic(sign: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def applied(left: Any, right: Any) -> Any:
        if _is_number(left) and _is_number(right):
            return _number(sign, function, left, right)
        raise _impossible(sign, left, right)

    return applied


def _number(sign: str, function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    try:
        value = function(left, right)
    except ZeroDivisionError:
        raise Impossible(f"{sign} has nothing (0) on its right side") from None
    except OverflowError:
        raise Impossible(f"the numbers are too large for {sign}") from None
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise Impossible(f"the whole number that {sign} makes is too large")
    return value


def _signed(sign: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def applied(value: Any) -> Any:
        if _is_number(value):
            return function(value)
        raise _impossible(sign, value)

    return applied


def _ordered(sign: str, function: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(left: Any, right: Any) -> bool:
        if (_is_number(left) and _is_number(right)) or type(left) is type(right) is str:
            return function(left, right)
        if type(left) is type(right) is list:
            return _ordered_lists(sign, function, left, right)
        raise _impossible(sign, left, right)

    return compared


def _ordered_lists(sign: str, function: Callable[[Any, Any], bool], left: list[Any], right: list[Any]) -> bool:
    try:
        return function(left, right)
    except TypeError:
        raise _impossible(sign, left, right) from None


def _is_in(left: Any, right: Any) -> bool:
    if type(right) is str and type(left) is str:
        return left in right
    if type(right) is list:
        return left in right
    if isinstance(right, Mapping):
        return type(left) is str and left in right
    raise _impossible("in", left, right)


def _length(value: Any) -> int:
    if type(value) in (str, list) or isinstance(value, Mapping):
        return len(value)
    raise _impossible("len", value)


def _extreme(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def chosen(*values: Any) -> Any:
        items = values[0] if len(values) == 1 and type(values[0]) is list else values
        if not items:
            raise Impossible(f"{name} of nothing")
        if all(map(_is_number, items)) or all(type(item) is str for item in items):
            return function(items)
        raise _impossible(name, *items[:3])

    return chosen


def _round(*values: Any) -> Any:
    places = values[1] if len(values) == 2 else 0
    if not 1 <= len(values) <= 2 or not _is_number(values[0]) or type(places) is not int or abs(places) > 300:
        raise _impossible("round", *values[:3])
    try:
        return round(values[0], places) if len(values) == 2 else round(values[0])
    except (OverflowError, ValueError):
        raise _impossible("round", *values) from None


def _one(name: str, function: Callable[[Any], Any]) -> Callable[..., Any]:
    def called(*values: Any) -> Any:
        if len(values) != 1:
            raise Impossible(f"{name} takes one value; found {len(values)}")
        return function(values[0])

    return called


OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: _add,
    ast.Sub: _arithmetic("-", operator.sub),
    ast.Mult: _multiply,
    ast.Div: _arithmetic("/", operator.truediv),
    ast.FloorDiv: _arithmetic("//", operator.floordiv),
    ast.Mod: _arithmetic("%", operator.mod),
}
SIGNS: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: _signed("-", operator.neg),
    ast.UAdd: _signed("+", operator.pos),
}
COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Lt: _ordered("<", operator.lt),
    ast.LtE: _ordered("<=", operator.le),
    ast.Gt: _ordered(">", operator.gt),
    ast.GtE: _ordered(">=", operator.ge),
    ast.In: _is_in,
    ast.NotIn: lambda left, right: not _is_in(left, right),
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "len": _one("len", _length),
    "abs": _one("abs", _signed("abs", abs)),
    "min": _extreme("min", min),
    "max": _extreme("max", max),
    "round": _round,
}
"""What is there under which name, each a function of plain values that raises Impossible."""
