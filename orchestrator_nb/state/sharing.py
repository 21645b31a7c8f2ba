"""Shared state: what a command's changes make of it, by the strategy that is declared for each key.

Each strategy is one sentence, and keeps it however commands that ran side by side come to their end:

- last (the default): the value of the command that succeeds last is there;
- first: the value of the first of those that ran side by side stays;
- fail: a command whose key another one changed since it began fails, and may be tried again with what is there now;
- deep: mappings are merged key by key, the last one's value where both have one that is no mapping;
- add: numbers that commands give are summed;
- append: lists that commands give are joined, each as a whole, in the order in which they succeed;
- union: lists without duplicates, in the order in which values came first;
- max, min: the largest or smallest of the values given;
- a function, named as ``module:name``: what it returns for the value that is there and the one that is given. It is
  called beside the data, once for each change and never for two at a time, and what it returned is recorded.

A value that is too large for the journal, or no JSON, is in a file of the run; in its place stands a reference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from msgspec import MsgspecError, Struct, convert, to_builtins

from orchestrator_nb.values import Stored

Strategy = Literal["last", "first", "fail", "deep", "add", "append", "union", "max", "min"]
ANY = "*"
"""Stands for every key that has no strategy of its own."""

FUNCTION = r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*$"
"""How a function is written that merges: module:name."""

COMBINING = frozenset({"deep", "add", "append", "union", "max", "min"})
"""The strategies that look into values, which therefore have to be in the journal."""

REFERENCE = "$stored"
"""The one key of a mapping that stands for a value in a file; its value is that of a `Stored`."""


class SharedVersion(Struct, frozen=True, gc=False):
    """A change of the shared state: its number from 1, who made it and when, what was given, and which of these keys
    others had changed since the author began (`contested`). `made` is what functions made of them, by key."""

    number: int
    command: str
    attempt: int
    at: float
    changes: Mapping[str, Any] = {}
    contested: tuple[str, ...] = ()
    made: Mapping[str, Any] = {}


def reference(stored: Stored) -> dict[str, Any]:
    """Return what stands in the shared state for a value in a file."""
    return {REFERENCE: to_builtins(stored)}


def referred(value: Any) -> Stored | None:
    """Return the stored form that a value of the shared state refers to, None where it is the value itself."""
    if not isinstance(value, Mapping) or REFERENCE not in value or len(value) > 1:
        return None
    try:
        return convert(value[REFERENCE], Stored)
    except MsgspecError:
        return None


def is_function(strategy: str) -> bool:
    """Whether a strategy is a function's name."""
    return ":" in strategy


def by_function(changes: Collection[str], strategies: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys among `changes` that a function merges."""
    return tuple(key for key in changes if is_function(strategy_of(key, strategies))) if strategies else ()


def strategy_of(key: str, strategies: Mapping[str, str]) -> str:
    """Return the strategy for a key."""
    return strategies.get(key) or strategies.get(ANY, "last")


def merged(
    shared: Mapping[str, Any],
    changes: Mapping[str, Any],
    strategies: Mapping[str, str],
    contested: Collection[str] = (),
    made: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the shared state with these changes; `made` has what functions made of the keys that they merge.

    Raises ValueError naming a key whose values cannot be combined.
    """
    result = dict(shared)
    for key, value in changes.items():
        strategy = strategy_of(key, strategies)
        if key not in result:
            result[key] = _unique([], value, key) if strategy == "union" else value
        elif is_function(strategy):
            if made is None or key not in made:
                raise ValueError(f'shared["{key}"] is merged by {strategy}, which has not been called for it')
            result[key] = made[key]
        elif strategy != "first" or key not in contested:
            result[key] = _combined(strategy, result[key], value, key)
    return result


def refused(
    shared: Mapping[str, Any],
    changes: Mapping[str, Any],
    strategies: Mapping[str, str],
    contested: Collection[str],
    made: Mapping[str, Any] | None = None,
) -> tuple[str, bool] | None:
    """Return why these changes cannot be taken, and whether another attempt may help; None where they can."""
    for key in contested:
        if key in changes and strategy_of(key, strategies) == "fail":
            return f'shared["{key}"] was changed by another command since this one began (merge: fail)', True
    try:
        merged(shared, changes, strategies, contested, made)
    except ValueError as error:
        return str(error), False
    return None


def contested_by(
    seen: int, versions: tuple[SharedVersion, ...], command: str, changes: Collection[str]
) -> tuple[str, ...]:
    """Return the keys among `changes` that other commands changed after version `seen`."""
    others = {key for version in versions[seen:] if version.command != command for key in version.changes}
    return tuple(key for key in changes if key in others)


def _combined(strategy: str, before: Any, value: Any, key: str) -> Any:
    if strategy == "deep":
        return _deep(before, value)
    if strategy == "add":
        _numbers(before, value, key, strategy)
        return before + value
    if strategy in ("max", "min"):
        _numbers(before, value, key, strategy)
        return max(before, value) if strategy == "max" else min(before, value)
    if strategy == "append":
        return [*_list(before, key), *_list(value, key)]
    if strategy == "union":
        return _unique(before, value, key)
    return value


def _deep(before: Any, value: Any) -> Any:
    if not (isinstance(before, Mapping) and isinstance(value, Mapping)):
        return value
    return {**before, **{key: _deep(before[key], item) if key in before else item for key, item in value.items()}}


def _numbers(before: Any, value: Any, key: str, strategy: str) -> None:
    for each in (before, value):
        if isinstance(each, bool) or not isinstance(each, int | float):
            raise ValueError(f'shared["{key}"] is merged with {strategy}, which takes numbers; found {each!r}')  # noqa: TRY004 - what cannot be combined


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f'shared["{key}"] is merged as a list; found {value!r}')  # noqa: TRY004 - what cannot be combined
    return value


def _unique(before: Any, value: Any, key: str) -> list[Any]:
    found = list(_list(before, key))
    for item in _list(value, key):
        if item not in found:
            found.append(item)
    return found
