"""What a kernel tells about its command: carried by messages that any front end can show."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator_nb.events import Stored
from orchestrator_nb.events.json_form import stored_from_plain

MIME = "application/vnd.orchestrator-nb+json"
SCRAPBOOK = "application/scrapbook.scrap."
"""What the MIME types of `scrapbook.glue` begin with; the name of the encoding follows."""

PAPERMILL = "application/papermill.record+json"
"""The MIME type of `papermill.record`, which scrapbook took the place of."""

WRITTEN = "written"
"""The key that marks a message whose content has been written to the file of what was told."""

OUTPUT, METRIC, ARTIFACT, PROGRESS, SHARED = KINDS = ("output", "metric", "artifact", "progress", "shared")


FORMS = ("json", "parquet", "npy", "bytes", "file", "mapping")
"""The stored forms that can leave a kernel: all but live results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One thing that a kernel told: `kind` is one of `KINDS`.

    `stored` is there for artifacts, and for outputs and shared values that the kernel has stored itself, `value` for
    others and for metrics and progress (numbers); `text` goes with a progress.
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
    for name, plain in data.items():
        if name.startswith(SCRAPBOOK):
            yield _scrap(plain)
    if PAPERMILL in data:
        yield from _records(data[PAPERMILL])


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
        return Told(kind=kind, name=name, stored=_stored(plain.get("stored"), kind, name))
    if kind in (METRIC, PROGRESS):
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number:
            raise ValueError(f'{MIME}: the {kind} "{name}" is no number; found {_shown(value)}')
        return Told(kind=kind, name=name, value=value, text=str(plain.get("text", "")))
    if kind == SHARED and "stored" in plain:
        return Told(kind=kind, name=name, stored=_stored(plain["stored"], kind, name))
    return Told(kind=kind, name=name, value=value)


def _stored(plain: Any, kind: str, name: str) -> Stored:
    if not isinstance(plain, dict) or not isinstance(plain.get("form"), str):
        text = f'{MIME}: the {kind} "{name}" has no stored form; found {_shown(plain)}'
        raise ValueError(text)  # noqa: TRY004 - as elsewhere here: what it was is not what was meant
    if plain["form"] not in FORMS:
        raise ValueError(f'{MIME}: the {kind} "{name}" has the form "{plain["form"]}", expected one of {FORMS}')
    return stored_from_plain(plain)


def _data(message: Mapping[str, Any]) -> Mapping[str, Any]:
    if message.get("msg_type") not in ("display_data", "update_display_data", "execute_result"):
        return {}
    return (message.get("content") or {}).get("data") or {}


def _scrap(plain: Any) -> Told:
    """Read what `scrapbook.glue` leaves in a notebook: JSON, text, or a table as Parquet in base64."""
    if not isinstance(plain, dict) or not isinstance(plain.get("name"), str):
        text = f"a scrap of scrapbook: found {_shown(plain)}, expected an object with a name and data"
        raise ValueError(text)  # noqa: TRY004 - as elsewhere here: what it was is not what was meant
    name, encoder = plain["name"], plain.get("encoder", "json")
    if "data" not in plain:
        raise ValueError(f'the scrap "{name}" has no data in it, and scraps kept elsewhere are not read here')
    if encoder in ("json", "text"):
        return Told(kind=OUTPUT, name=name, value=plain["data"])
    if encoder in ("pandas", "arrow"):
        return Told(kind=OUTPUT, name=name, value=_table(name, plain["data"]))
    raise ValueError(
        f'the scrap "{name}" is encoded as "{encoder}", expected json, text or pandas; use '
        f'context.record("{name}", …), which takes JSON, tables (Parquet), arrays (npy), bytes and files'
    )


def _table(name: str, data: Any) -> Any:
    import pandas as pd

    try:
        return pd.read_parquet(io.BytesIO(base64.b64decode(data, validate=True)))
    except Exception as error:
        raise ValueError(f'the scrap "{name}" is no table in Parquet: {error}') from error


def _records(plain: Any) -> Iterator[Told]:
    """Read what `papermill.record` leaves in a notebook: values by name."""
    if not isinstance(plain, dict):
        text = f"{PAPERMILL}: found {_shown(plain)}, expected an object of values by name"
        raise ValueError(text)  # noqa: TRY004 - as above
    for name, value in plain.items():
        yield Told(kind=OUTPUT, name=str(name), value=value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "…"
