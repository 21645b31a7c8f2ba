"""The file of a notebook that runs: saved whole or not at all, now and then, at a cost that stays in bounds."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orchestrator_nb.data.flush import flush_file
from orchestrator_nb.data.redaction import REDACTOR

SAVE_EVERY = 2.0
"""Seconds between two saves, where saving is quick."""

SAVING_SHARE = 0.05
"""The most of the time of a run that may go into saving what is there so far."""

_OPENING = '{\n "cells": [\n'
_NO_CELLS = '{\n "cells": []'


class NotebookSaves:
    """Saves a notebook to `path` as it changes; the texts of cells that did not change since are kept for it.

    Whoever changes a cell has to say so with `changed`. `write` is called with the notebook instead of writing to a
    path, for places that are no files.
    """

    def __init__(self, path: Path | None, *, write: Callable[[Any], None] | None = None) -> None:
        self.node: Any = None
        self.path = path
        self._write_elsewhere = write
        self._texts: dict[int, tuple[Any, str]] = {}
        self._is_saved = True
        self._next = 0.0

    def begin(self, node: Any) -> None:
        """Take the notebook that is about to run, its injected cell included, and save it for the first time."""
        self.node = node
        self._texts.clear()
        self.save()

    def changed(self, cell: Any = None) -> None:
        """Note that a cell, or with None only the notebook around the cells, is not as it was."""
        self._is_saved = False
        if cell is not None:
            self._texts.pop(id(cell), None)

    def save_if_due(self) -> None:
        """Save what has changed, unless that would be too often or take more than its share of the time."""
        if not self._is_saved and self.node is not None and time.monotonic() >= self._next:
            self.save()

    def save(self, *, durable: bool = False) -> None:
        """Save what is there so far, whole or not at all; only a durable save survives a power cut."""
        started = time.monotonic()
        if self._write_elsewhere is not None:
            self._write_elsewhere(self.node)
        elif self.path is not None:
            self._write(self.path, durable)
        now = time.monotonic()
        self._is_saved = True
        self._next = now + max(SAVE_EVERY, (now - started) / SAVING_SHARE)

    def _write(self, path: Path, durable: bool) -> None:
        draft = path.with_name(f".{path.name}.draft")
        # a lone surrogate, which a cell may print, becomes the escape by which JSON knows it
        with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(self._pieces())
            file.write("\n")
            file.flush()
            if durable:
                flush_file(file.fileno())
        draft.replace(path)

    def _pieces(self) -> Iterator[str]:
        """Yield the text that nbformat would write, cell by cell."""
        around = written(REDACTOR.value(_node({**self.node, "cells": []})))
        if not self.node.cells or not around.startswith(_NO_CELLS):
            yield written(REDACTOR.value(self.node))
            return
        yield _OPENING
        for number, cell in enumerate(self.node.cells):
            if number:
                yield ",\n"
            kept = self._texts.get(id(cell))
            if kept is None:
                kept = self._texts[id(cell)] = (cell, _text(cell))  # with the cell, so that its id stays its own
            yield kept[1]
        yield "\n ]" + around[len(_NO_CELLS) :]


def written(node: Any) -> str:
    """Return the text that nbformat writes for a notebook, in a fraction of the time: it indents by Python code."""
    import msgspec
    import nbformat
    from nbformat.v4 import rwbase

    form: Any = rwbase
    copied = _node({**node, "metadata": _node(node["metadata"]), "cells": list(map(_copied, node["cells"]))})
    plain = form.strip_transient(form.split_lines(copied))
    try:
        dense = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_ascii)
        return msgspec.json.format(dense.encode(), indent=1).decode()
    except (UnicodeEncodeError, msgspec.DecodeError):  # a lone surrogate or no number: what is not quite JSON
        v4: Any = nbformat.v4
        return str(v4.writes(node))


def _copied(cell: Any) -> Any:
    """Return a copy of a cell, as deep as nbformat changes it for the file."""
    made = _node({**cell, "metadata": _node(cell["metadata"])})
    if "attachments" in cell:
        made["attachments"] = _node({name: _node(bundle) for name, bundle in cell["attachments"].items()})
    if "outputs" in cell:
        made["outputs"] = [
            _node({**output, "data": _node(output["data"])}) if "data" in output else _node(output)
            for output in cell["outputs"]
        ]
    return made


def _ascii(value: Any) -> str:
    """Return bytes as the text that they are."""
    if isinstance(value, bytes):
        return value.decode("ascii")
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def may_be_replaced(path: Path) -> bool:
    """Whether another file may take the place of that path: not that of a device, a pipe or a folder."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return True


def _node(fields: dict[str, Any]) -> Any:
    import nbformat

    kind: Any = nbformat.NotebookNode
    return kind(fields)


def _text(cell: Any) -> str:
    """Return a cell as it stands in the list of cells of a written notebook."""
    around = {"metadata": _node({}), "nbformat": 4, "nbformat_minor": 5}
    text = written(_node({"cells": [REDACTOR.value(cell)], **around}))
    return text[len(_OPENING) : text.rindex('\n ],\n "metadata"')]
