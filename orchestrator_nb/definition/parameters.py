"""A run's parameters: the values given, checked against what the workflow declares, as plain JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from keyword import iskeyword
from os import PathLike, fspath
from typing import Any

from msgspec.structs import replace

from orchestrator_nb.definition.models import ParameterDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.values import described, escaped, misfits
from orchestrator_nb.errors import DefinitionError, Mistake

MOST_BYTES = 1024 * 1024
"""The most that all parameters together may have as JSON in ASCII."""

EXPECTED = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "date": "a date such as 2026-01-31",
    "datetime": "a date and time such as 2026-01-31T08:30:00",
    "path": "a path",
    "list": "a list",
    "object": "a mapping with text keys",
    "any": "a value that JSON can hold",
}
"""What a value of each declared type is, in words."""

_DATE = r"(?a)\d{4}-\d{2}-\d{2}"
_DATETIME = r"(?a)(\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([+-]\d{2}:\d{2})?)?)"
_INTEGER = r"[-+]?[0-9]+"
_NUMBER = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
_LONGEST_INTEGER = 25
_FEW, _SHORT = 100, 1000
_WORDS = {"true": True, "True": True, "false": False, "False": False, "None": None}


def bind_parameters(
    declared: Mapping[str, ParameterDefinition], given: Mapping[str, Any], *, text: Collection[str] = ()
) -> dict[str, Any]:
    """Return a value for every declared parameter, in the order of declaration: what was given, else the default.

    `text` names the values that came as text, as from a command line, and are parsed to the declared type. Raises
    DefinitionError with every mistake: unknown, missing, of the wrong type, not among the choices, too large.
    """
    mistakes = [_unknown(name, declared) for name in given if name not in declared]
    values: dict[str, Any] = {}
    for name, parameter in declared.items():
        pointer = child("/parameters", name)
        if name in given:
            value, wrong = fitted(parameter, given[name], text=name in text, pointer=pointer)
            values[name] = value
            mistakes += wrong
        elif parameter.required:
            mistakes.append(Mistake(f'the parameter "{name}" is missing', pointer, expected=EXPECTED[parameter.type]))
        else:
            values[name] = parameter.default
    if not mistakes:
        mistakes += too_large(values, "/parameters")
    if mistakes:
        raise DefinitionError(mistakes)
    return values


def fitted(parameter: ParameterDefinition, value: Any, *, text: bool, pointer: str) -> tuple[Any, list[Mistake]]:
    """Return the value as the declared type, and what is wrong with it, each mistake at or below `pointer`.

    None fits where it is the default.
    """
    if value is None and parameter.default is None and not parameter.required:
        return None, []
    try:
        value = coerce(value, parameter.type, text=text)
    except DefinitionError as error:
        return None, [replace(mistake, path=pointer + mistake.path) for mistake in error.mistakes]
    if parameter.choices is not None and not any(same(value, choice) for choice in parameter.choices):
        choices = ", ".join(json.dumps(choice, ensure_ascii=False, default=repr) for choice in parameter.choices)
        wrong = Mistake("the value is not one of the choices", pointer, found=described(value),
                        expected=f"one of {choices}")  # fmt: skip
        return value, [wrong]
    return value, []


def coerce(value: Any, type_name: str, *, text: bool = False) -> Any:
    """Return the value as plain JSON of the declared type. Raises DefinitionError, with paths relative to the value.

    A tuple becomes a list, a Path text, a date or a datetime ISO text where the declared type says so, and nowhere
    else. With `text` the value is a text from a command line and is parsed.
    """
    if text and isinstance(value, str):
        value = _parsed(value, type_name)
    else:
        value = _plain(value, type_name)
    mistakes = list(misfits(value))
    if not mistakes and not _is(value, type_name):
        mistakes = [Mistake("the value does not fit", found=described(value), expected=EXPECTED[type_name])]
    if mistakes:
        raise DefinitionError(mistakes)
    return value


def inferred_type(value: Any) -> str:
    """Return the type of parameter that a plain default stands for; "any" for null and for what is not plain JSON."""
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list", dict: "object"}
    return names.get(type(value), "any")


def name_mistakes(names: Collection[Any], pointer: str) -> Iterator[Mistake]:
    """Yield a mistake for each name below `pointer` that no parameter can have."""
    for name in names:
        if not isinstance(name, str):
            yield Mistake("the name of a parameter is not text", pointer, found=described(name), expected="text")
        elif not name.isidentifier() or not name.isascii() or iskeyword(name) or name.startswith("__"):
            yield Mistake(
                f"a parameter cannot have the name {escaped(name)}", child(pointer, name),
                expected='a Python name: letters, digits and "_", no keyword, not beginning with "__"',
            )  # fmt: skip


def too_large(values: Mapping[str, Any], pointer: str) -> list[Mistake]:
    """Return a mistake when values of plain JSON together are larger than parameters may be."""
    if len(values) < _FEW and all(type(value) is not dict and type(value) is not list and len(str(value)) < _SHORT
                                  for value in values.values()):  # fmt: skip
        return []
    size = len(json.dumps(values))
    if size <= MOST_BYTES:
        return []
    return [Mistake("the parameters are too large", pointer, found=f"{size:,} bytes",
                    expected=f"at most {MOST_BYTES:,}: put the data into a file and pass its path")]  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Whether two plain values are the same value; true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


_NONE_DECLARED = (
    'none, since it declares none: a notebook run by itself declares its own in a cell tagged "parameters", '
    'a definition under "parameters", and a folder of notebooks has none'
)


def _unknown(name: str, declared: Mapping[str, ParameterDefinition]) -> Mistake:
    there = ", ".join(f'"{known}"' for known in declared)
    return Mistake(f"the workflow has no parameter {escaped(str(name))}", child("/parameters", str(name)),
                   expected=f"its parameters: {there}" if there else _NONE_DECLARED, nearest=nearest(str(name), declared))  # fmt: skip


def _plain(value: Any, type_name: str) -> Any:
    if type_name == "list" and type(value) is tuple:
        return list(value)
    if type_name == "path" and isinstance(value, PathLike):
        path = fspath(value)
        return path if isinstance(path, str) else value
    if type_name == "date" and isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if type_name == "datetime" and isinstance(value, datetime):
        return value.isoformat()
    return value


def _is(value: Any, type_name: str) -> bool:
    if type_name == "date":
        return isinstance(value, str) and is_date(value)
    if type_name == "datetime":
        return isinstance(value, str) and is_datetime(value)
    if type_name == "path":
        return isinstance(value, str) and value != "" and "\0" not in value
    if type_name == "number":
        return type(value) in (int, float)
    return type_name == "any" or (value is not None and inferred_type(value) == type_name)


def is_date(text: str) -> bool:
    """Whether a text is a day of the calendar, written as 2026-01-31."""
    try:
        return bool(re.fullmatch(_DATE, text) and date.fromisoformat(text))
    except ValueError:
        return False


def is_datetime(text: str) -> bool:
    """Whether a text is an ISO date, with or without a time of day and an offset from UTC."""
    text = f"{text[:-1]}+00:00" if text.endswith(("Z", "z")) else text
    try:
        return bool(re.fullmatch(_DATETIME, text) and datetime.fromisoformat(_padded(text)))
    except ValueError:
        return False


def _padded(text: str) -> str:
    """Return the ISO text with three or six digits after the point, which is all that Python 3.10 reads."""
    return re.sub(r"\.(\d{1,6})", lambda match: "." + match.group(1).ljust(6, "0"), text)


def _parsed(text: str, type_name: str) -> Any:
    """Return the value that a text stands for, or the text itself when it does not read as the declared type."""
    if type_name == "any" and text in _WORDS:
        return _WORDS[text]
    if type_name == "boolean":
        return _WORDS.get(text.lower(), text)
    if type_name in ("integer", "number", "any") and re.fullmatch(_INTEGER, text) and len(text) <= _LONGEST_INTEGER:
        return int(text)
    if type_name in ("number", "any") and re.fullmatch(_NUMBER, text):
        return float(text)
    if type_name in ("list", "object"):
        try:
            return json.loads(text, parse_constant=str)
        except (ValueError, RecursionError):
            return text
    return text
