"""Whether the outputs that commands declare fit the parameters of those that take them, before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.definition.names import addresses
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.references import references_in
from orchestrator_nb.errors import Mistake
from orchestrator_nb.ports import Command

_TAKEN_BY = {
    "string": {"string", "date", "datetime", "path"},
    "integer": {"integer", "number"},
    "number": {"number"},
    "boolean": {"boolean"},
    "date": {"string", "date"},
    "datetime": {"string", "datetime"},
    "path": {"string", "path"},
    "file": {"string", "path"},
    "list": {"list", "tuple", "set"},
    "object": {"object"},
    "table": set[str](),
    "array": set[str](),
}
"""The kinds of parameter that take an output of this type; an annotation of no kind that we know takes any."""


def unfit_outputs(
    definition: WorkflowDefinition,
    commands: Sequence[CommandDefinition],
    *,
    folder: Path,
    types: Mapping[str, Command],
    settled: Collection[str],
) -> Iterator[tuple[int, Mistake]]:
    """Yield the number of the command and a mistake for each parameter that is an output of another type.

    `commands` are those of the definition with its matrices expanded; what a matrix gives is a mapping, not its outputs.
    """
    producers = {command.id: command for command in definition.commands if command.outputs and command.matrix is None}
    named = addresses(producers)
    for number, command in enumerate(commands) if producers else ():
        kind = types.get(command.kind)
        for name, value in command.parameters.items() if kind is not None and command.id not in settled else ():
            found = _output(value, named, producers)
            if found is not None and kind is not None:
                type_name, text = found
                expected = _unfit(kind, command, name, type_name, folder)
                if expected:
                    message = f'"{name}" is {text}, which is declared as another type than the parameter says'
                    yield number, Mistake(message, child("/parameters", name), found=type_name, expected=expected)
        if kind is None or command.id in settled:
            continue
        for name in kind.wants(command, folder=folder):  # the whole result, in which the outputs are by name
            if name in named and name not in command.parameters and name not in definition.parameters:
                expected = _unfit(kind, command, name, "object", folder)
                if expected:
                    outputs = ", ".join(producers[named[name]].outputs)
                    message = (
                        f'"{name}" is the result of "{named[name]}", a mapping with the outputs that it declares '
                        f"({outputs}), and the parameter says otherwise"
                    )
                    yield number, Mistake(message, found="object", expected=expected)


def _unfit(kind: Command, command: CommandDefinition, name: str, type_name: str, folder: Path) -> str:
    """Return what a parameter takes where that is no output of this type, else nothing."""
    from orchestrator_nb.definition.annotations import alternatives

    annotation = kind.parameter_type(command, name, folder=folder)
    wanted = {each for each, _ in alternatives(annotation)} if annotation is not None else set()
    if wanted and "literal" not in wanted and not wanted & _TAKEN_BY.get(type_name, wanted):
        return " or ".join(sorted(wanted))
    return ""


def _output(
    value: object, named: Mapping[str, str], producers: Mapping[str, CommandDefinition]
) -> tuple[str, str] | None:
    """Return the declared type and the text of a reference, where the value is one to an output and nothing else."""
    references = references_in(value) if type(value) is str and "${{" in value else ()
    if len(references) != 1 or references[0].text != str(value).strip() or len(references[0].keys) != 1:
        return None
    reference = references[0]
    producer = named.get(reference.root)
    type_name = producers[producer].outputs.get(reference.keys[0]) if producer is not None else None
    return None if type_name is None else (type_name, reference.text)
