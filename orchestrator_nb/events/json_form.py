"""Events and stored values as JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Union, cast

import msgspec

from orchestrator_nb.events import KINDS, Event, Stored

_ANY_EVENT: Any = Union[tuple(KINDS.values())]  # noqa: UP007 - made of a table
_encoder = msgspec.json.Encoder()


def encode(event: Event) -> bytes:
    """Return the event as the text of a JSON object: its kind, its fields, those at their default left out.

    Text that is no Unicode (half of a surrogate pair, as in a file name that is not UTF-8) is escaped.
    """
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:
        return _encoder.encode(_escaped(to_plain(event)))


def encode_all(events: Sequence[Event]) -> list[bytes]:
    """Return what `encode` does of each of at least one, from behind its opening brace on: other fields may come first."""
    try:
        # No text of JSON has a line break in it.
        return _encoder.encode_lines(events)[1:-1].split(b"\n{")
    except UnicodeEncodeError:
        return [encode(event)[1:] for event in events]


def decode(text: bytes) -> Event:
    """Return the event that `encode` gave this text for; fields that are not known are ignored.

    Raises ValueError when it is no JSON, of an unknown kind, or lacks a field.
    """
    try:
        return cast("Event", _decoder().decode(text))
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    """Made when something is read: it has to know all kinds, and a new run only writes."""
    return msgspec.json.Decoder(_ANY_EVENT)


def to_plain(event: Event) -> dict[str, Any]:
    """Return the event as a dictionary of plain JSON."""
    return cast("dict[str, Any]", msgspec.to_builtins(event))


def from_plain(plain: Mapping[str, Any]) -> Event:
    """Return the event that `to_plain` made this dictionary of. Raises ValueError."""
    try:
        return cast("Event", msgspec.convert(plain, _ANY_EVENT))
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def stored_from_plain(plain: Mapping[str, Any]) -> Stored:
    """Return the `Stored` that a dictionary from the journal describes. Raises ValueError."""
    try:
        return msgspec.convert(plain, Stored)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def stored_to_plain(stored: Stored) -> dict[str, Any]:
    """Return a `Stored` as plain JSON, its defaults left out."""
    return cast("dict[str, Any]", msgspec.to_builtins(stored))


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value
