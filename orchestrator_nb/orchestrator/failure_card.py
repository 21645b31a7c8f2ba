"""The failure card: what went wrong, where, and what to type next, as plain text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator_nb.events import Failure
from orchestrator_nb.orchestrator.result import RunResult

SOURCE_LINES = 12
FIRST_LINES, LAST_LINES = 7, 10
"""Of a long traceback the first lines are shown, which lead from the user's code, and the last, which say what was raised."""

MANY = 20
"""So many commands are named in one line at the most."""

_BEGINNING = "Traceback (most recent call last)"


def failure_text(result: RunResult) -> str:
    """Return the whole story of a run that did not complete: one card a failed command, then what to type."""
    state = result.state if result.state == "failed" else f"is {result.state}"
    lines = [f'run "{result.run}" {state}' + (f": {result.reason}" if result.reason else "")]
    alike = _alike(result)
    for command, failure in result.errors.items():
        if command not in alike:
            continue
        notebook, log = result.notebooks.get(command), result.logs.get(command)
        lines += ["", *card_lines(command, failure, notebook, log, cell=result.commands[command].cell)]
        if alike[command]:
            lines.append(f"  failed in the same way: {_names(alike[command])}")
    held_back = [name for name, record in result.commands.items() if record.state == "upstream_failed"]
    if held_back:
        lines += ["", f"not run, because of that: {_names(held_back)}"]
    if result.next_steps:
        lines += ["", *result.next_steps]
    return "\n".join(lines)


def _alike(result: RunResult) -> dict[str, list[str]]:
    """Return the commands that have a card, each with the other cells of its matrix that failed just so."""
    first: dict[tuple[object, ...], str] = {}
    alike: dict[str, list[str]] = {}
    for command, failure in result.errors.items():
        matrix = result.matrices.get(command, command)
        shown = first.setdefault((matrix, failure.kind, failure.types, failure.message, failure.cell), command)
        alike.setdefault(shown, []).extend([command] if shown != command else [])
    return alike


def _names(names: list[str]) -> str:
    more = f" and {len(names) - MANY:,} more" if len(names) > MANY else ""
    return f"{', '.join(names[:MANY])}{more}"


def card_lines(
    command: str, failure: Failure, notebook: Path | None, log: Path | None, *, cell: tuple[int, int] | None = None
) -> Iterator[str]:
    """Yield the lines of one card: command, cell, the cell's source, exception, the traceback shortened, files.

    `cell` is the number of the code cell, counted as the kernel counts them, and how many there are.
    """
    where = f", code cell {cell[0]} of {cell[1]}" if failure.cell is not None and cell is not None else ""
    yield f'"{command}" failed{where} ({failure.kind})'
    if failure.cell_source:
        source = failure.cell_source.splitlines()
        yield from (f"    {line}" for line in source[:SOURCE_LINES])
        if len(source) > SOURCE_LINES:
            yield f"    ... {len(source) - SOURCE_LINES} more lines"
    name = failure.types[0].rpartition(".")[2] + ": " if failure.types else ""
    yield f"  {name}{failure.message}"
    yield from (f"  {line}".rstrip() for line in _shortened(failure.traceback or "", said=f"{name}{failure.message}"))
    if notebook is not None:
        yield f"  output notebook: {notebook}"
    if log is not None:
        yield f"  log: {log}"


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
