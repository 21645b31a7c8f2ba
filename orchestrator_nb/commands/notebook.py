"""The command that runs a notebook: in a kernel of its own, in the notebook's own folder, through papermill."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.commands import kernel_sink, notebook_file, notebook_imports, notebook_kernel, notebook_parameters
from orchestrator_nb.commands.arguments import resolve, resolved
from orchestrator_nb.commands.code import imported_code, normalised_cells, plain_text
from orchestrator_nb.commands.kernel_process import KernelProcess, KernelStart
from orchestrator_nb.commands.notebook_execution import NotebookExecution
from orchestrator_nb.commands.notebook_file import INJECTED_TAG, Notebook
from orchestrator_nb.commands.notebook_output import OutputNotebook
from orchestrator_nb.commands.notebook_parameters import CONVENTION, NotebookParameter
from orchestrator_nb.commands.notebook_watch import Limits
from orchestrator_nb.commands.processes import MARK, marks
from orchestrator_nb.context import VARIABLE as SINK
from orchestrator_nb.data.secret_values import environment_with
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.references import secrets_in
from orchestrator_nb.errors import DefinitionError, Mistake, UsageError
from orchestrator_nb.event_json import stored_to_plain
from orchestrator_nb.events import KernelStarted, Stored
from orchestrator_nb.ports import Attempt, Command, Work

ARTIFACTS = "artifacts"
"""Where a run keeps its artifacts, relative to its folder."""

START_TIMEOUT = 120.0
"""Seconds a kernel may take to answer for the first time, where the definition says nothing else."""

TOLD = "told.jsonl"
"""The file to which a kernel appends what it tells, in the private folder of the kernel."""

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
        mistakes = []
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

    def run(self, attempt: Attempt) -> None:
        """Run the notebook; what it records is told on the way. Raises CommandError, Cancelled and DefinitionError."""
        work = attempt.work
        command = work.definition
        original = _path(command, work.folder)
        frozen = work.run_folder / notebook_imports.SOURCES / f"{work.command}.ipynb"
        notebook = notebook_file.read(frozen if frozen.exists() else original)
        if notebook.mistakes:
            raise DefinitionError(notebook.mistakes)
        choice = notebook_kernel.choose(notebook, command.kernel)
        if choice.kernel is None:
            raise DefinitionError([choice.mistake] if choice.mistake else [])
        language = _language(notebook, choice.kernel)
        declared = _declared(notebook, choice.kernel, language)
        parameters = _given(attempt, declared)
        process = KernelProcess(mark=marks(work.run_folder, work.command, work.attempt)[MARK])
        process.plain_reason = notebook_imports.why_plain(choice.kernel)
        process.preload = notebook_imports.preload(work, notebook, _cwd(command, work.folder, Notebook(path=original)))
        process.on_start = lambda start: attempt.report(_started(work, start))
        try:
            execution = NotebookExecution(
                attempt,
                notebook_file.load(notebook.path),
                kernel=choice.kernel,
                language=language,
                parameters=parameters,
                output=OutputNotebook(work.run_folder, work.command, source=original),
                cwd=_cwd(command, work.folder, Notebook(path=original)),
                told=process.folder / TOLD,
                limits=_limits(work),
            )
            data = _write_data(process.folder, work)
            process.environment = _environment(attempt, data)
            process.on_message, process.on_text = execution.heard, execution.heard_text
            attempt.on_end(process.end, timed=False)
            execution.run(process)
        finally:
            process.close()


def _started(work: Work, start: KernelStart) -> KernelStarted:
    return KernelStarted(
        at=time.time(),
        command=work.command,
        attempt=work.attempt,
        way=start.way,
        seconds=start.seconds,
        reason=start.reason,
    )


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


def _result(work: Work, command: str) -> Stored:
    """Return what an upstream command returned, or else all that it recorded, as other commands are given it."""
    result = work.inputs.get(command, Stored(form="json"))
    recorded = work.recorded.get(command)
    is_none = result.form == "json" and result.value is None and result.artifact is None
    return Stored(form="mapping", items=recorded) if recorded and is_none else result


def _environment(attempt: Attempt, data: Path) -> dict[str, str]:
    """Return the whole environment of the kernel: this process's, the command's own, and the marks of the attempt."""
    work = attempt.work
    own = resolved(attempt, dict(work.definition.environment), place="/environment")
    names = [name for name, _ in secrets_in(work.definition)]
    environment = {**environment_with(names), **{name: str(value) for name, value in own.items()}}
    paths = [str(work.folder.absolute()), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    environment.update(marks(work.run_folder, work.command, work.attempt))
    environment[SINK] = kernel_sink.NAMED
    environment[kernel_sink.VARIABLE] = str(data)
    # else each kernel of Python 3.11 and later begins with a warning about its debugger
    environment.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    return environment


def _write_data(folder: Path, work: Work) -> Path:
    """Write what the kernel may read of its run, into a file that only its user can read; return its path."""
    data = {
        "workflow_id": work.workflow,
        "run_id": work.run,
        "command": work.command,
        "attempt": work.attempt,
        "execution_phase": "executing",
        "args": work.definition.args,
        "agent": work.definition.agent,
        "scope": work.definition.scope,
        "parameters": dict(work.parameters),
        "shared": dict(work.shared),
        "merge": dict(work.merge),
        "shared_limit": work.shared_limit,
        "shares": work.definition.shares,
        "upstream": {name: stored_to_plain(_result(work, name)) for name in {**work.inputs, **work.recorded}},
        "recorded": {
            command: {name: stored_to_plain(stored) for name, stored in items.items()}
            for command, items in work.recorded.items()
        },
        "metrics": {command: dict(numbers) for command, numbers in work.metrics.items()},
        "changes": {command: dict(changes) for command, changes in work.changes.items()},
        "partial": {name: stored_to_plain(stored) for name, stored in work.partial.items()},
        "artifacts": str((work.run_folder / ARTIFACTS).absolute()),
        "told": str(folder / TOLD),
    }
    path = folder / "context.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(data, allow_nan=False))  # at once: piece by piece takes ten times as long
    return path
