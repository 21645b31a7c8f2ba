"""Expressions: what they say, what they look up, what they refuse and where."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.definition.expressions import Expression, Lookup, follow
from orchestrator_nb.errors import UsageError

DATA: dict[str, Any] = {
    "clean": {"rows": 120, "name": "north", "ok": True, "parts": [1, 2, 3], "none": None, "by": {"a b": 1.5}},
    "parameters": {"mode": "full", "limit": 100},
    "rmse": 3.2,
}


def look(name: Lookup) -> Any:
    """Follow a look-up in the data above."""
    return follow(DATA, name, (name.root, *name.keys), "the data")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('clean.rows > 100 and parameters.mode == "full"', True),
        ("${{ clean.rows }} > ${{ parameters.limit }}", True),
        ("${{ clean.rows > 100 }}", True),
        ("rmse < 3.5", True),
        ("clean.rows >= 0.9 * 150", False),
        ("100 < clean.rows <= 120", True),
        ("100 < clean.rows < 120", False),
        ("clean.name in ['north', 'south']", True),
        ("clean.name not in ('north',)", False),
        ("'ort' in clean.name and 'rows' in clean", True),
        ("not clean.ok or clean.none is null", True),
        ("clean.none is not None", False),
        ("clean.ok == true and False == false", True),
        ("clean.parts[0] + clean.parts[-1]", 4),
        ("clean['by']['a b'] / 0.5", 3.0),
        ("-clean.rows // 7 % 5", 2),
        ("len(clean.parts) + abs(-2) + round(2.5) + round(2.345, 1)", 9.3),
        ("min(clean.parts) + max(4, clean.rows)", 121),
        ("  \n  clean.rows\n  > 100  ", True),
        ("'é' == 'é' and clean.rows", 120),
    ],
)
def test_an_expression_says_what_it_reads_as(text: str, value: object) -> None:
    """Comparisons, arithmetic, membership and look-ups, with words of YAML as of Python."""
    assert Expression.parse(text).value(look) == value


def test_names_are_told_in_order_with_their_place() -> None:
    """Whoever checks an expression before a run sees what it will ask for."""
    names = Expression.parse('a.b > 1 and ${{ c-d.e-f }} in x["y z"][0]').names
    assert [(name.root, name.keys, name.column) for name in names] == [
        ("a", ("b",), 1), ("c-d", ("e-f",), 13), ("x", ("y z", 0), 31),
    ]  # fmt: skip
    assert [name.text for name in names] == ["a.b", "c-d['e-f']", "x['y z'][0]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: there is nothing in it"),
        ("a >", "column 3: this cannot be read"),
        ("a b", "this cannot be read"),
        ("a ** 2", r'column 1: "\*\*" has no place'),
        ("1 + (lambda: 1)", r'column 6: "lambda" has no place'),
        ("[x for x in y]", '"for" has no place'),
        ("a.__class__", '"__class__" is no name'),
        ("__import__('os')", 'no function "__import__"'),
        ("rond(1)", 'no function "rond".*did you mean "round"'),
        ("a.b()", "only functions are called"),
        ("'a'.upper", "leads on from a name only"),
        ("f'{a}'", "has no place"),
        ("b'a'", "no place"),
        ("1j", "no place"),
        ("a[b]", "brackets hold"),
        ("a[1:2]", "brackets hold"),
        ("a is b", "expected =="),
        ("a == '\\d'", "column 7: a backslash"),
        ("${{ a..b }} > 1", "column 1: .*is not a reference"),
        ("${{ a > 1", "cannot be read"),
        ("a if b else c", '"if" has no place'),
        ("round(x=1)", "only functions|no function"),
        ("(" * 300 + "1" + ")" * 300, "cannot be read|nested"),
        ("not " * 400 + "a", "nested"),
        ("-" * 1900 + "1", "nested|cannot be read"),
        ("a" * 2001, "2,001 characters"),
        ("a\0b", "column"),
        ("1e999", "does not fit"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_place(text: str, message: str) -> None:
    """Nothing but the small grammar is read, however it is dressed."""
    with pytest.raises(UsageError, match=message):
        Expression.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clean.row > 1", r'"clean.row" asks the data for "row"; there is "rows".*did you mean "rows"'),
        ("clean.rows.x", 'for "x"; it has no names in it'),
        ("clean.parts[3]", 'for "3"; it is a list of 3'),
        ("clean.name > 1", "column 1: > is not possible with the text .north. and the number 1"),
        ("1 + clean.name", r"\+ is not possible"),
        ("1 and clean.rows / 0", "column 7: / has nothing"),
        ("clean.rows in 3", "in is not possible"),
        ("len(3)", "len is not possible"),
        ("len(1, 2)", "takes one value"),
        ("min([])", "min of nothing"),
        ("max(1, 'a')", "max is not possible"),
        ("round('a')", "round is not possible"),
        ("'ab' * 5001", "longer than 10,000"),
        ("[1] * 10001", "longer than 10,000"),
        ("-clean.name", "- is not possible"),
        ("[1, 'a'] < [1, 2]", "< is not possible"),
        ("'%999999999d' % 1", "% is not possible"),
        ("*".join(["9" * 400] * 4) + " * 1e9", "too large"),
    ],
)
def test_what_cannot_be_worked_out_says_why_and_where(text: str, message: str) -> None:
    """A value that is missing or of another kind is named; no operation makes anything huge."""
    with pytest.raises(UsageError, match=message):
        Expression.parse(text).value(look)


def test_only_what_matters_is_looked_up() -> None:
    """What stands behind a decided `and` or `or` may be missing."""
    assert Expression.parse("clean.ok or clean.nothing").value(look) is True
    assert Expression.parse("not clean.ok and clean.nothing > 1").value(look) is False


NUMBERS = st.integers(-20, 20) | st.floats(-20, 20)
NAMED = {"a": 3, "b": -1.5, "c": "text", "d": [1, 2], "e": True, "f": None}
LEAVES = (
    NUMBERS.map(repr) | st.sampled_from(sorted(NAMED)) | st.sampled_from(["True", "False", "None", "'x'", "[1, 2]"])
)
TEXTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "and", "or"]), inner).map(" ".join),
        st.tuples(inner, st.sampled_from(["<", "<=", "==", "!=", ">", ">=", "in", "not in"]), inner).map(" ".join),
        st.tuples(inner, inner, inner).map(lambda parts: f"{parts[0]} < {parts[1]} <= {parts[2]}"),
        inner.map(lambda part: f"(not {part})"),
        inner.map(lambda part: f"(-{part})"),
        inner.map(lambda part: f"({part})"),
        inner.map(lambda part: f"abs({part})"),
        st.tuples(inner, inner).map(lambda parts: f"[{parts[0]}, {parts[1]}]"),
        st.tuples(inner, inner).map(lambda parts: f"max({parts[0]}, {parts[1]})"),
    ),
    max_leaves=8,
)


@given(TEXTS)
def test_what_comes_out_is_what_python_says(text: str) -> None:
    """An expression that has a value has the value that the same text has in Python; where Python has none, neither."""
    expression = Expression.parse(text)
    try:
        value = expression.value(lambda name: NAMED[name.root])
    except UsageError:
        return  # stricter than Python in what goes with what
    assert value == eval(text, {"__builtins__": {"abs": abs, "max": max}}, dict(NAMED))
    assert {name.root for name in expression.names} <= set(NAMED)


@given(st.text(max_size=60) | TEXTS.map(lambda text: text[1:]))
def test_any_text_is_read_or_refused_and_nothing_else_happens(text: str) -> None:
    """No text makes the reader fail in another way."""
    with suppress(UsageError):
        assert Expression.parse(text).text == text
