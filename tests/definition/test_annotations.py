"""Annotations: whether a plain value fits what a notebook's cell or a function's signature says."""

from __future__ import annotations

import datetime
import pathlib
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest

from orchestrator_nb.definition.annotations import mismatch

# The spelling before Python 3.10, which is another type at run time.
OPTIONAL: Any = typing.Optional.__getitem__(int)
UNION: Any = typing.Union.__getitem__((int, str))

FITTING: list[tuple[Any, Any]] = [
    (3, int), (3, float), (1.5, float), ("x", str), (True, bool), ([1], list), ([1], list[int]), ({"a": 1}, dict[str, int]),
    ({"a": 1}, Mapping[str, Any]), ([1], Sequence[int]), (None, OPTIONAL), (3, OPTIONAL), (3, int | None), ("a", UNION),
    ("2026-01-31", datetime.date), ("2026-01-31T08:00", datetime.datetime), ("a/b", pathlib.Path), ("a", Literal["a", "b"]),
    (3, Annotated[int, "positive"]), (3, Any), (3, object()), (None, None),
    (3, "int"), (None, "Optional[int]"), (3, "int | None"), ("x", "str"), ([1], "typing.List[int]"), ("2026-01-31", "datetime.date"),
    ("a", "Path | None"), ("a", "pathlib.Path"), ("b", "Literal['a', 'b']"), ("x", "Union[int, str]"), (3, "'int'"), (3, "pd.DataFrame"),
    (3, "not valid python ("), (3, "Any"), ({}, "dict"), (3, "Literal[f(x)]"), (3, "Annotated[int, 3]"), (3, ""),
]  # fmt: skip
WRONG: list[tuple[Any, Any, str]] = [
    ("3", int, "an integer"), (True, int, "an integer"), (1.5, int, "an integer"), (True, float, "a number"), (3, str, "text"),
    (1, bool, "true or false"), ("x", list[str], "a list"), ([1], dict, "a mapping"), ("x", OPTIONAL, "an integer or nothing"),
    ("tomorrow", datetime.date, "a date"), ("noon", datetime.datetime, "a date and time"), (3, pathlib.Path, "a path"),
    ("c", Literal["a", "b"], "'a' or 'b'"), ([1], tuple, "a tuple, which no parameter can be"), (None, int, "an integer"), (True, Literal[1], "1"),
    ("3", "int", "an integer"), (None, "str", "text"), ("x", "Optional[float]", "a number or nothing"), (3, "datetime.date", "a date"),
    (3, "Literal['a']", "'a'"), ([1], "set[int]", "a set, which no parameter can be"), (3, "str | list[str]", "text or a list"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "annotation"), FITTING, ids=str)
def test_values_that_fit(value: Any, annotation: Any) -> None:
    """A value fits its annotation, as an object or as text, and every annotation that is not understood."""
    assert mismatch(value, annotation) is None


@pytest.mark.parametrize(("value", "annotation", "expected"), WRONG, ids=str)
def test_values_that_do_not_fit(value: Any, annotation: Any, expected: str) -> None:
    """What is wrong names what was found and what is expected."""
    wrong = mismatch(value, annotation)
    assert wrong is not None
    assert wrong.startswith("found ")
    assert f"expected {expected}" in wrong
