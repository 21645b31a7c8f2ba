"""The output notebook of an attempt: saved while it runs, put right at its end, and renamed when it is whole."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator_nb.data.disk import once_there_is_room, write_error
from orchestrator_nb.data.flush import flush_file, flush_folder

FOLDER = "notebooks"
SAVING_SHARE = 0.05
"""The most of the time of a run that may go into saving what is there so far."""

PENDING, RUNNING, COMPLETED, FAILED = "pending", "running", "completed", "failed"


def relative_path(command: str) -> str:
    """Return where the output notebook of a command is, relative to the run's folder."""
    return f"{FOLDER}/{command}.ipynb"


class OutputNotebook:
    """The notebook in memory as papermill runs it, and its file.

    While it runs the file is ``<command>.partial.ipynb``; `finish` leaves ``<command>.ipynb``. What papermill itself
    notes about cells is wrong after a timeout, an interrupt or a dead kernel: `finish` overwrites it with what was
    seen to happen, told by `visited` and `ended`.
    """

    def __init__(self, run_folder: Path, command: str, *, source: Path) -> None:
        self.node: Any = None
        self._final = run_folder / relative_path(command)
        self._partial = self._final.with_name(f"{command}.partial.ipynb")
        self._source = source
        self._cells: list[Any] = []
        self._states: dict[int, str] = {}
        self._next_save = 0.0

    def begin(self, node: Any) -> None:
        """Take the notebook that is about to run, its injected cell included, and save it for the first time."""
        self.node = node
        self._cells = list(node.cells)
        # papermill was handed the notebook itself and not its path, which it would take for a format string or a URL
        node.metadata.papermill["input_path"] = str(self._source)
        node.metadata.papermill["output_path"] = str(self._final)
        self._final.parent.mkdir(parents=True, exist_ok=True)
        self.save()

    def visited(self, cell: int) -> None:
        """Note that the cell's turn has come."""
        self._states[cell] = RUNNING

    def ended(self, cell: int, state: str) -> None:
        """Note how the cell ended: completed or failed."""
        self._states[cell] = state

    def save_if_due(self) -> None:
        """Save, unless that would take more than its share of the time."""
        if self.node is not None and time.monotonic() >= self._next_save:
            self.save()

    def save(self) -> None:
        """Save what is there so far, whole or not at all; it need not survive a power cut, nor come to anything."""
        started = time.monotonic()
        with suppress(OSError):
            self._write(self._partial, durable=False)
        now = time.monotonic()
        self._next_save = now + max(1.0, (now - started) / SAVING_SHARE)

    def finish(self, *, failed: bool) -> bool:
        """Put the states of the cells right, save durably under the final name; False where there was no notebook.

        Raises StoreError; StoreFull after it has waited for room.
        """
        if self.node is None:
            return False
        for index, cell in enumerate(self._cells):
            self._put_right(index, cell, failed)
        self.node.metadata.papermill["exception"] = True if failed else None
        once_there_is_room(self._settle)
        return True

    def _settle(self) -> None:
        try:
            self._write(self._partial, durable=True)
            self._partial.replace(self._final)
            flush_folder(self._final.parent)
        except OSError as error:
            what = f'the output notebook "{self._final}" could not be written'
            raise write_error(what, self._final.parent, error) from error

    def _put_right(self, index: int, cell: Any, failed: bool) -> None:
        state = self._states.get(index, PENDING)
        if state == RUNNING:  # no end was seen: text, or the cell in which it all ended
            runs = cell.cell_type == "code" and failed and index == max(self._states)
            state = FAILED if runs else COMPLETED
        noted = cell.metadata.papermill
        noted["status"] = state
        noted["exception"] = None if state == PENDING else state == FAILED
        if state == PENDING:
            noted["start_time"] = noted["end_time"] = noted["duration"] = None

    def _write(self, path: Path, *, durable: bool) -> None:
        import nbformat

        v4: Any = nbformat.v4
        text = str(v4.writes(self.node))
        draft = path.with_name(f".{path.name}.draft")
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text if text.endswith("\n") else text + "\n")
            file.flush()
            if durable:
                flush_file(file.fileno())
        draft.replace(path)
