"""How the arguments of a call come together: from the definition, from upstream results, from the run's parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from msgspec import Struct

from orchestrator_nb.data.secret_values import secret
from orchestrator_nb.definition import references
from orchestrator_nb.definition.names import addresses, nearest
from orchestrator_nb.definition.references import Reference
from orchestrator_nb.errors import UsageError
from orchestrator_nb.events import Stored
from orchestrator_nb.ports import Attempt, Work


class Coming(Struct, frozen=True):
    """An attempt that has not begun: its work is known as far as it does not depend on what others are still to give."""

    work: Work

    def load(self, stored: Stored) -> Any:
        """Raise UsageError: there is no result yet."""
        raise UsageError(f'"{self.work.command}" has not begun, there is no {stored.form} to load')


def collect(
    attempt: Attempt, names: Iterable[str], *, fit: Callable[[str, Any], Any] = lambda _, value: value
) -> dict[str, Any]:
    """Return the arguments for something that takes `names`, and besides them all that the definition gives.

    What the definition gives wins; else a name is the result of the upstream command of that name (its id, or its id
    as an argument name), else the workflow's parameter of that name, else it is left out. What is no result goes
    through `fit` with its name. Every value is a copy of its own. Raises UsageError for a reference that leads nowhere.
    """
    work = attempt.work
    arguments = {name: fit(name, value) for name, value in resolve(attempt).items()}
    named: Mapping[str, str] | None = None
    for name in names:
        if name in arguments:
            continue
        if name in work.inputs:  # the usual, without a table of all names
            arguments[name] = result(attempt, name)
            continue
        if named is None:
            named = addresses(work.inputs) if work.inputs else {}
        if name in named:
            arguments[name] = result(attempt, named[name])
        elif name in work.parameters:
            arguments[name] = fit(name, _own(work.parameters[name]))
    return arguments


def resolve(attempt: Attempt) -> dict[str, Any]:
    """Return the parameters of the definition, with what they refer to. Raises UsageError as `collect` does."""
    return {
        name: resolved(attempt, value, place=f"/parameters/{name}")
        for name, value in attempt.work.definition.parameters.items()
    }


def resolved(attempt: Attempt | Coming, value: Any, *, place: str) -> Any:
    """Return a value of the definition, found at `place` in the command, with what it refers to.

    Raises UsageError naming command, place and reference.
    """
    try:
        return references.resolve(value, partial(_look_up, attempt))
    except UsageError as error:
        raise UsageError(f'"{attempt.work.command}" {place}: {error}') from None


def result(attempt: Attempt | Coming, command: str) -> Any:
    """Return the result of an upstream command: what it returned, or else all that it recorded, by name."""
    work = attempt.work
    stored = work.inputs.get(command)
    recorded = work.recorded.get(command)
    if recorded and (stored is None or _is_none(stored)):
        return {name: attempt.load(item) for name, item in recorded.items()}
    return None if stored is None else attempt.load(stored)


def _look_up(attempt: Attempt | Coming, reference: Reference) -> Any:
    work = attempt.work
    if reference.root == "parameters":
        return _follow(_own(dict(work.parameters)), reference, 0, "the workflow's parameters")
    if reference.root == "secrets":
        return secret(reference.keys[0])
    if reference.root == "context":
        known = {"workflow": work.workflow, "run": work.run, "command": work.command, "attempt": work.attempt}
        return _follow(known, reference, 0, "the context")
    named = addresses({**work.inputs, **work.recorded})
    command = named.get(reference.root)
    if command is None:
        there = _listed(named.values())
        raise UsageError(
            f'"{reference.text}" refers to "{reference.root}", which is no upstream command; there is {there}'
            f"{_meant(reference.root, named)}"
        )
    return _look_into(attempt, reference, command)


def _look_into(attempt: Attempt | Coming, reference: Reference, command: str) -> Any:
    if not reference.keys:
        return result(attempt, command)
    key = reference.keys[0]
    place = f'the result of "{command}"'
    stored = attempt.work.inputs.get(command)
    recorded = attempt.work.recorded.get(command, {})
    if stored is not None and stored.items is not None and key in stored.items:
        return _follow(attempt.load(stored.items[key]), reference, 1, f"{place} at {key}")
    if stored is not None and stored.form == "json":
        value = attempt.load(stored)
        if key not in recorded or (isinstance(value, dict) and key in value):
            if value is not None or not recorded:
                return _follow(value, reference, 0, place, besides=recorded)
    if key in recorded:
        return _follow(attempt.load(recorded[key]), reference, 1, f'what "{command}" recorded as {key}')
    there = [*(stored.items or () if stored is not None else ()), *recorded]
    kind = f", which is a {stored.type or stored.form}" if stored is not None and stored.items is None else ""
    raise UsageError(
        f'"{reference.text}" asks {place}{kind} for "{key}"; there is {_listed(there)}{_meant(key, there)}'
    )


def _follow(value: Any, reference: Reference, start: int, place: str, *, besides: Iterable[str] = ()) -> Any:
    """Return what the keys of the reference from `start` on lead to; numbers count in lists, from 0."""
    for position, key in enumerate(reference.keys[start:], start):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            there = [*value, *besides] if isinstance(value, dict) else list(besides)
            if isinstance(value, list):
                found = f"it is a list of {len(value)}, expected a number below that"
            elif isinstance(value, dict):
                found = f"there is {_listed(there)}{_meant(key, there)}"
            else:
                found = f"it is of type {type(value).__qualname__} and has no names in it"
            way = ".".join(reference.keys[start:position])
            where = f"{place} at {way}" if way else place
            raise UsageError(f'"{reference.text}" asks {where} for "{key}"; {found}')
    return value


def _is_none(stored: Stored) -> bool:
    return stored.form == "json" and stored.value is None and stored.artifact is None


def _own(value: Any) -> Any:
    """Return a private copy of lists and mappings, and anything else as it is."""
    if isinstance(value, dict):
        return {key: _own(item) for key, item in value.items()}
    return [_own(item) for item in value] if type(value) is list else value


def _listed(names: Iterable[str]) -> str:
    found = sorted(set(names))
    shown = ", ".join(f'"{name}"' for name in found[:12])
    return (f"{shown} and {len(found) - 12} more" if len(found) > 12 else shown) or "none"


def _meant(name: str, names: Iterable[str]) -> str:
    likely = nearest(name, list(names))
    return f'; did you mean "{likely}"?' if likely else ""
