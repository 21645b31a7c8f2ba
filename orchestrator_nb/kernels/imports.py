"""What code imports, found by reading it: Python with IPython's magics, and the modules beside it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

LARGEST = 2**20
"""Bytes above which a module is not read."""

MOST = 200
"""How many modules of a project are read at most."""

_MAGIC = re.compile(r"^(\s*)[%!?].*$", re.MULTILINE)
_CELL_MAGIC = re.compile(r"^\s*%%(\w+).*$", re.MULTILINE)
_PYTHON_MAGICS = frozenset({"capture", "prun", "time", "timeit"})
_IMPORT = re.compile(r"^(?:import|from) .+$", re.MULTILINE)


def imported(cells: Iterable[str], places: Sequence[Path] = ()) -> tuple[str, ...]:
    """Return the dotted names that the code of these cells imports when it is run, sorted.

    Modules of the project, found as files in `places`, are read on, for what they import in turn. What is imported
    inside of functions counts as not imported, and code that is no Python is passed over.
    """
    names: set[str] = set()
    waiting = [name for cell in cells for name in _names(_without_magics(cell))]
    read: set[Path] = set()
    while waiting:
        name = waiting.pop()
        if name in names:
            continue
        names.add(name)
        for path in _files(name, places):
            if path not in read and len(read) < MOST:
                read.add(path)
                waiting.extend(_names(_text(path)))
    return tuple(sorted(names))


def _names(code: str) -> Iterator[str]:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        for line in _IMPORT.findall(code):  # syntax of IPython's own, or of a newer Python: its plain lines will do
            try:
                yield from _statements(ast.parse(line).body)
            except (SyntaxError, ValueError):
                continue
        return
    yield from _statements(tree.body)


def _statements(body: Iterable[ast.AST]) -> Iterator[str]:
    """Yield what these statements import, those inside of others included, those of functions not."""
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.module is not None and node.level == 0:
                yield node.module
                for alias in node.names:  # which may be a module as well
                    yield f"{node.module}.{alias.name}"
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While, ast.ExceptHandler)):
            yield from _statements(ast.iter_child_nodes(node))


def _without_magics(cell: str) -> str:
    magic = _CELL_MAGIC.match(cell)
    if magic is not None:
        if magic[1] not in _PYTHON_MAGICS:
            return ""
        cell = cell[magic.end() :]
    return _MAGIC.sub(r"\1pass", cell)


def _files(name: str, places: Sequence[Path]) -> Iterator[Path]:
    """Yield the files of a module in these directories: its own, and those of the packages that it is in."""
    parts = name.split(".")
    for place in places:
        for length in range(1, len(parts) + 1):
            path = place.joinpath(*parts[:length])
            for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
                if file.is_file():
                    yield file


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size <= LARGEST else ""
    except OSError:
        return ""
