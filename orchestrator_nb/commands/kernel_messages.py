"""What a kernel tells about its command: carried by messages that any front end can show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator_nb.event_json import stored_from_plain
from orchestrator_nb.events import Stored

MIME = "application/vnd.orchestrator-nb+json"
SCRAPBOOK = "application/scrapbook.scrap.json+json"

WRITTEN = "written"
"""The key that marks a message whose content has been written to the file of what was told."""

OUTPUT, METRIC, ARTIFACT, PROGRESS, SHARED = KINDS = ("output", "metric", "artifact", "progress", "shared")


FORMS = ("json", "parquet", "npy", "bytes", "file", "mapping")
"""The stored forms that can leave a kernel: all but live results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One thing that a kernel told: `kind` is one of `KINDS`.

    `stored` is there for outputs and artifacts, `value` for metrics and progress (numbers) and for shared values
    (plain JSON); `text` goes with a progress.
    """

    kind: str
    name: str
    value: Any = None
    stored: Stored | None = None
    text: str = ""


def read(message: Mapping[str, Any]) -> Iterator[Told]:
    """Yield what a message of the kernel tells and is not written elsewhere. Raises ValueError where it is ill-formed."""
    data = _data(message)
    if MIME in data and not is_written(message):
        yield parse(data[MIME])
    if SCRAPBOOK in data:
        yield _scrap(data[SCRAPBOOK])


def is_written(message: Mapping[str, Any]) -> bool:
    """Whether the message says that there is something new in the file of what was told."""
    told = _data(message).get(MIME)
    return isinstance(told, dict) and told.get(WRITTEN) is True


def parse(plain: Any) -> Told:
    """Return what a kernel told, from its JSON. Raises ValueError where it is ill-formed."""
    if not isinstance(plain, dict) or plain.get("kind") not in KINDS or not isinstance(plain.get("name"), str):
        raise ValueError(f"{MIME}: found {_shown(plain)}, expected an object with a kind and a name")
    kind, name, value = plain["kind"], plain["name"], plain.get("value")
    if kind in (OUTPUT, ARTIFACT):
        stored = plain.get("stored")
        if not isinstance(stored, dict) or not isinstance(stored.get("form"), str):
            raise ValueError(f'{MIME}: the {kind} "{name}" has no stored form; found {_shown(stored)}')
        if stored["form"] not in FORMS:
            raise ValueError(f'{MIME}: the {kind} "{name}" has the form "{stored["form"]}", expected one of {FORMS}')
        return Told(kind=kind, name=name, stored=stored_from_plain(stored))
    if kind in (METRIC, PROGRESS):
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number:
            raise ValueError(f'{MIME}: the {kind} "{name}" is no number; found {_shown(value)}')
        return Told(kind=kind, name=name, value=value, text=str(plain.get("text", "")))
    return Told(kind=kind, name=name, value=value)


def _data(message: Mapping[str, Any]) -> Mapping[str, Any]:
    if message.get("msg_type") not in ("display_data", "update_display_data", "execute_result"):
        return {}
    return (message.get("content") or {}).get("data") or {}


def _scrap(plain: Any) -> Told:
    """Read what `scrapbook.glue` leaves in a notebook; what it encodes in another way than JSON is not read."""
    if not isinstance(plain, dict) or not isinstance(plain.get("name"), str) or "data" not in plain:
        raise ValueError(f"{SCRAPBOOK}: found {_shown(plain)}, expected an object with a name and data")
    name, encoder = plain["name"], plain.get("encoder", "json")
    if encoder not in ("json", "text"):
        raise ValueError(
            f'the scrap "{name}" is encoded as "{encoder}", which is not read here; use context.record("{name}", …)'
        )
    value = plain["data"]
    return Told(kind=OUTPUT, name=name, stored=Stored(form="json", value=value, type=type(value).__name__))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "…"
