"""What a function takes: its arguments, which of them it needs, and whether a value fits the annotation."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from orchestrator_nb.definition.values import described, misfits

_EMPTY = inspect.Parameter.empty
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class DoesNotFit(ValueError):
    """A value is of another type than the annotation says: what was `found` and what was `expected`."""

    def __init__(self, found: str, expected: str) -> None:
        self.found = found
        self.expected = expected
        super().__init__(found, expected)

    def __str__(self) -> str:
        return f"found {self.found}, expected {self.expected}"


class Signature:
    """The arguments of one function, read once.

    `names` are all that can be given by name or position, in order; `positional` those that can be given by position
    only; `required` those without a default; `open` whether any other name is taken too (``**options``); `first` the
    first argument by position, `returns` the annotation of the result, a text where it cannot be evaluated and None
    where there is none. `known` is False where the function does not say what it takes, `unfit` says why it cannot be
    called for a result, None where it can.
    """

    __slots__ = (
        "_adapters",
        "_annotations",
        "_defaults",
        "first",
        "known",
        "names",
        "open",
        "positional",
        "required",
        "returns",
        "unfit",
    )

    def __init__(self, function: Callable[..., Any]) -> None:
        self.unfit = _why_unfit(function)
        signature = _signature(function)
        parameters = None if signature is None else list(signature.parameters.values())
        self.known = parameters is not None
        self.returns = (
            None if signature is None or signature.return_annotation is _EMPTY else signature.return_annotation
        )
        taken = [each for each in parameters or () if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        self.names = tuple(each.name for each in taken)
        self.positional = tuple(each.name for each in taken if each.kind is each.POSITIONAL_ONLY)
        self.required = tuple(each.name for each in taken if each.default is _EMPTY)
        self.open = parameters is None or any(each.kind is each.VAR_KEYWORD for each in parameters)
        self.first = taken[0].name if taken and taken[0].kind in _POSITIONAL else None
        self._defaults = {each.name: each.default for each in taken if each.default is not _EMPTY}
        self._annotations = {
            each.name: each.annotation
            for each in taken
            if each.annotation is not _EMPTY and each.annotation is not Any and not isinstance(each.annotation, str)
        }
        self._adapters: dict[str, Any] = {}

    def call(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Call the function with arguments by name. Raises TypeError for one that is missing, as Python does."""
        if not self.positional:
            return function(**arguments)
        given = []
        rest = dict(arguments)
        for name in self.positional:
            if name not in rest and name not in self._defaults:
                raise TypeError(f"missing the argument {name!r}")
            given.append(rest.pop(name) if name in rest else self._defaults[name])
        return function(*given, **rest)

    def annotation(self, name: str) -> Any:
        """Return the annotation of an argument, None where it has none that says anything."""
        return self._annotations.get(name)

    def fit(self, name: str, value: Any) -> Any:
        """Return the value as the annotation of the argument wants it: as it is, or read from its JSON form.

        A text becomes a date, a path or an enumeration's member, a list a tuple or a set; a text never becomes a
        number, nor anything a text. Raises DoesNotFit.
        """
        annotation = self._annotations.get(name)
        if annotation is None or type(value) is annotation:
            return value
        if name not in self._adapters:
            self._adapters[name] = _adapter(annotation)
        adapter = self._adapters[name]
        if adapter is None:
            return value
        from pydantic import ValidationError

        try:
            return adapter.validate_python(value, strict=True)
        except ValidationError as error:
            failed = error
        if next(misfits(value), None) is None:
            try:
                return adapter.validate_json(json.dumps(value), strict=True)
            except ValidationError as error:
                failed = error
        first = failed.errors(include_url=False, include_context=False)[0]
        within = "".join(f"[{key!r}]" for key in first["loc"])
        wanted = annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
        raise DoesNotFit(described(value), f"{wanted} ({within + ' ' if within else ''}{first['msg']})")


def _why_unfit(function: Any) -> str | None:
    if not callable(function):
        return "this is no function and cannot be called"
    if isinstance(function, type):
        return "this is a class; name a function, or a method of the class that makes the result"
    inner = inspect.unwrap(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        return "this is a generator, which has no result of its own; return a list of what it gives"
    return None


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return what the function takes and gives; None where it does not say, as some functions written in C."""
    for evaluated in (True, False):  # an annotation may name what is not there at run time
        with suppress(Exception):  # evaluating annotations can raise anything
            return inspect.signature(function, eval_str=evaluated)
    return None


def _adapter(annotation: Any) -> Any:
    """Return what checks values against the annotation, pydantic's TypeAdapter, None where nothing can."""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter
    from pydantic.errors import PydanticSchemaGenerationError

    for config in (None, ConfigDict(arbitrary_types_allowed=True)):
        with suppress(PydanticSchemaGenerationError, PydanticUserError, TypeError, NameError):
            return TypeAdapter(annotation, config=config)
    return None
