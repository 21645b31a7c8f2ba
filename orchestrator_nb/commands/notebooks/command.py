"""The command that runs a notebook: in a kernel of its own, in the notebook's own folder, through papermill."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.arguments import resolve
from orchestrator_nb.commands.code import imported_code, normalised_cells, plain_text
from orchestrator_nb.commands.notebooks import file as notebook_file
from orchestrator_nb.commands.notebooks import imports as notebook_imports
from orchestrator_nb.commands.notebooks import kernel as notebook_kernel
from orchestrator_nb.commands.notebooks import parameters as notebook_parameters
from orchestrator_nb.commands.notebooks import start as notebook_start
from orchestrator_nb.commands.notebooks.execution import NotebookExecution
from orchestrator_nb.commands.notebooks.file import INJECTED_TAG, Notebook
from orchestrator_nb.commands.notebooks.kernel_environment import TOLD, write_data
from orchestrator_nb.commands.notebooks.kernel_way import switch_mistake
from orchestrator_nb.commands.notebooks.output import OutputNotebook
from orchestrator_nb.commands.notebooks.parameters import CONVENTION, NotebookParameter
from orchestrator_nb.commands.notebooks.watch import Limits
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.errors import DefinitionError, Mistake, UsageError
from orchestrator_nb.events import ModulesImported
from orchestrator_nb.kernels.imported import read_imported
from orchestrator_nb.ports import Attempt, Command, Work

START_TIMEOUT = 120.0
"""Seconds a kernel may take to answer for the first time, where the definition says nothing else."""

_PACKAGE = "orchestrator_nb"
_IMPORTS = re.compile(rf"^(?:from|import) {_PACKAGE}\b", re.MULTILINE)
"""An import that the notebook cannot do without: one inside of a try or a function is its own business."""


class NotebookCommand(Command):
    """The type of command `notebook`.

    Parameters go into the cell after the one tagged `parameters`: those of the definition, and those of the workflow
    that have the name of one that the cell declares. Results of upstream commands are read with ``context.upstream``
    or passed by a reference; a declared name that is an upstream command makes it one, and stays as it is. The result
    is None: what a notebook has to say it records.
    """

    name = "notebook"

    def check(
        self,
        command: CommandDefinition,
        *,
        folder: Path,
        upstream: Mapping[str, str],  # noqa: ARG002  # part of the contract
        parameters: Collection[str] | None = None,  # noqa: ARG002  # part of the contract
    ) -> list[Mistake]:
        """Return every mistake: in the notebook's form, its kernel, its directory and its parameters."""
        notebook = notebook_file.read(_path(command, folder))
        if notebook.mistakes:
            return list(notebook.mistakes)
        mistakes = [wrong] if (wrong := switch_mistake()) is not None else []
        cwd = _cwd(command, folder, notebook)
        if not cwd.is_dir():
            message = f'there is no directory "{cwd}" for the notebook to run in'
            mistakes.append(Mistake(message, "/cwd", expected="a directory that exists before the run"))
        choice = notebook_kernel.choose(notebook, command.kernel)
        if choice.kernel is None:
            return mistakes + ([choice.mistake] if choice.mistake else [])
        language = _language(notebook, choice.kernel)
        given = command.parameters
        refused = notebook_parameters.check_language(choice.kernel.name, language) if given else None
        if refused is not None:
            return [*mistakes, refused]
        declared = _declared(notebook, choice.kernel, language)
        mistakes += notebook_parameters.check_names(given, declared)
        if _IMPORTS.search(notebook.source):
            line = notebook_kernel.kernel_can_import(choice.kernel.name)
            if line is not None:
                text = f'the notebook "{notebook.path.name}" imports {_PACKAGE}, which its kernel lacks'
                mistakes.append(Mistake(text, "/notebook", found=f'the kernel "{choice.kernel.name}"', expected=line))
        return mistakes + notebook_parameters.check_values(given, declared)

    def notes(self, command: CommandDefinition, *, folder: Path) -> list[str]:
        """Return what there is to say before a run that is no mistake."""
        notebook = notebook_file.read(_path(command, folder))
        if notebook.mistakes:
            return []
        lead = f'the notebook "{notebook.path.name}"'
        notes = []
        choice = notebook_kernel.choose(notebook, command.kernel)
        if choice.note is not None:
            notes.append(choice.note)
        if not any(cell.runs for cell in notebook.cells):
            notes.append(f"{lead} has no code to run")
        notes += notebook_imports.preload_notes(command.kernels, choice.kernel)
        injected = any(INJECTED_TAG in cell.tags for cell in notebook.cells)
        if command.parameters and injected:
            notes.append(f'{lead} has a cell tagged "{INJECTED_TAG}" from an earlier run: it is replaced')
        elif command.parameters and notebook.parameters_cell is None:
            notes.append(f'{lead} has no cell tagged "parameters": its parameters are put at its top')
        return notes

    def parameter_type(self, command: CommandDefinition, name: str, *, folder: Path) -> Any:
        """Return what the parameters cell says of the type, as a text."""
        declared = _declared_in(command, folder).get(name)
        return " | ".join(declared.types) if declared is not None and declared.types else None

    def runs_apart(self, command: CommandDefinition) -> bool:  # noqa: ARG002 - the contract
        """Return True: a kernel is a process."""
        return True

    def wants(self, command: CommandDefinition, *, folder: Path) -> tuple[str, ...]:
        """Return the names that the parameters cell declares and that the definition does not give."""
        declared = _declared_in(command, folder)
        return tuple(name for name in declared if name not in command.parameters and name not in CONVENTION)

    def source(self, command: CommandDefinition, *, folder: Path) -> str:
        """Return the code of the notebook: outputs, text and counters make no difference to what runs."""
        return notebook_file.read(_path(command, folder)).source

    def code(self, command: CommandDefinition, *, folder: Path) -> str:
        """Return the code of the notebook without comments and layout, and that of the modules beside it that it
        imports. Raises UsageError where it cannot be read."""
        notebook = notebook_file.read(_path(command, folder))
        if notebook.mistakes:
            raise UsageError(str(notebook.mistakes[0]))
        cells = [cell.source for cell in notebook.cells if cell.kind == "code"]
        if notebook.language not in (None, "python"):
            return plain_text("\n".join(cells))
        places = (_cwd(command, folder, notebook), folder)
        imported = imported_code(cells, folders=places)
        return "\n".join([normalised_cells(cells), *(imported[path] for path in sorted(imported))])

    def prepare(self, work: Work) -> bool:
        """Start the kernel of an attempt that is to come, where that can be of use; return False where it never is.
        Raises whatever hinders it."""
        notebook = _to_run(work)
        kernel = None if notebook.mistakes else notebook_kernel.choose(notebook, work.definition.kernel).kernel
        if kernel is None:
            return False
        original = Notebook(path=_path(work.definition, work.folder))
        return notebook_start.prepare(work, kernel, _cwd(work.definition, work.folder, original))

    def run(self, attempt: Attempt) -> None:
        """Run the notebook; what it records is told on the way. Raises CommandError, Cancelled and DefinitionError."""
        work = attempt.work
        command = work.definition
        original = _path(command, work.folder)
        notebook = _to_run(work)
        if notebook.mistakes:
            raise DefinitionError(notebook.mistakes)
        choice = notebook_kernel.choose(notebook, command.kernel)
        if choice.kernel is None:
            raise DefinitionError([choice.mistake] if choice.mistake else [])
        language = _language(notebook, choice.kernel)
        declared = _declared(notebook, choice.kernel, language)
        parameters = _given(attempt, declared)
        cwd = _cwd(command, work.folder, Notebook(path=original))
        process = notebook_start.process_of(attempt, notebook, choice.kernel, cwd)
        try:
            execution = NotebookExecution(
                attempt,
                notebook_file.load(notebook.path),
                kernel=choice.kernel,
                language=language,
                parameters=parameters,
                output=OutputNotebook(work.run_folder, work.command, source=original),
                cwd=cwd,
                told=process.folder / TOLD,
                limits=_limits(work),
            )
            write_data(process.folder, work)
            process.hear(execution.heard, execution.heard_text)
            attempt.on_end(process.end, timed=False)
            execution.run(process)
            modules = notebook_imports.fitting(choice.kernel, read_imported(process.folder))
            if modules:
                attempt.report(
                    ModulesImported(at=time.time(), command=work.command, attempt=work.attempt, modules=modules)
                )
        finally:
            process.close()


def _to_run(work: Work) -> Notebook:
    """Return the notebook as it was when the run was started, or as it is where the run has kept none."""
    frozen = work.run_folder / notebook_imports.SOURCES / f"{work.command}.ipynb"
    return notebook_file.read(frozen if frozen.exists() else _path(work.definition, work.folder))


def _path(command: CommandDefinition, folder: Path) -> Path:
    return folder / str(command.notebook)


def _cwd(command: CommandDefinition, folder: Path, notebook: Notebook) -> Path:
    return (folder / command.cwd if command.cwd else notebook.path.parent).absolute()


def _limits(work: Work) -> Limits:
    command = work.definition
    return Limits(
        start=command.start_timeout or START_TIMEOUT,
        total=work.timeout,
        cell=command.cell_timeout,
        idle=command.idle_timeout,
    )


def _language(notebook: Notebook, kernel: notebook_kernel.Kernel) -> str:
    return kernel.language or notebook.language or "python"


def _declared(notebook: Notebook, kernel: notebook_kernel.Kernel, language: str) -> dict[str, NotebookParameter] | None:
    return notebook_parameters.inspect(notebook.parameters_cell, kernel=kernel.name, language=language)


def _declared_in(command: CommandDefinition, folder: Path) -> dict[str, NotebookParameter]:
    """Return what the parameters cell of a command's notebook declares; nothing where that cannot be known."""
    notebook = notebook_file.read(_path(command, folder))
    if notebook.mistakes or notebook.parameters_cell is None:
        return {}
    kernel = notebook_kernel.choose(notebook, command.kernel).kernel
    return _declared(notebook, kernel, _language(notebook, kernel)) or {} if kernel is not None else {}


def _given(attempt: Attempt, declared: Mapping[str, NotebookParameter] | None) -> dict[str, Any]:
    """Return the parameters to inject, references resolved. Raises DefinitionError where one does not fit."""
    work = attempt.work
    given = resolve(attempt)
    for name in declared or ():
        if name not in given and name in work.parameters and name not in CONVENTION:
            given[name] = work.parameters[name]
    mistakes = notebook_parameters.check_values(given, declared)
    if mistakes:
        raise DefinitionError(mistakes)
    return given
