"""The failure card: what went wrong and where, as plain text and as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from orchestrator_nb.drawing.card import href
from orchestrator_nb.events import Failure
from orchestrator_nb.orchestrator.display.shown import exception_name

SOURCE_LINES = 12
"""Lines of a cell that are shown: its first ones, or those around the one that raised."""

FIRST_LINES, LAST_LINES = 7, 10
"""Of a long traceback the first lines are shown, which lead from the user's code, and the last, which say what was raised."""

_BEGINNING = "Traceback (most recent call last)"


def card_lines(
    command: str, failure: Failure, notebook: Path | None, log: Path | None, *, cell: tuple[int, int] | None = None
) -> Iterator[str]:
    """Yield the lines of one card: command, cell, the cell's source, exception, the traceback shortened, files.

    `cell` is the number of the code cell, counted as the kernel counts them, and how many there are.
    """
    yield f'"{command}" failed{_where(failure, cell)} ({failure.kind})'
    yield from (f"    {line}" for line in _excerpt(failure))
    yield f"  {_said(failure)}"
    yield from (f"  {line}".rstrip() for line in _shortened(failure.traceback or "", said=_said(failure)))
    if failure.source is not None:
        yield f"  notebook: {failure.source}"
    if notebook is not None:
        yield f"  output notebook: {_link(notebook)}"
    if log is not None:
        yield f"  log: {_link(log)}"


def card_html(
    command: str, failure: Failure, notebook: Path | None, log: Path | None, *, cell: tuple[int, int] | None = None
) -> str:
    """Return the same as HTML: every text escaped, files as links, the traceback to be unfolded."""
    traceback = "\n".join(_shortened(failure.traceback or "", said=_said(failure)))
    source = "\n".join(_excerpt(failure))
    files = [] if failure.source is None else [("notebook", Path(failure.source))]
    files += [("output notebook", notebook)] if notebook is not None else []
    files += [("log", log)] if log is not None else []
    links = (f'{name}: <a href="{href(path)}">{escape(str(path))}</a>' for name, path in files)
    parts = (
        f"<p><b>{escape(command)}</b> failed{escape(_where(failure, cell))} ({escape(failure.kind)})</p>",
        f"<pre>{escape(source)}</pre>" if source else "",
        f"<p>{escape(_said(failure))}</p>",
        f"<details><summary>traceback</summary><pre>{escape(traceback)}</pre></details>" if traceback else "",
        f"<p>{'<br>'.join(links)}</p>" if files else "",
    )
    return f"<div>{''.join(parts)}</div>"


def _where(failure: Failure, cell: tuple[int, int] | None) -> str:
    if failure.cell is None:
        return ""
    of = f", code cell {cell[0]} of {cell[1]}" if cell is not None else ""
    line = f", line {failure.line}" if failure.line is not None else ""
    return f" in cell {failure.cell}{of}{line}"


def _said(failure: Failure) -> str:
    name = exception_name(failure)
    return f"{name}: {failure.message}" if name else failure.message


def _link(path: Path) -> str:
    """Return a link that opens the file; a path that is relative to nobody knows what stays as it is."""
    return path.as_uri() if path.is_absolute() else str(path)


def _excerpt(failure: Failure) -> Iterator[str]:
    """Yield the lines of the cell around the one that raised, which is marked, or its first ones."""
    lines = (failure.cell_source or "").splitlines()
    first = 0
    if failure.line is not None:
        first = max(0, min(failure.line - 1 - SOURCE_LINES // 2, len(lines) - SOURCE_LINES))
    shown = lines[first : first + SOURCE_LINES]
    if first:
        yield f"... {first} lines before"
    for number, line in enumerate(shown, start=first + 1):
        if failure.line is None:
            yield line
        else:
            yield f"{'-->' if number == failure.line else '   '} {number:4} {line}".rstrip()
    if first + len(shown) < len(lines):
        yield f"... {len(lines) - first - len(shown)} more lines"


def _shortened(traceback: str, *, said: str) -> list[str]:
    """Return the lines of a traceback without its middle, and without its last line where that was `said` already."""
    lines = traceback.rstrip().splitlines()
    if lines and lines[-1].strip() == said.strip():
        lines = "\n".join(lines[:-1]).rstrip().splitlines()
    if len(lines) <= FIRST_LINES + LAST_LINES + 1:
        return lines
    # Of exceptions that led to each other the last is shown: it is the one that came out of the user's code.
    start = max((number for number, line in enumerate(lines) if _BEGINNING in line), default=0)
    middle = range(start + FIRST_LINES, len(lines) - LAST_LINES)
    shown = [*lines[start : start + FIRST_LINES], f"... {len(middle)} lines left out", *lines[-LAST_LINES:]]
    return [*([f"... {start} lines left out"] if start else []), *(shown if len(middle) > 1 else lines[start:])]
