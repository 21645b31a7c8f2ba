"""The text of what a function does, so that a change of it is seen."""

from __future__ import annotations

import functools
import inspect
import types
from contextlib import suppress
from typing import Any

_SHARED = ("<string>", "<stdin>")
"""Names that many pieces of code share: the text under them may be that of another piece."""


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
            return inspect.getsource(target)
    return _code_text(code) if code is not None else f"{target.__module__}.{target.__qualname__}"


def _code_text(code: types.CodeType) -> str:
    constants = [_code_text(each) if isinstance(each, types.CodeType) else _constant(each) for each in code.co_consts]
    return "\n".join([code.co_code.hex(), *code.co_names, *code.co_varnames, *constants])


def _constant(value: Any) -> str:
    # The order of a set differs from process to process.
    return f"frozenset({sorted(map(repr, value))})" if isinstance(value, frozenset) else repr(value)
