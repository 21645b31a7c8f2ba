"""The output notebook of an attempt: saved while it runs, put right at its end, and renamed when it is whole."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.notebooks.saving import NotebookSaves
from orchestrator_nb.data.disk import once_there_is_room, write_error
from orchestrator_nb.data.flush import flush_folder

FOLDER = "notebooks"

PENDING, RUNNING, COMPLETED, FAILED = "pending", "running", "completed", "failed"


def relative_path(command: str) -> str:
    """Return where the output notebook of a command is, relative to the run's folder."""
    return f"{FOLDER}/{command}.ipynb"


class OutputNotebook(NotebookSaves):
    """The notebook in memory as papermill runs it, and its file.

    `source` is the path of the notebook that runs. While it runs the file is ``<command>.partial.ipynb``; `finish` leaves ``<command>.ipynb``. papermill knows of a
    cell only whether it raised; `finish` notes what was seen to happen, told by `ended`.
    """

    def __init__(self, run_folder: Path, command: str, *, source: Path) -> None:
        final = run_folder / relative_path(command)
        super().__init__(final.with_name(f"{command}.partial.ipynb"))
        self._final = final
        self.source = source
        self._cells: list[Any] = []
        self._states: dict[int, str] = {}

    def begin(self, node: Any) -> None:
        """Take the notebook that is about to run, its injected cell included, and save it for the first time."""
        self._cells = list(node.cells)
        # papermill was handed the notebook itself and not its path, which it would take for a format string or a URL
        node.metadata.papermill["input_path"] = str(self.source)
        node.metadata.papermill["output_path"] = str(self._final)
        self._final.parent.mkdir(parents=True, exist_ok=True)
        super().begin(node)

    def ended(self, cell: int, state: str) -> None:
        """Note how the cell ended: completed or failed."""
        self._states[cell] = state

    def save(self, *, durable: bool = False) -> None:
        """Save what is there so far, whole or not at all; one that need not be durable need not come to anything."""
        with nullcontext() if durable else suppress(OSError):
            super().save(durable=durable)

    def finish(self, *, failed: bool) -> bool:
        """Put the states of the cells right, save durably under the final name; False where there was no notebook.

        Raises StoreError; StoreFull after it has waited for room.
        """
        if self.node is None:
            return False
        for index, state in self._states.items():
            noted = self._cells[index].metadata.papermill
            if (noted["status"], noted["exception"]) != (state, state == FAILED):
                noted["status"], noted["exception"] = state, state == FAILED
                self.changed(self._cells[index])
        self.node.metadata.papermill["exception"] = True if failed else None
        once_there_is_room(self._settle)
        return True

    def _settle(self) -> None:
        assert self.path is not None
        try:
            self.save(durable=True)
            self.path.replace(self._final)
            flush_folder(self._final.parent)
        except OSError as error:
            what = f'the output notebook "{self._final}" could not be written'
            raise write_error(what, self._final.parent, error) from error
