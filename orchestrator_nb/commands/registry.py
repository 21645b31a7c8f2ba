"""Names for commands, such as ``/query``, that stand for functions or native commands, here and in installed packages.

A package registers names for all that install it by an entry point of the group `GROUP`, in its pyproject.toml:

    [project.entry-points."orchestrator_nb.commands"]
    "/query" = "package.module:function"

A kind of command of its own, with its own keys and checks, is another group: see `orchestrator.command_types`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from orchestrator_nb.commands.contract import is_native
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.errors import UsageError

GROUP = "orchestrator_nb.commands"
"""The entry point group under which a package registers names: ``"/query" = "module:function"``."""

Function = TypeVar("Function", bound=Callable[..., Any])

_NAME = r"/[\w.:/-]{1,99}|[^\W\d][\w-]*(\.[^\W\d][\w-]*)+"


class Registry:
    """Registered names and their functions. A name of this process goes before one of an installed package."""

    def __init__(self, *, group: str | None = GROUP) -> None:
        self._group = group
        self._lock = threading.Lock()
        self._functions: dict[str, Callable[..., Any]] = {}
        self._installed: dict[str, list[Any]] | None = None
        self._loaded: dict[str, Callable[..., Any]] = {}

    def register(self, name: str) -> Callable[[Function], Function]:
        """Return a decorator that gives a function that name and returns it unchanged.

        A function that is defined again, by running its cell or reloading its module, takes its own place. Raises
        UsageError for a bad name, and for one that another function has.
        """
        if len(name) > 100 or not re.fullmatch(_NAME, name):
            raise UsageError(f'{name!r} cannot be registered; expected a name such as "/query" or "team.query"')

        def decorate(function: Function) -> Function:
            if not (is_native(function) or callable(function)):
                raise UsageError(
                    f'"{name}" can be registered for a function or a native command only; found {function!r}'
                )
            with self._lock:
                before = self._functions.get(name)
                if before is not None and before is not function and not _is_redefined(before, function):
                    raise UsageError(
                        f'"{name}" is registered for {_described(before)} and cannot be for {_described(function)} too: '
                        "use another name"
                    )
                self._functions[name] = function
            return function

        return decorate

    def find(self, name: str) -> Callable[..., Any]:
        """Return the function of that name. Raises UsageError where there is none, or where it cannot be loaded."""
        function = self._functions.get(name) or self._loaded.get(name)
        if function is not None:
            return function
        installed = self._entry_points().get(name)
        if not installed:
            likely = nearest(name, self.names())
            meant = f'; did you mean "{likely}"?' if likely else ""
            raise UsageError(
                f'no command is registered as "{name}"{meant}; register it with @register("{name}") in a module that '
                "`imports` names, or in this session"
            )
        if len({entry.value for entry in installed}) > 1:
            both = " and ".join(sorted(f'"{entry.value}"' for entry in installed))
            raise UsageError(f'"{name}" is registered by two installed packages, as {both}: remove one of them')
        try:
            loaded: Callable[..., Any] = installed[0].load()
        except Exception as error:
            raise UsageError(f'"{name}" is "{installed[0].value}", which cannot be loaded: {error!r}') from error
        if not (is_native(loaded) or callable(loaded)):
            raise UsageError(f'"{name}" is "{installed[0].value}", which is no function; found {loaded!r}')
        self._loaded[name] = loaded
        return loaded

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted."""
        return tuple(sorted({*self._functions, *self._entry_points()}))

    def _entry_points(self) -> dict[str, list[Any]]:
        """Return the entry points of installed packages by the name that they register."""
        if self._installed is None:
            from importlib.metadata import entry_points

            found: dict[str, list[Any]] = {}
            for entry in entry_points(group=self._group) if self._group else ():
                found.setdefault(entry.name, []).append(entry)
            self._installed = found
        return self._installed


REGISTRY = Registry()
"""The names of this process."""

register = REGISTRY.register
"""Give a function a name: ``@register("/query")``; see `Registry.register`."""


def _is_redefined(before: Any, after: Any) -> bool:
    """Whether `after` is the same definition, run once more."""
    same = [(getattr(it, "__module__", None), getattr(it, "__qualname__", None)) for it in (before, after)]
    return same[0] == same[1] and None not in same[0] and "<lambda>" not in str(same[0][1])


def _described(function: Any) -> str:
    module = getattr(function, "__module__", None)
    return f'"{module}:{getattr(function, "__qualname__", repr(function))}"'
