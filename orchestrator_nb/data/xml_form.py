"""Plain JSON as XML, and back: one element a value, its text in attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET


def to_xml(root: str, value: Any) -> bytes:
    """Return a value of plain JSON as an indented document whose root element has that name."""
    element = _element(root, value)
    ET.indent(element)
    text: bytes = ET.tostring(element, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def from_xml(data: bytes) -> Any:
    """Return the value that `to_xml` wrote; the data has no document type. Raises ParseError."""
    return _value(ET.fromstring(data))  # noqa: S314 - without a document type there is nothing to expand


def _element(name: str, value: Any, key: str | None = None) -> ET.Element:
    element = ET.Element(name, {} if key is None else {"key": _escaped(key)})
    if isinstance(value, Mapping):
        element.set("type", "object")
        element.extend(_element("item", item, str(each)) for each, item in value.items())
    elif isinstance(value, list | tuple):
        element.set("type", "list")
        element.extend(_element("item", item) for item in value)
    elif isinstance(value, str):
        element.set("type", "text")
        element.set("value", _escaped(value))
    else:
        element.set("type", "json")
        element.set("value", json.dumps(value, allow_nan=False))
    return element


def _value(element: ET.Element) -> Any:
    kind = element.get("type")
    if kind == "object":
        return {_unescaped(each.get("key", "")): _value(each) for each in element}
    if kind == "list":
        return [_value(each) for each in element]
    text = element.get("value", "")
    return _unescaped(text) if kind == "text" else json.loads(text)


def _escaped(text: str) -> str:
    """Return a text as XML can hold it in an attribute: what it cannot hold, or would change, as in JSON."""
    return json.dumps(text)[1:-1]


def _unescaped(text: str) -> str:
    return str(json.loads(f'"{text}"'))
