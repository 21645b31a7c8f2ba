"""Whether a command gave the outputs that it declares: each there, and of its type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator_nb.data.shared_values import WORDS
from orchestrator_nb.definition.annotations import mismatch
from orchestrator_nb.errors import ResultRefused
from orchestrator_nb.events import Stored

_FORMS = {"table": "parquet", "array": "npy", "file": "file"}
_LARGE = {"list": "list", "dict": "object", "str": "string"}
"""What JSON is called that is kept in a file, by its type."""
_ANNOTATIONS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "list": "list", "object": "dict",
                "date": "date", "datetime": "datetime", "path": "str"}  # fmt: skip


def check_outputs(
    declared: Mapping[str, str],
    *,
    result: Stored,
    recorded: Mapping[str, Stored],
    load: Callable[[Stored], Any],
) -> None:
    """Look for every declared output (name → type) among the keys of the result and what was recorded by name.

    Raises ResultRefused naming all that are missing or of another type.
    """
    given = {**_items(result, load), **recorded}
    wrong = list(_wrong(declared, given))
    if wrong:
        there = ", ".join(f'"{name}"' for name in given) or "none"
        raise ResultRefused(f"it does not give the outputs that it declares: {'; '.join(wrong)}; it gave {there}")


def _items(result: Stored, load: Callable[[Stored], Any]) -> dict[str, Stored]:
    if result.form == "mapping":
        return dict(result.items or {})
    value = load(result) if result.form == "json" else None
    return {name: Stored(form="json", value=item) for name, item in value.items()} if isinstance(value, dict) else {}


def _wrong(declared: Mapping[str, str], given: Mapping[str, Stored]) -> Iterator[str]:
    for name, type_name in declared.items():
        stored = given.get(name)
        if stored is None:
            yield f'"{name}" is missing'
        elif wrong := unfit(stored, type_name):
            yield f'"{name}"{wrong}'


def unfit(stored: Stored, type_name: str) -> str:
    """Return what is wrong with a value that is declared to be of that type, nothing where it fits."""
    if type_name == "any":
        return ""
    if stored.form != _FORMS.get(type_name, "json"):
        return f" is {WORDS[stored.form]}, expected a {type_name}"
    if stored.form == "json" and stored.artifact is None:
        wrong = mismatch(stored.value, _ANNOTATIONS[type_name])
        return f": {wrong}" if wrong else ""
    if stored.form == "json" and _LARGE.get(stored.type or "", type_name) != type_name:
        return f" is a {_LARGE[stored.type or '']}, expected a {type_name}"
    return ""
