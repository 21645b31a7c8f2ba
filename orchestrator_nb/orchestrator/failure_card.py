"""The failure card: what went wrong, where, and what to type next, as plain text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator_nb.events import Failure
from orchestrator_nb.orchestrator.result import RunResult

SOURCE_LINES = 12
TRACEBACK_LINES = 15


def failure_text(result: RunResult) -> str:
    """Return the whole story of a run that did not complete: one card a failed command, then what to type."""
    lines = [f'run "{result.run}" is {result.state}' + (f": {result.reason}" if result.reason else "")]
    for command, failure in result.errors.items():
        lines += ["", *card_lines(command, failure, result.notebooks.get(command), result.logs.get(command))]
    held_back = [name for name, record in result.commands.items() if record.state == "upstream_failed"]
    if held_back:
        lines += ["", f"not run, because of that: {', '.join(held_back)}"]
    if result.next_steps:
        lines += ["", *result.next_steps]
    return "\n".join(lines)


def card_lines(command: str, failure: Failure, notebook: Path | None, log: Path | None) -> Iterator[str]:
    """Yield the lines of one card: command, cell, the cell's source, exception, the end of the traceback, files."""
    where = f", cell {failure.cell}" if failure.cell is not None else ""
    yield f'"{command}" failed{where} ({failure.kind})'
    if failure.cell_source:
        source = failure.cell_source.splitlines()
        yield from (f"    {line}" for line in source[:SOURCE_LINES])
        if len(source) > SOURCE_LINES:
            yield f"    ... {len(source) - SOURCE_LINES} more lines"
    name = failure.types[0].rpartition(".")[2] + ": " if failure.types else ""
    yield f"  {name}{failure.message}"
    if failure.traceback:
        trace = failure.traceback.rstrip().splitlines()
        if len(trace) > TRACEBACK_LINES:
            yield f"  ... {len(trace) - TRACEBACK_LINES} lines of the traceback left out"
        yield from (f"  {line}" for line in trace[-TRACEBACK_LINES:])
    if notebook is not None:
        yield f"  notebook: {notebook}"
    if log is not None:
        yield f"  log: {log}"
