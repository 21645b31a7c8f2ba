"""Binding parameters: given values, defaults, types, choices, and what is refused by name."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path, PurePosixPath
from typing import Any

import numpy
import pytest

from orchestrator_nb.definition.models import ParameterDefinition
from orchestrator_nb.definition.parameters import bind_parameters, coerce
from orchestrator_nb.errors import DefinitionError, Mistake

DAY = datetime.date(2026, 1, 31)
NOON = datetime.datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=datetime.timezone.utc)


def refused(value: Any, type_name: str, *, text: bool = False) -> Mistake:
    with pytest.raises(DefinitionError) as caught:
        coerce(value, type_name, text=text)
    return caught.value.mistakes[0]


def test_given_values_go_before_defaults_in_the_order_of_declaration() -> None:
    """Every declared parameter has a value, and only those."""
    declared = {
        "a": ParameterDefinition(type="integer", default=1), "b": ParameterDefinition(default=None),
        "c": ParameterDefinition(type="string", required=True),
    }  # fmt: skip
    assert list(bind_parameters(declared, {"c": "x", "a": 2}).items()) == [("a", 2), ("b", None), ("c", "x")]
    assert bind_parameters({}, {}) == {}


def test_all_mistakes_are_told_at_once() -> None:
    """Unknown, missing, ill-typed and unlisted values come together, each with its path."""
    declared = {
        "day": ParameterDefinition(type="date", required=True), "n": ParameterDefinition(type="integer", default=1),
        "size": ParameterDefinition(type="string", default="s", choices=("s", "m")),
    }  # fmt: skip
    with pytest.raises(DefinitionError) as caught:
        bind_parameters(declared, {"dya": "2026-01-01", "n": "3", "size": "l"})
    found = {one.path: one for one in caught.value.mistakes}
    assert set(found) == {"/parameters/dya", "/parameters/day", "/parameters/n", "/parameters/size"}
    assert found["/parameters/dya"].nearest == "day"
    assert found["/parameters/n"].found == 'the text "3"'
    assert found["/parameters/size"].expected == 'one of "s", "m"'


def test_parameters_have_a_limit() -> None:
    """More than a mebibyte is refused with the advice to pass a file."""
    with pytest.raises(DefinitionError, match="pass its path"):
        bind_parameters({"x": ParameterDefinition()}, {"x": "y" * 2**20})


def test_null_is_a_value_only_where_it_is_the_default() -> None:
    """An optional parameter without a default can be given as None; one with a type and a default cannot."""
    assert bind_parameters({"x": ParameterDefinition(type="date")}, {"x": None}) == {"x": None}
    with pytest.raises(DefinitionError, match="nothing"):
        bind_parameters({"x": ParameterDefinition(type="integer", default=1)}, {"x": None})


@pytest.mark.parametrize(
    ("value", "type_name", "expected"),
    [
        ("x", "string", "x"), (3, "integer", 3), (3, "number", 3), (1.5, "number", 1.5), (False, "boolean", False),
        ((1, "a"), "list", [1, "a"]), ([1], "list", [1]), ({"a": [None]}, "object", {"a": [None]}), (DAY, "date", "2026-01-31"),
        ("2026-01-31", "date", "2026-01-31"), (NOON, "datetime", "2026-01-31T12:00:00.000005+00:00"),
        ("2026-01-31T12:00:00Z", "datetime", "2026-01-31T12:00:00Z"), ("2026-01-31 12:00:00.5+01:00", "datetime", "2026-01-31 12:00:00.5+01:00"),
        (PurePosixPath("a/b"), "path", "a/b"), ("a/b", "path", "a/b"), (None, "any", None), ([{"a": 1}], "any", [{"a": 1}]),
    ],
)  # fmt: skip
def test_values_become_plain_json_of_the_declared_type(value: Any, type_name: str, expected: Any) -> None:
    """A tuple, a date and a path take their plain form where the declared type says so."""
    found = coerce(value, type_name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "types", "name"),
    [
        ((1, 2), "any string object", "tuple"), ({1}, "any list", "set"), (DAY, "any string datetime", "datetime.date"),
        (NOON, "any string date", "datetime.datetime"), (Path("x"), "any string list", "Path"), (b"x", "any string list path", "bytes"),
        (decimal.Decimal(1), "any number", "decimal.Decimal"), (numpy.float64(1), "any number", "numpy.float64"),
        (numpy.int64(1), "any integer number", "numpy.int64"), (object(), "any", "object"), (float("nan"), "any number", "nan"),
        (float("inf"), "any number", "inf"), (2**70, "any integer", "64 bits"), ([(1, 2)], "any list", "tuple"),
        ({"a": {"b": {1}}}, "any object", "set"), ({1: 2}, "any object", "number 1"), (numpy.array([1]), "any list", "numpy.ndarray"),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_refused_by_name(value: Any, types: str, name: str) -> None:
    """No value becomes text unless its declared type says so, and the message names its type."""
    for type_name in types.split():
        mistake = refused(value, type_name)
        assert name in str(mistake.found)


@pytest.mark.parametrize(
    ("value", "type_name"),
    [
        (1, "string"), (True, "integer"), (1.0, "integer"), ("1", "integer"), (True, "number"), ("1.5", "number"), (1, "boolean"),
        ("true", "boolean"), ("2026-02-30", "date"), ("31.1.2026", "date"), ("20260131", "date"), ("2026-01-31T12", "datetime"),
        ("noon", "datetime"), ("", "path"), ("a\0b", "path"), ("a", "list"), ([], "object"), (None, "string"),
    ],
)  # fmt: skip
def test_values_of_another_type_are_refused(value: Any, type_name: str) -> None:
    """A value is never converted from one plain type to another."""
    assert refused(value, type_name).expected


@pytest.mark.parametrize(
    ("text", "type_name", "expected"),
    [
        ("3", "integer", 3), ("-3", "integer", -3), ("3", "number", 3), ("1e3", "number", 1000.0), ("true", "boolean", True),
        ("False", "boolean", False), ("3", "string", "3"), ("2026-01-02", "date", "2026-01-02"), ("a/b", "path", "a/b"),
        ('["a", 1]', "list", ["a", 1]), ('{"a": null}', "object", {"a": None}), ("3", "any", 3), ("1.5", "any", 1.5), ("true", "any", True),
        ("None", "any", None), ("yes", "any", "yes"), ("nan", "any", "nan"), ("2026-01-02", "any", "2026-01-02"), ("", "any", ""),
        ("0123", "any", 123), ("1_000", "any", "1_000"),
    ],
)  # fmt: skip
def test_text_from_a_command_line_is_parsed_to_the_declared_type(text: str, type_name: str, expected: Any) -> None:
    """What came as text is read as the type that is declared, or by its looks where any type is."""
    found = coerce(text, type_name, text=True)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "type_name"),
    [("3.0", "integer"), ("x", "number"), ("nan", "number"), ("1e999", "number"), ("9" * 30, "integer"), ("yes", "boolean"), ("a,b", "list"),
     ("[", "list"), ("[NaN", "list"), ("[" * 100_000, "list"), ("[]", "object"), ("tomorrow", "date"), ("", "integer")],
)  # fmt: skip
def test_text_that_does_not_read_as_its_type_is_refused(text: str, type_name: str) -> None:
    """The mistake shows the text."""
    refused(text, type_name, text=True)


def test_only_the_named_values_are_parsed() -> None:
    """Text from Python stays text for an integer's mistake; text from a command line is parsed."""
    declared = {"n": ParameterDefinition(type="integer", default=1)}
    assert bind_parameters(declared, {"n": "3"}, text={"n"}) == {"n": 3}
    with pytest.raises(DefinitionError):
        bind_parameters(declared, {"n": "3"})
