"""A run's context for other programs: JSON, YAML and XML to be read by people and tools, and a compact binary form.

Every document says of which `SCHEMA` it is; one of an earlier version is migrated step by step when it is read. What is
large stays in files: values over a limit are left out and named, with the artifact that has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from orchestrator_nb.errors import UsageError

SCHEMA = 3
"""The version of the documents that are written."""

Form = Literal["json", "yaml", "xml", "msgpack"]
FORMS: tuple[Form, ...] = ("json", "yaml", "xml", "msgpack")
MAGIC = b"onbc"
"""How the binary form begins; a byte for how it is packed follows."""

LARGEST = 1 << 30
"""Bytes that a document may have once it is unpacked."""

_STORED, _ZSTD = b"\0", b"\1"


def to_form(document: Mapping[str, Any], form: Form) -> bytes:
    """Return plain JSON as a document of that form. Raises UsageError for a form that there is not."""
    whole = {"schema": SCHEMA, **document}
    if form == "json":
        return json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"
    if form == "yaml":
        from orchestrator_nb.definition.writing import plain_yaml  # whoever only looks at a run does without

        return plain_yaml(whole).encode()
    if form == "xml":
        from orchestrator_nb.data.xml_form import to_xml

        return to_xml("context", whole)
    if form == "msgpack":
        packed = msgspec.msgpack.encode(whole)
        try:
            import zstandard
        except ModuleNotFoundError:
            return MAGIC + _STORED + packed
        return MAGIC + _ZSTD + zstandard.compress(packed, 3)
    raise UsageError(f'there is no form "{form}"; there is {", ".join(FORMS)}')


def from_form(data: bytes, form: Form) -> dict[str, Any]:
    """Return the document that `to_form` wrote, in any version so far, as the version of today.

    Raises UsageError where it is none, naming what is wrong with it.
    """
    try:
        found = _read(data, form)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"this is no context as {form}: {error}") from error
    if not isinstance(found, dict) or type(found.get("schema")) is not int:
        raise UsageError(f'this is no context as {form}: it has no "schema"')
    return migrated(found)


def migrated(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as the version of today. Raises UsageError for one of a later version."""
    version = document["schema"]
    if not 1 <= version <= SCHEMA:
        raise UsageError(f"the context is of schema {version}; this version reads 1 to {SCHEMA}")
    while version < SCHEMA:
        document = {**_MIGRATIONS[version](document), "schema": version + 1}
        version += 1
    return {key: value for key, value in document.items() if key != "schema"}


def _from_1(document: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 had the shared state without its versions."""
    return {"versions": [], **document}


def _from_2(document: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 did not tell of each version what own functions had made of it."""
    return {**document, "versions": [{"made": {}, **version} for version in document["versions"]]}


_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}
"""What makes of a document of each version one of the next."""


def limited(values: Mapping[str, Any], size: int | None) -> tuple[dict[str, Any], list[str]]:
    """Return the values that take at most `size` bytes as JSON each, and the names of those that are left out."""
    if size is None:
        return dict(values), []
    small = {
        name: value for name, value in values.items() if len(json.dumps(value, ensure_ascii=False).encode()) <= size
    }
    return small, [name for name in values if name not in small]


def _read(data: bytes, form: Form) -> Any:
    if form == "json":
        return json.loads(data)
    if form == "yaml":
        from ruamel.yaml import YAML

        return YAML(typ="safe", pure=True).load(data.decode())
    if form == "xml":
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise UsageError("a context as xml has no document type")
        from orchestrator_nb.data.xml_form import from_xml

        return from_xml(data)
    if form == "msgpack":
        return msgspec.msgpack.decode(_unpacked(data))
    raise UsageError(f'there is no form "{form}"; there is {", ".join(FORMS)}')


def _unpacked(data: bytes) -> bytes:
    kind, packed = data[len(MAGIC) : len(MAGIC) + 1], data[len(MAGIC) + 1 :]
    if not data.startswith(MAGIC) or kind not in (_STORED, _ZSTD):
        raise UsageError("this is no context as msgpack: it does not begin as one")
    if kind == _STORED:
        return packed
    try:
        import zstandard
    except ModuleNotFoundError:
        raise UsageError('it is packed with zstd: pip install "orchestrator-nb[transfer]"') from None
    size = zstandard.frame_content_size(packed)
    if not 0 <= size <= LARGEST:
        raise UsageError(f"it says that it has {size:,} bytes, more than {LARGEST:,}")
    return zstandard.decompress(packed, max_output_size=LARGEST)
