"""A notebook's file, read as JSON and checked to be a notebook, and what its parameters cell and metadata declare."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator_nb.definition.document import decoded, file_bytes
from orchestrator_nb.definition.values import described
from orchestrator_nb.errors import DefinitionError, Mistake

LARGEST_NOTEBOOK = 200_000_000
"""The most bytes that a notebook may have."""

_UPGRADE = "nbformat 4; upgrade it with: jupyter nbconvert --to notebook --nbformat 4 --inplace"


def read_notebook(path: Path) -> dict[str, Any]:
    """Return a notebook of nbformat 4 as plain data, with a source of text in each cell.

    Raises DefinitionError when the file is not there or is no such notebook.
    """
    text = decoded(file_bytes(path, limit=LARGEST_NOTEBOOK, what="a notebook"), str(path))
    try:
        notebook = json.loads(text)
    except json.JSONDecodeError as error:
        found = "an empty file" if not text.strip() else None
        raise DefinitionError([
            Mistake(f"this is not a notebook: {error.msg.lower().partition(' starting at')[0]}", file=str(path),
                    line=error.lineno, column=error.colno, found=found, expected="JSON, as Jupyter writes it"),
        ]) from None  # fmt: skip
    except RecursionError:
        raise DefinitionError([Mistake("this is not a notebook: it is nested too deep", file=str(path))]) from None
    except ValueError as error:
        raise DefinitionError([Mistake(f"this is not a notebook: {error}", file=str(path))]) from None
    mistakes = list(_mistakes(notebook, path))
    if mistakes:
        raise DefinitionError(mistakes)
    for cell in notebook["cells"]:
        if isinstance(cell["source"], list):
            cell["source"] = "".join(cell["source"])
    return dict(notebook)


def parameters_cell(notebook: dict[str, Any]) -> tuple[int, str] | None:
    """Return place and source of the first code cell with the tag ``parameters``, or None."""
    for place, cell in enumerate(notebook["cells"]):
        tags = cell["metadata"].get("tags", ()) if isinstance(cell.get("metadata"), dict) else ()
        if cell["cell_type"] == "code" and isinstance(tags, list) and "parameters" in tags:
            return place, cell["source"]
    return None


def language(notebook: dict[str, Any]) -> str:
    """Return the language of a notebook's kernel in lower case, python where it does not say."""
    metadata = notebook.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    for section, key in (("kernelspec", "language"), ("language_info", "name")):
        found = metadata.get(section)
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return str(found[key]).lower()
    return "python"


def assignments(source: str) -> dict[str, tuple[int, ast.expr]] | None:
    """Return the names that a cell's source assigns at its top level, each with its line and its last expression.

    Lines with a magic or a shell escape are passed over; None when the rest is not Python.
    """
    lines = ["pass" if re.match(r"[%!]", line) else line for line in source.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found: dict[str, tuple[int, ast.expr]] = {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                found[target.id] = node.lineno, value
    return found


def _mistakes(notebook: Any, path: Path) -> Iterator[Mistake]:
    file = str(path)
    if not isinstance(notebook, dict):
        yield Mistake("this is not a notebook", file=file, found=described(notebook), expected="a mapping with cells")
        return
    version = notebook.get("nbformat")
    if type(version) is not int or version < 1:
        found = described(version) if "nbformat" in notebook else "no version"
        yield Mistake("this is not a notebook", "/nbformat", file=file, found=found, expected="nbformat 4")
    elif version != 4:
        yield Mistake("this notebook's format cannot be run", "/nbformat", file=file, found=f"nbformat {version}",
                      expected=f"{_UPGRADE} {path.name}" if version < 4 else "nbformat 4")  # fmt: skip
    elif not isinstance(notebook.get("cells"), list):
        yield Mistake("this is not a notebook", "/cells", file=file, found=described(notebook.get("cells")),
                      expected="a list of cells")  # fmt: skip
    else:
        for place, cell in enumerate(notebook["cells"]):
            yield from _of_cell(cell, f"/cells/{place}", file)


def _of_cell(cell: Any, pointer: str, file: str) -> Iterator[Mistake]:
    if not isinstance(cell, dict):
        yield Mistake("a cell is not a mapping", pointer, file=file, found=described(cell))
        return
    source = cell.get("source")
    if cell.get("cell_type") not in ("code", "markdown", "raw"):
        yield Mistake("a cell has no type that we know", f"{pointer}/cell_type", file=file,
                      found=described(cell.get("cell_type")), expected="code, markdown or raw")  # fmt: skip
    lines = source if isinstance(source, list) else [source]
    if not all(isinstance(line, str) for line in lines):
        yield Mistake("a cell has no source", f"{pointer}/source", file=file, found=described(source),
                      expected="text, or a list of lines")  # fmt: skip
