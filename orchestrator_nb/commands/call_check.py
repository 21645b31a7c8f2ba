"""What is wrong with a call before it is made: the function, the names and the types of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from orchestrator_nb.commands.signature import DoesNotFit, Signature
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.references import references_in
from orchestrator_nb.errors import Mistake, UsageError


def check_call(
    function: Callable[..., Any],
    signature: Signature,
    command: CommandDefinition,
    *,
    key: str,
    upstream: Mapping[str, str],
    workflow_parameters: Collection[str] | None,
) -> list[Mistake]:
    """Return every mistake of the call; `key` is the field of the definition that names the function.

    Where the workflow's parameters are not known, no argument is called missing.
    """
    if signature.unfit is not None:
        name = getattr(command, key, None)
        found = f"{f'{name}, ' if isinstance(name, str) else ''}{function!r}"[:200]
        return [Mistake(signature.unfit, f"/{key}", found=found)]
    besides = given_besides(command, signature)
    mistakes: list[Mistake] = []
    if command.args is not None or command.parameters:
        mistakes = [*_args(command, signature), *_unknown(command, signature)]
    if besides or command.parameters:
        mistakes += _ill_typed(command, signature, besides)
    if signature.required and workflow_parameters is not None:
        mistakes += _missing(signature, {*command.parameters, *besides}, {*upstream, *workflow_parameters})
    return mistakes


def given_besides(command: CommandDefinition, signature: Signature) -> dict[str, tuple[str, Any]]:
    """Return what a command gives besides its parameters, as (key of the definition, value) by argument name.

    `args` is the first argument; `agent` and `scope` go to functions that take them.
    """
    given: dict[str, tuple[str, Any]] = {}
    if command.args is not None and signature.first is not None:
        given[signature.first] = ("args", command.args)
    if command.agent is None and command.scope is None:
        return given
    for key, value in (("agent", command.agent), ("scope", command.scope)):
        if value is not None and key in signature.names and key not in command.parameters and key not in given:
            given[key] = (key, value)
    return given


def _args(command: CommandDefinition, signature: Signature) -> Iterator[Mistake]:
    if command.args is None or not signature.known:
        return
    if signature.first is None:
        yield Mistake("`args` is given, and the function takes no argument by position", "/args")
    elif signature.first in command.parameters:
        path = child("/parameters", signature.first)
        yield Mistake(f'the argument "{signature.first}" is given twice: it is the first, which `args` gives', path)


def _unknown(command: CommandDefinition, signature: Signature) -> Iterator[Mistake]:
    if signature.open:
        return
    for name in command.parameters:
        if name not in signature.names:
            there = ", ".join(signature.names) or "no arguments"
            yield Mistake(
                f'the function has no argument "{name}"',
                child("/parameters", name),
                expected=f"one of {there}" if signature.names else there,
                nearest=nearest(name, signature.names),
            )


def _missing(signature: Signature, given: Collection[str], offered: Collection[str]) -> Iterator[Mistake]:
    for name in signature.required:
        if name not in given and name not in offered:
            yield Mistake(
                f'nothing gives the argument "{name}" of the function',
                "/parameters",
                expected=f'"{name}" among the parameters, or an upstream command or a workflow parameter of that name',
                nearest=nearest(name, list(offered)),
            )


def _ill_typed(
    command: CommandDefinition, signature: Signature, besides: Mapping[str, tuple[str, Any]]
) -> Iterator[Mistake]:
    given = [(name, child("/parameters", name), value) for name, value in command.parameters.items()]
    given += [(name, f"/{key}", value) for name, (key, value) in besides.items()]
    for name, path, value in given:
        if _is_known_now(value):
            try:
                signature.fit(name, value)
            except DoesNotFit as error:
                yield Mistake(
                    f'the argument "{name}" has another type than the function says', path,
                    found=error.found, expected=error.expected,
                )  # fmt: skip


def _is_known_now(value: Any) -> bool:
    """Whether a value is as it will be: what holds a reference is known when the command starts."""
    try:
        return not references_in(value)
    except UsageError:  # said by the check of the definition
        return False
