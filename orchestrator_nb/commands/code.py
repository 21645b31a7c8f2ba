"""What of a program's text makes a difference to what it does: comments, blank lines and layout do not."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_MAGIC = r"(?m)^([ \t]*)([%!?].*)$"
_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
"""Fields of the tree that say nothing about what the code does, or are not the same in every version of Python."""
_BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python raises for a text that it cannot read."""


def normalised(text: str) -> str:
    """Return Python code in a form that is equal for texts which do the same: the tree of its syntax.

    The same in every version of Python that reads the text alike. Text that is no Python comes back without blank
    lines and blanks at the ends of lines.
    """
    tree = parsed(text)
    if tree is None:
        return plain_text(text)
    return tree_text(tree) if tree.body else ""


def parsed(text: str) -> ast.Module | None:
    """Return the syntax tree of Python code, indented or not; None for a text that is none."""
    try:
        return ast.parse(textwrap.dedent(text))
    except _BROKEN:
        return None


def normalised_cells(cells: Iterable[str]) -> str:
    """Return the code cells of a notebook as `normalised` does; lines for IPython alone count as they are written."""
    parts = [plain_text(cell) if _is_magic(cell) else normalised(without_magic(cell)) for cell in cells]
    return "\n".join(part for part in parts if part)


def _is_magic(cell: str) -> bool:
    return cell.lstrip().startswith("%%")


def without_magic(cell: str) -> str:
    """Return a piece of code with the lines that are for IPython alone as calls, so that the rest is Python."""
    return re.sub(_MAGIC, lambda line: f"{line[1]}__ipython__({line[2]!r})", cell)


def plain_text(text: str) -> str:
    """Return a text of any language without blank lines and blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def imported_code(texts: Iterable[str], *, folders: Iterable[Path]) -> dict[str, str]:
    """Return, by path, the code of the modules in these folders that Python code imports, directly or by one another.

    Modules that are in none of the folders are installed ones and are left out.
    """
    places = list(dict.fromkeys(folders))
    waiting = [name for text in texts for name in _imports(without_magic(text))]
    found: dict[str, str] = {}
    while waiting:
        way = waiting.pop().split(".")
        for place in places:
            for end in range(len(way), 0, -1):
                stem = place.joinpath(*way[:end])
                for path in (stem.with_suffix(".py"), stem / "__init__.py"):
                    if str(path) not in found and path.is_file():
                        text = path.read_text(encoding="utf-8", errors="replace")
                        found[str(path)] = normalised(text)
                        waiting.extend(_imports(text))
    return found


def _imports(text: str) -> Iterator[str]:
    """Yield the names of the modules that a piece of code imports."""
    tree = parsed(text)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{item.name}" for item in node.names)


def tree_text(node: ast.AST) -> str:
    """Return the tree of a piece of code as text, without what says where it stood and without what is empty."""
    parts: list[str] = []
    # A stack of its own: an expression may be nested deeper than functions may call one another.
    stack: list[Any] = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
        elif isinstance(item, ast.Constant):
            parts.append(f"{type(item.value).__name__} {item.value!r}")
        elif isinstance(item, ast.AST):
            parts.append(f"{type(item).__name__}(")
            fields = [(name, getattr(item, name, None)) for name in item._fields if name not in _IGNORED]
            said: list[Any] = [")"]
            for name, value in reversed(fields):
                if value is not None and value != []:
                    said += [" ", value if isinstance(value, (ast.AST, list)) else repr(value), f"{name}="]
            stack.extend(said)
        elif isinstance(item, list):
            parts.append("[")
            stack.append("]")
            for value in reversed(item):
                stack += [" ", value if isinstance(value, ast.AST) else repr(value)]
        else:
            parts.append(repr(item))
    return "".join(parts)
