"""Events and stored values as plain JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from orchestrator_nb.events import KINDS, Event, Failure, Stored


def to_plain(event: Event) -> dict[str, Any]:
    """Return the event as a dictionary of plain JSON: its kind, its fields, those at their default left out."""
    plain: dict[str, Any] = {"kind": type(event).__name__}
    for name, default, nested in _LAYOUT[type(event)]:
        value = getattr(event, name)
        if value is default or (default is not MISSING and value == default):
            continue
        plain[name] = _record_to_plain(value) if nested is not None else value
    return plain


def from_plain(plain: Mapping[str, Any]) -> Event:
    """Return the event that `to_plain` made this dictionary of; fields it does not know are ignored.

    Raises KeyError for an unknown kind and TypeError when a field without a default is missing.
    """
    kind = KINDS[plain["kind"]]
    values: dict[str, Any] = {}
    for name, _, nested in _LAYOUT[kind]:
        if name in plain:
            value = plain[name]
            if nested is not None:
                value = _record_from_plain(nested, value)
            elif name in _TUPLES:
                value = tuple(value)
            values[name] = value
    return kind(**values)


def stored_from_plain(plain: Mapping[str, Any]) -> Stored:
    """Return the `Stored` that a dictionary from the journal describes."""
    stored: Stored = _record_from_plain(Stored, plain)
    return stored


def stored_to_plain(stored: Stored) -> dict[str, Any]:
    """Return a `Stored` as plain JSON, its defaults left out."""
    return _record_to_plain(stored)


def _record_to_plain(record: Any) -> dict[str, Any]:
    plain = {}
    for name, default, _ in _RECORDS[type(record)]:
        value = getattr(record, name)
        if value is not default and value != default:
            plain[name] = value
    if "items" in plain:
        plain["items"] = {name: _record_to_plain(item) for name, item in plain["items"].items()}
    return plain


def _record_from_plain(kind: Any, plain: Mapping[str, Any]) -> Any:
    values = {name: plain[name] for name, _, _ in _RECORDS[kind] if name in plain}
    if "types" in values:
        values["types"] = tuple(values["types"])
    if values.get("items") is not None:
        values["items"] = {name: _record_from_plain(Stored, item) for name, item in values["items"].items()}
    return kind(**values)


def _layout(kind: type) -> tuple[tuple[str, Any, Any], ...]:
    """Return (name, default, record type or None) for each field, in the order of declaration."""
    nested = {"Stored": Stored, "Stored | None": Stored, "Failure": Failure}
    return tuple(
        (
            item.name,
            item.default if item.default_factory is MISSING else item.default_factory(),
            nested.get(str(item.type)),
        )
        for item in fields(kind)
    )


_TUPLES = frozenset({"upstream", "changes"})
"""The fields of events that are tuples, which JSON has not."""

_RECORDS = {kind: _layout(kind) for kind in (Stored, Failure)}
_LAYOUT = {kind: _layout(kind) for kind in KINDS.values()}
