"""The text of what a function does, so that a change of it is seen."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import types
from contextlib import suppress
from typing import Any

_SHARED = ("<string>", "<stdin>")
"""Names that many pieces of code share: the text under them may be that of another piece."""

_TRIES = 20
"""So many lines are tried as the one that comes after a function."""


def source_of(function: Any) -> str:
    """Return the source of a function, a method, a partial or an object that can be called.

    Where no source can be found, as for code typed into a plain interpreter, a text of its compiled code, which is
    the same in every process of one version of Python.
    """
    if isinstance(function, functools.partial):
        given = [repr(value) for value in function.args]
        given += [f"{name}={value!r}" for name, value in sorted(function.keywords.items())]
        return f"{source_of(function.func)}\npartial({', '.join(given)})"
    target = inspect.unwrap(function)
    if not isinstance(target, (types.FunctionType, types.MethodType, type)):
        target = type(target)
    code = getattr(target, "__code__", None)
    if code is None or code.co_filename not in _SHARED:
        with suppress(OSError, TypeError):
            return _evident(target) or inspect.getsource(target)
    return _code_text(code) if code is not None else f"{target.__module__}.{target.__qualname__}"


def _evident(target: Any) -> str | None:
    """Return the text of a function that begins with `def` or a decorator, as `inspect.getsource` does; None where it
    is not evident where that ends.

    For this, inspect takes the text apart into tokens, which takes longer than the rest of a small run's start. Here
    the function ends before the first line that is not indented further, as soon as what is before it is Python.
    """
    code = getattr(target, "__code__", None)
    if type(target) is not types.FunctionType or code is None or code.co_filename.startswith("<"):
        return None
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, target.__globals__)[code.co_firstlineno - 1 :]
    if not lines or not lines[0].lstrip().startswith(("def ", "async def ", "@")):
        return None
    indentation = _indentation(lines[0])
    tries = 0
    for number, line in enumerate([*lines[1:], ""], start=1):
        ends = number == len(lines) or (line.strip() and line[0] != "#" and _indentation(line) <= indentation)
        if not ends or line.lstrip().startswith("#"):
            continue
        node = _function("".join(lines[:number]), indented=bool(indentation))
        if node is not None:
            return "".join(lines[: _end(lines[:number], node)]) if node.name == code.co_name else None
        tries += 1
        if tries == _TRIES:
            break
    return None


def _function(text: str, *, indented: bool) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the function that a text is, None where it is none as a whole."""
    try:
        body = ast.parse(f"if 1:\n{text}" if indented else text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if indented and isinstance(body[0], ast.If):
        body = body[0].body
    found = body[0] if len(body) == 1 else None
    return found if isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)) else None


def _end(lines: list[str], node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many of the lines belong to the function: comments below it do where they are indented as its body."""
    first = node.body[0]
    on_own_line = first.lineno != node.lineno
    end = len(lines)
    while end > 1:
        text = lines[end - 1].strip()
        if text and not (text.startswith("#") and (not on_own_line or _indentation(lines[end - 1]) < first.col_offset)):
            break
        end -= 1
    return end


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _code_text(code: types.CodeType) -> str:
    constants = [_code_text(each) if isinstance(each, types.CodeType) else _constant(each) for each in code.co_consts]
    return "\n".join([code.co_code.hex(), *code.co_names, *code.co_varnames, *constants])


def _constant(value: Any) -> str:
    # The order of a set differs from process to process.
    return f"frozenset({sorted(map(repr, value))})" if isinstance(value, frozenset) else repr(value)
