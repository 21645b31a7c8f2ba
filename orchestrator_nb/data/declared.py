"""Whether a stored value is of the type that it is declared to have."""

from __future__ import annotations

from orchestrator_nb.events import Stored

WORDS = {"json": "plain JSON", "parquet": "a table", "npy": "an array", "bytes": "bytes", "file": "a file",
         "mapping": "a mapping", "live": "a live object"}  # fmt: skip
"""What the forms of stored values are called."""

_FORMS = {"table": "parquet", "array": "npy", "file": "file"}
_LARGE = {"list": "list", "dict": "object", "str": "string"}
"""What JSON is called that is kept in a file, by its type."""
_ANNOTATIONS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "list": "list", "object": "dict",
                "date": "date", "datetime": "datetime", "path": "str"}  # fmt: skip


def unfit(stored: Stored, type_name: str) -> str:
    """Return what is wrong with a value that is declared to be of that type, nothing where it fits."""
    if type_name == "any":
        return ""
    if stored.form != _FORMS.get(type_name, "json"):
        return f" is {WORDS[stored.form]}, expected a {type_name}"
    if stored.form == "json" and stored.artifact is None:
        from orchestrator_nb.definition.annotations import mismatch  # whoever only looks at a run does without

        wrong = mismatch(stored.value, _ANNOTATIONS[type_name])
        return f": {wrong}" if wrong else ""
    if stored.form == "json" and _LARGE.get(stored.type or "", type_name) != type_name:
        return f" is a {_LARGE[stored.type or '']}, expected a {type_name}"
    return ""
