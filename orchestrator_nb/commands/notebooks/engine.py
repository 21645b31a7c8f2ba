"""Our engine for papermill: private kernels, true states of cells, and saves that are whole and cost little.

``papermill --engine orchestrator_nb in.ipynb out.ipynb`` uses it, and so does the command that runs a notebook.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import lru_cache
from keyword import iskeyword
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.notebooks import imports as notebook_imports
from orchestrator_nb.commands.notebooks.client import client_class
from orchestrator_nb.commands.notebooks.file import INJECTED_TAG, PARAMETERS_TAG
from orchestrator_nb.commands.notebooks.kernel_process import KernelProcess
from orchestrator_nb.commands.notebooks.saving import NotebookSaves, may_be_replaced
from orchestrator_nb.commands.notebooks.watch import Limits, Watch
from orchestrator_nb.commands.processes import MARK, marks
from orchestrator_nb.definition.parameters import name_mistakes
from orchestrator_nb.errors import DefinitionError

NAME = "orchestrator_nb"
"""The name by which papermill knows the engine."""

LATE_OUTPUT_TIMEOUT = 60
"""Seconds to wait for the rest of a cell's output after its reply."""

log = logging.getLogger("papermill")
_importing = threading.Lock()


def import_papermill() -> Any:
    """Import papermill with our engine in it, in one thread at a time: its modules import each other in circles."""
    with _importing:
        import papermill
        from papermill.engines import papermill_engines

        if NAME not in papermill_engines._engines:  # it reads entry points: of installed packages, not of a checkout
            papermill_engines.register(NAME, Engine)
    if not log.handlers:  # without one, its warnings would go to the terminal
        log.addHandler(logging.NullHandler())
    return papermill


def prepared(node: Any, parameters: Mapping[str, Any], *, kernel: str, language: str) -> Any:
    """Return a notebook, in the newest minor version of format 4, with its parameters in, ready for an engine."""
    import papermill.execute

    if "papermill" not in node.metadata:
        nothing: dict[str, Any] = {"default_parameters": {}, "parameters": {}, "environment_variables": {}}
        node.metadata["papermill"] = {**nothing, "version": papermill.__version__}
    for cell in node.cells:
        for key, value in (("tags", []), ("papermill", {})):
            if key not in cell.metadata:
                cell.metadata[key] = value
    if parameters:
        _inject(node, dict(parameters), kernel=kernel, language=language)
    node = papermill.execute.prepare_notebook_metadata(node, None, None)
    return papermill.execute.remove_error_markers(node)


def _inject(node: Any, parameters: dict[str, Any], *, kernel: str, language: str) -> None:
    """Put a cell with the parameters where papermill puts it, who would check the whole notebook for that, too."""
    import nbformat
    from papermill.parameterize import translate_parameters
    from papermill.utils import find_first_tagged_cell_index

    node_type: Any = nbformat.NotebookNode  # it is untyped
    cell = node_type(
        id=uuid.uuid4().hex[:8],
        cell_type="code",
        metadata=node_type(tags=[INJECTED_TAG]),
        execution_count=None,
        source=translate_parameters(kernel, language, parameters, "Parameters"),
        outputs=[],
    )
    injected = find_first_tagged_cell_index(node, INJECTED_TAG)
    declared = find_first_tagged_cell_index(node, PARAMETERS_TAG)
    if injected >= 0:
        node.cells[injected] = cell
    else:
        node.cells.insert(declared + 1, cell)  # at the top where none is tagged, which was noted before the run
    node.metadata.papermill["parameters"] = parameters


class Engine:
    """What papermill asks of an engine."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict[str, Any] = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        *,
        process: KernelProcess | None = None,
        saves: NotebookSaves | None = None,
        **options: Any,
    ) -> Any:
        """Run a notebook that papermill has prepared and return it.

        The options are those of papermill and nbclient; besides those, `env` adds to the kernel's environment. A
        `process` and `saves` are the caller's to close and to finish. Raises DefinitionError where the name of a
        parameter is no name of a variable, else what papermill's own engine raises.
        """
        _check_names(nb)
        with ExitStack() as closing:
            if process is None and not {"km", "kernel_manager_class"} & options.keys():
                process = _own_process(options.pop("env", None), closing)
            manager = _manager_class()(
                nb,
                _saves(output_path) if saves is None else saves,
                output_path=output_path,
                progress_bar=progress_bar,
                log_output=log_output,
                autosave_cell_every=autosave_cell_every,
            )
            manager.notebook_start()
            try:
                _run(manager, process, kernel_name=kernel_name, log_output=log_output, **options)
            finally:
                manager.notebook_complete(save=saves is None)
        return manager.nb

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """Return the kernel's name: the one given, else the notebook's."""
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """Return the notebook's language, or the one given."""
        from papermill.utils import nb_language

        return str(nb_language(nb, language))


def _run(
    manager: Any,
    process: KernelProcess | None,
    *,
    start_timeout: float = 60,
    execution_timeout: float | None = None,
    input_path: Any = None,  # noqa: ARG001 - papermill hands it on; the notebook has been read
    startup_timeout: float | None = None,  # noqa: ARG001 - papermill's word for it goes before nbclient's
    timeout: float | None = None,
    stdout_file: Any = None,
    stderr_file: Any = None,
    **options: Any,
) -> None:
    options.setdefault("iopub_timeout", LATE_OUTPUT_TIMEOUT)
    client = client_class()(
        manager,
        process,
        timeout=execution_timeout or timeout,
        startup_timeout=start_timeout,
        stdout_file=stdout_file,
        stderr_file=stderr_file,
        log=log,
        **options,
    )
    client.execute()


def _check_names(nb: Any) -> None:
    """Refuse what would become code in a Python kernel before any of it runs; papermill has only written it so far."""
    papermill = nb.metadata.get("papermill", {})
    known = (nb.metadata.get("kernelspec", {}).get("language"), nb.metadata.get("language_info", {}).get("name"))
    if next(filter(None, known), "python") == "python":
        names = papermill.get("parameters", {})
        wrong = [name for name in names if not str(name).isidentifier() or iskeyword(str(name))]
        if wrong:
            raise DefinitionError(list(name_mistakes(wrong, "/parameters")))


def _own_process(env: Mapping[str, str] | None, closing: ExitStack) -> KernelProcess:
    """Return the kernel of a notebook that papermill was asked to run; closed at the end, watched over until then."""
    carried = marks(Path(f"papermill-{uuid.uuid4().hex}"), "notebook", 1)
    process = KernelProcess(mark=carried[MARK])
    closing.callback(process.close)
    process.environment = {**os.environ, **(env or {}), **carried}
    # only what is named: for one notebook nothing is gained by it, and others may import other things
    process.preload = notebook_imports.named() or ()
    process.on_text = _to_stderr
    watch = Watch(process, Limits(), notice=log.warning)
    watch.start()
    closing.callback(watch.close)
    return process


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)


def _saves(output_path: str | None) -> NotebookSaves:
    """Return the file of the output, written as papermill would where its place is no file that can be replaced."""
    from papermill.iorw import LocalHandler, papermill_io, write_ipynb

    if not output_path:
        return NotebookSaves(None)
    handler = papermill_io.get_handler(output_path)
    # papermill may have changed the directory of the process; what it was given is relative to the one before
    path = Path(os.path.realpath(Path(getattr(handler, "_cwd", None) or ".") / output_path))
    if isinstance(handler, LocalHandler) and may_be_replaced(path):
        return NotebookSaves(path)
    return NotebookSaves(None, write=lambda node: write_ipynb(node, output_path))


@lru_cache(maxsize=1)
def _manager_class() -> type[Any]:
    """Return our class of what papermill calls the manager of an execution: it notes the states of cells."""
    from papermill.engines import NotebookExecutionManager

    class Manager(NotebookExecutionManager):  # type: ignore[misc]  # papermill is untyped
        def __init__(self, nb: Any, saves: NotebookSaves, **options: Any) -> None:
            super().__init__(nb, **options)
            self._saves = saves
            self.changed: Callable[[Any], None] = saves.changed

        def notebook_start(self, **options: Any) -> None:
            super().notebook_start(**options)
            self._saves.begin(self.nb)

        def save(self, **options: Any) -> None:  # noqa: ARG002 - papermill's; it may hand the notebook over again
            self._saves.save_if_due()

        def autosave_cell(self) -> None:
            if self.autosave_cell_every:
                self._saves.save_if_due()

        def cell_start(self, cell: Any, cell_index: int | None = None, **options: Any) -> None:
            self.changed(cell)
            super().cell_start(cell, cell_index, **options)

        def cell_complete(self, cell: Any, cell_index: int | None = None, **options: Any) -> None:
            self.changed(cell)
            noted = cell.metadata.papermill
            if self.log_output or not noted.get("start_time"):
                super().cell_complete(cell, cell_index, **options)
                return
            end = self.now()
            noted["end_time"] = end.isoformat()
            noted["duration"] = (end - datetime.fromisoformat(noted["start_time"])).total_seconds()
            if noted["status"] != self.FAILED:
                noted["status"] = self.COMPLETED
            self.save()
            if self.pbar:
                self.pbar.update(1)

        def notebook_complete(self, *, save: bool = True) -> None:
            """Note the end. Cells that were not reached stay pending."""
            self.end_time = self.now()
            noted = self.nb.metadata.papermill
            noted["end_time"] = self.end_time.isoformat()
            noted["duration"] = (self.end_time - self.start_time).total_seconds()
            self.complete_pbar()
            self.cleanup_pbar()
            if save:
                self._saves.save()

    return Manager
