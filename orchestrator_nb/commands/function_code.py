"""The code of a function and of what it uses of the user's own, so that a change of either is seen."""

from __future__ import annotations

import ast
import functools
import inspect
import os
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.code import normalised, parsed, plain_text, tree_text
from orchestrator_nb.commands.source import source_of

_OF_OURS = frozenset({"command", "register"})
"""Decorators that name a function as a command; what they say is in the definition."""
_PLAIN = (type(None), bool, int, float, complex, str, bytes)

_LIBRARY = os.path.dirname(os.__file__) + os.sep
"""Where Python's own modules are, and mostly what is installed: found without asking for all its places."""


def code_of(function: Any) -> str:
    """Return the code of a function, method, partial or callable object, and of everything of the user's own that it
    names: functions, classes and modules that are not installed, and constants.

    What it only comes to by other ways (by `getattr`, through a registry) is not looked for.
    """
    found: dict[str, str] = {}
    if isinstance(function, functools.partial):
        found["partial"] = repr((function.args, sorted(function.keywords.items())))
        function = function.func
    _collect(inspect.unwrap(function) if callable(function) else function, "", found)
    return "\n".join(f"{name}: {found[name]}" for name in sorted(found))


def _collect(start: Any, name: str, found: dict[str, str]) -> None:
    """Add the text of `start` and of what it uses; each thing once, however deep and however round the way."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [(name, start)]
    while waiting:
        name, thing = waiting.pop()
        if isinstance(thing, (staticmethod, classmethod)):
            thing = thing.__func__
        if isinstance(thing, functools.partial):
            waiting.append((name, thing.func))
            continue
        if not isinstance(thing, (types.FunctionType, types.MethodType, type, types.ModuleType)):
            if isinstance(thing, _PLAIN) or (isinstance(thing, (tuple, frozenset)) and _is_plain(thing)):
                found[name] = repr(sorted(thing, key=repr) if isinstance(thing, frozenset) else thing)
                continue
            thing = thing.__wrapped__ if hasattr(thing, "__wrapped__") else type(thing)
        if id(thing) in seen or (name and not _is_own(thing)):
            continue
        seen.add(id(thing))
        if isinstance(thing, types.ModuleType):
            with suppress(OSError, TypeError):
                found[name] = normalised(inspect.getsource(thing))
            waiting.extend(_parts(thing))
            continue
        found[name or "."] = _text(thing)
        waiting.extend(_named_by(thing))


def _text(thing: Any) -> str:
    text = source_of(thing)
    tree = parsed(text)
    if tree is None:
        return plain_text(text)
    if getattr(thing, "__name__", "") == "<lambda>":
        # The line in which it stands says other things, too.
        lambdas = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
        return tree_text(lambdas[0]) if len(lambdas) == 1 else tree_text(tree)
    first = tree.body[0] if tree.body else None
    if isinstance(first, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        first.decorator_list = [item for item in first.decorator_list if not _is_ours(item)]
    return tree_text(tree)


def _is_ours(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    return name in _OF_OURS


def _named_by(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield what the code of a function or a class names in its module and around it, by name."""
    for function in _functions(thing):
        around = function.__globals__
        module = function.__module__ or ""
        for code in _codes(function.__code__):
            for name in code.co_names:
                if name in around:
                    yield f"{module}.{name}", around[name]
        with suppress(ValueError):  # a cell that is still empty
            closure = function.__closure__ or ()
            for name, cell in zip(function.__code__.co_freevars, closure, strict=True):
                yield f"{function.__qualname__}.{name}", cell.cell_contents
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            yield f"{function.__qualname__}.__wrapped__", wrapped


def _parts(module: types.ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the modules from which a module has what is in it."""
    for item in vars(module).values():
        name = item.__name__ if isinstance(item, types.ModuleType) else getattr(item, "__module__", None)
        other = sys.modules.get(name) if isinstance(name, str) else None
        if other is not None and other is not module:
            yield other.__name__, other


def _functions(thing: Any) -> Iterator[types.FunctionType]:
    if isinstance(thing, types.MethodType):
        thing = thing.__func__
    if isinstance(thing, types.FunctionType):
        yield thing
    elif isinstance(thing, type):
        for base in thing.__mro__:
            if base is thing or _is_own(base):
                yield from (item for item in map(_bare, vars(base).values()) if isinstance(item, types.FunctionType))


def _bare(item: Any) -> Any:
    if isinstance(item, property):
        return item.fget
    return item.__func__ if isinstance(item, (staticmethod, classmethod)) else item


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _is_own(thing: Any) -> bool:
    """Whether it is the user's: typed in, or of a file that is neither Python's nor installed nor of this package."""
    name = thing.__name__ if isinstance(thing, types.ModuleType) else getattr(thing, "__module__", None)
    if not name or name.partition(".")[0] == __name__.partition(".")[0] or name in sys.builtin_module_names:
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return name == "__main__"
    return not (file.startswith(_LIBRARY) or str(Path(file).resolve()).startswith(_installed()))


@functools.cache
def _installed() -> tuple[str, ...]:
    """Return where Python and what is installed for it are."""
    import sysconfig

    places = {*(sysconfig.get_paths().get(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))}
    return tuple(str(Path(place).resolve()) for place in places if place)


def _is_plain(values: Iterable[Any]) -> bool:
    return all(isinstance(value, _PLAIN) or (type(value) is tuple and _is_plain(value)) for value in values)
