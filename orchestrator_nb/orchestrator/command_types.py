"""The types of commands that a workflow can use, put together: our own and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.callable import CallableCommand, RegisteredCommand
from orchestrator_nb.commands.importing import CannotImport, load_module, put_first
from orchestrator_nb.commands.notebook import NotebookCommand
from orchestrator_nb.commands.shell import ShellCommand
from orchestrator_nb.errors import DefinitionError, UsageError
from orchestrator_nb.ports import Command

ENTRY_POINT = "orchestrator_nb.command_types"
"""The entry point group under which a package names its own types: ``name = "module:ClassWithoutArguments"``."""


def command_types(functions: Mapping[str, Callable[..., Any]], wanted: set[str]) -> dict[str, Command]:
    """Return the types by name; `functions` are those defined in a session, by command id, `wanted` the types in use.

    Types of other packages are loaded only when they are wanted. Raises UsageError naming the package that fails.
    """
    types: dict[str, Command] = {
        "notebook": NotebookCommand(),
        "call": CallableCommand(functions),
        "shell": ShellCommand(),
        "command": RegisteredCommand(),
    }
    missing = wanted - types.keys()
    if missing:
        for entry in entry_points(group=ENTRY_POINT):
            if entry.name in missing:
                try:
                    types[entry.name] = entry.load()()
                except Exception as error:
                    msg = f'the command type "{entry.name}" of "{entry.value}" cannot be loaded: {error}'
                    raise UsageError(msg) from error
    return types


def import_registrations(modules: Sequence[str], folder: Path) -> None:
    """Import the modules that register command names. Raises DefinitionError naming each that cannot be imported."""
    put_first(folder)
    mistakes = []
    for number, module in enumerate(modules):
        try:
            load_module(module, folder=folder, fresh=True)
        except CannotImport as error:
            mistakes.append(error.at(f"/imports/{number}"))
    if mistakes:
        raise DefinitionError(mistakes)
