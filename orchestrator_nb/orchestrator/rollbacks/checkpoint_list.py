"""The checkpoints of a run as people look at them: a table, a frame, one by its name, the difference of two."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from orchestrator_nb.checkpoints.differences import (
    CellDifference,
    FileDifference,
    TableDifference,
    compare,
    content_of,
    difference,
)
from orchestrator_nb.checkpoints.entries import tree_of
from orchestrator_nb.checkpoints.export import export_branch, export_files
from orchestrator_nb.checkpoints.record import Checkpoint, headline_of
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.drawing.columns import in_columns
from orchestrator_nb.drawing.glyphs import counted
from orchestrator_nb.errors import CheckpointError
from orchestrator_nb.orchestrator.display.shown import as_text

COLUMNS = ("number", "name", "of", "taken", "files", "left out", "commit", "note")


class Checkpoints(Sequence[Checkpoint]):
    """The checkpoints of a run, the first one first; one is found by its number, its name, its command or its commit.

    Prints as a table. `note` says why there are none, where that is known; `rollbacks` are the names by which rollbacks
    are undone.
    """

    def __init__(
        self,
        run: str,
        store: CheckpointStore | None,
        *,
        note: str = "",
        rollbacks: Mapping[str, str] | None = None,
    ) -> None:
        self.run = run
        self.note = note
        self._store = store
        self._rollbacks = rollbacks or {}
        self._found = () if store is None else store.checkpoints(run)

    @overload
    def __getitem__(self, place: int) -> Checkpoint: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Checkpoint]: ...
    @overload
    def __getitem__(self, place: str) -> Checkpoint: ...
    def __getitem__(self, place: int | slice | str) -> Checkpoint | Sequence[Checkpoint]:
        return self.find(place) if isinstance(place, str) else self._found[place]

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Checkpoint]:
        return iter(self._found)

    def find(self, name: str) -> Checkpoint:
        """Return a checkpoint by its number, name, command or the beginning of its commit. Raises CheckpointError."""
        return self._open().find(name, run=None if "/" in name else self.run)

    def files(self, name: str) -> tuple[str, ...]:
        """Return the paths in a checkpoint, relative to the project."""
        return tuple(tree_of(self._open().git, self.find(name).commit))

    def read(self, name: str, path: str) -> bytes:
        """Return the content of a file in a checkpoint. Raises CheckpointError."""
        return content_of(self._open(), self.find(name), path)

    def changes(self, name: str) -> tuple[FileDifference, ...]:
        """Return which files differ between a checkpoint and the one before it; all of them for the first."""
        found = self.find(name)
        before = [each for each in self._open().checkpoints(found.run) if each.number < found.number]
        if not before:
            return tuple(FileDifference(path, "added") for path in self.files(found.id))
        return difference(self._open(), before[-1], found)

    def diff(
        self, before: str, after: str, path: str | None = None
    ) -> tuple[FileDifference, ...] | tuple[CellDifference, ...] | TableDifference | tuple[str, ...]:
        """Return which files differ between two; with a `path` how that one does: a notebook by cells, a table by rows,
        text by lines. Raises CheckpointError."""
        earlier, later = self.find(before), self.find(after)
        if path is None:
            return difference(self._open(), earlier, later)
        return compare(self._open(), earlier, later, path)

    def export(self, name: str, *, folder: str | os.PathLike[str] | None = None, branch: str | None = None) -> str:
        """Write the files of a checkpoint into an empty folder, or make a new branch of it; return where it is."""
        found = self.find(name)
        if (folder is None) == (branch is None):
            raise CheckpointError("a checkpoint is exported into a folder (folder=) or as a branch (branch=)")
        if branch is not None:
            return export_branch(self._open(), found, branch)
        export_files(self._open(), found, Path(str(folder)))
        return str(folder)

    def frame(self) -> Any:
        """Return a table of pandas with a row a checkpoint: its facts, and its ``message``."""
        import pandas as pd

        return pd.DataFrame(
            [self.plain(each) for each in self._found],
            columns=["number", "id", "name", "boundary", "command", "taken", "files", "whole", "left_out", "position",
                     "commit", "message"],
        )  # fmt: skip

    def as_plain(self) -> list[dict[str, Any]]:
        """Return them as plain JSON."""
        return [self.plain(each) for each in self._found]

    @staticmethod
    def plain(each: Checkpoint) -> dict[str, Any]:
        """Return one as plain JSON."""
        return {
            "number": each.number, "id": each.id, "name": each.name, "boundary": each.kind, "command": each.subject,
            "taken": each.at, "files": each.files, "whole": each.whole, "left_out": dict(each.skipped),
            "position": each.position, "commit": each.commit, "message": headline_of(each),
        }  # fmt: skip

    def rows(self) -> list[dict[str, str]]:
        """Return a row of text a checkpoint, by COLUMNS."""
        return [
            {
                "number": str(each.number), "name": each.name, "of": each.kind, "files": str(each.files),
                "taken": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.at)),
                "left out": str(len(each.skipped) or ""), "commit": each.commit[:12], "note": self._note_on(each),
            }
            for each in self._found
        ]  # fmt: skip

    def _note_on(self, each: Checkpoint) -> str:
        """Return what its name does not say: the rollback that it is of, or why it was taken."""
        name = self._rollbacks.get(str(each.more.get("rollback", "")), "")
        if each.kind == "safety":
            return f"before {name}" if name else ""
        return f"{name}: {each.label}" if name else (each.label or "" if each.kind in ("left", "rollback") else "")

    def __repr__(self) -> str:
        if not self._found:
            return f"{self.run} has no checkpoints" + (f": {self.note}" if self.note else "")
        return as_text("\n".join(in_columns([COLUMNS, *([row[name] for name in COLUMNS] for row in self.rows())])))

    def _repr_html_(self) -> str:
        from orchestrator_nb.drawing.table import table_card

        return table_card(f"{counted(len(self), 'checkpoint')} of {self.run}", COLUMNS, self.rows())

    def _open(self) -> CheckpointStore:
        if self._store is None:
            raise CheckpointError(repr(self))
        return self._store
