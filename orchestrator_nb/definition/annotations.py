"""Annotations of a parameter, as text or as a typing object, and whether a plain value fits them."""

from __future__ import annotations

import ast
import types
import typing
from typing import Any

from orchestrator_nb.definition.parameters import EXPECTED, is_date, is_datetime, same
from orchestrator_nb.definition.values import described

_KINDS = {
    "int": "integer", "float": "number", "str": "string", "bool": "boolean",
    "list": "list", "List": "list", "Sequence": "list", "Iterable": "list", "Collection": "list",
    "dict": "object", "Dict": "object", "Mapping": "object", "MutableMapping": "object",
    "date": "date", "datetime": "datetime",
    "Path": "path", "PurePath": "path", "PosixPath": "path", "WindowsPath": "path", "PathLike": "path",
    "None": "null", "NoneType": "null",
    "tuple": "tuple", "Tuple": "tuple", "set": "set", "Set": "set", "frozenset": "set", "FrozenSet": "set",
}  # fmt: skip
_UNIONS = ("Union", "UnionType")
_WRAPPERS = ("Annotated", "Final", "Required", "NotRequired")

Alternatives = tuple[tuple[str, Any], ...]
"""What a value may be: a kind with None, or ("literal", value). Empty where the annotation says nothing we know."""


def mismatch(value: Any, annotation: Any) -> str | None:
    """Return what is wrong when a plain JSON value is passed where the annotation stands, or None.

    The annotation is a text such as ``int | None`` or ``list[str]`` or what stands for it at run time. Dates and paths
    are passed as text. Nothing is wrong where the annotation is not understood.
    """
    allowed = alternatives(annotation)
    if not allowed or any(_fits(value, kind, literal) for kind, literal in allowed):
        return None
    expected = " or ".join(dict.fromkeys(_words(kind, literal) for kind, literal in allowed))
    return f"found {described(value)}; expected {expected}"


def alternatives(annotation: Any) -> Alternatives:
    """Return what an annotation allows; empty where it allows anything or is not understood."""
    found = _of_text(annotation) if isinstance(annotation, str) else _of_object(annotation)
    return () if ("any", None) in found else tuple(dict.fromkeys(found))


_ANY: Alternatives = (("any", None),)


def _of_text(text: str) -> Alternatives:
    try:
        return _of_node(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _ANY


def _of_node(node: ast.expr) -> Alternatives:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _of_node(node.left) + _of_node(node.right)
    if isinstance(node, ast.Constant):
        if node.value is None:
            return (("null", None),)
        return _of_text(node.value) if isinstance(node.value, str) else _ANY
    if isinstance(node, ast.Subscript):
        name = _name(node.value)
        inside = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Optional":
            return (*_of_node(inside[0]), ("null", None))
        if name in _UNIONS:
            return tuple(item for part in inside for item in _of_node(part))
        if name in _WRAPPERS:
            return _of_node(inside[0])
        if name == "Literal":
            constants = all(isinstance(part, ast.Constant) for part in inside)
            return (
                tuple(("literal", part.value) for part in inside if isinstance(part, ast.Constant))
                if constants
                else _ANY
            )
        return _of_node(node.value)
    kind = _KINDS.get(_name(node))
    return ((kind, None),) if kind else _ANY


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _of_object(annotation: Any) -> Alternatives:
    origin = typing.get_origin(annotation)
    inside = typing.get_args(annotation)
    if origin is typing.Union or origin is types.UnionType:
        return tuple(item for part in inside for item in _of_object(part))
    if origin is typing.Literal:
        return tuple(("literal", value) for value in inside)
    if origin is typing.Annotated:
        return _of_object(inside[0])
    if isinstance(annotation, typing.ForwardRef):
        return _of_text(annotation.__forward_arg__)
    if annotation is None:
        return (("null", None),)
    kind = _KINDS.get(getattr(origin or annotation, "__name__", ""))
    return ((kind, None),) if kind else _ANY


def _fits(value: Any, kind: str, literal: Any) -> bool:
    if kind == "literal":
        return same(value, literal)
    if kind == "null":
        return value is None
    if kind == "boolean":
        return type(value) is bool
    if kind == "integer":
        return type(value) is int
    if kind == "number":
        return type(value) in (int, float)
    if kind == "date":
        return isinstance(value, str) and is_date(value)
    if kind == "datetime":
        return isinstance(value, str) and is_datetime(value)
    if kind in ("string", "path"):
        return isinstance(value, str)
    return isinstance(value, {"list": list, "object": dict}.get(kind, ()))


def _words(kind: str, literal: Any) -> str:
    if kind == "literal":
        return repr(literal)
    if kind in ("tuple", "set"):
        return f"a {kind}, which no parameter can be: annotate it as a list"
    return "nothing (null)" if kind == "null" else EXPECTED[kind]
