"""The types of commands that a workflow can use, put together: our own and those of installed packages.

A package brings a type of command, used as ``type: name``, by an entry point of the group `ENTRY_POINT`, in its
pyproject.toml:

    [project.entry-points."orchestrator_nb.command_types"]
    name = "package.module:ClassWithoutArguments"

The class derives from `ports.Command`, where its methods are described. A name for a single function needs no type of
its own: it is registered in another group, see `commands.registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.callable import CallableCommand, RegisteredCommand
from orchestrator_nb.commands.importing import CannotImport, load_module, put_first
from orchestrator_nb.errors import DefinitionError, UsageError
from orchestrator_nb.ports import Command

ENTRY_POINT = "orchestrator_nb.command_types"
"""The entry point group under which a package names its own types: ``name = "module:ClassWithoutArguments"``."""

_MEMBERS = ("name", "check", "wants", "notes", "parameter_type", "result_type", "runs_apart", "source", "code", "run")


def command_types(
    functions: Mapping[str, Callable[..., Any]], wanted: set[str], *, inner: Callable[[], Command]
) -> dict[str, Command]:
    """Return the types by name; `functions` are those defined in a session, by command id, `wanted` the types in use,
    `inner` makes the type of commands that are workflows.

    Types of other packages are loaded only when they are wanted. Raises UsageError naming the package that fails.
    """
    types: dict[str, Command] = {"call": CallableCommand(functions), "command": RegisteredCommand()}
    if "workflow" in wanted:
        types["workflow"] = inner()
    missing = wanted - types.keys()
    if missing:  # what a run of functions alone would import for nothing
        from orchestrator_nb.commands.notebooks.command import NotebookCommand
        from orchestrator_nb.commands.shell import ShellCommand

        types |= {"notebook": NotebookCommand(), "shell": ShellCommand()}
        missing -= types.keys()
    if missing:
        from importlib.metadata import entry_points

        for entry in entry_points(group=ENTRY_POINT):
            if entry.name in missing:
                types[entry.name] = _loaded(entry)
    return types


def _loaded(entry: Any) -> Command:
    """Return the type of command that an installed package offers by an entry point."""
    lead = f'the command type "{entry.name}" of "{entry.value}"'
    try:
        made: Any = entry.load()()
    except Exception as error:
        raise UsageError(f"{lead} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(made, Command):
        lacks = ", ".join(name for name in _MEMBERS if not hasattr(made, name))
        raise UsageError(
            f"{lead} is no type of command: it lacks {lacks}; derive it from orchestrator_nb.ports.Command"
        )
    return made


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
