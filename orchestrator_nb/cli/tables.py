"""What is shown of a result and of a status: a table on a terminal, the same in plain text elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from orchestrator_nb.cli.terminal import console
from orchestrator_nb.drawing.glyphs import GLYPHS, RUN_COLOURS, can_show, duration
from orchestrator_nb.events import Stored
from orchestrator_nb.orchestrator.display.failure_story import failure_text
from orchestrator_nb.orchestrator.display.result import RunResult
from orchestrator_nb.orchestrator.display.shown import as_text, headline
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.transitions import DONE

TROUBLE = ("failed", "crashed", "waiting")
"""States of a command whose failure is shown in the place of its output."""


def show_result(result: RunResult, stream: TextIO) -> None:
    """Print how a run ended: the summary, where its notebooks are, what failed, and what to type next."""
    from rich.text import Text

    page = console(stream)
    page.print(command_table(result, width=page.width, signs=can_show(stream)))
    page.print()
    page.print(
        Text.assemble(
            (f"{result.workflow} ", "bold"),
            (_ending(result), RUN_COLOURS.get(result.state, "")),
            f" after {duration(result.seconds)}",
            as_text(f": {result.reason}") if result.reason else "",
        )
    )
    for command, texts in result.deviations.items():
        page.print(as_text(f"deviation  {command or 'the run'}: {'; '.join(texts)}"), markup=False)
    for place in _folders(result.notebooks.values()):
        page.print(f"output notebooks  {place}", markup=False, soft_wrap=True)
    page.print(f"everything of the run  {shown_path(result.folder)}", markup=False, soft_wrap=True)
    story = failure_text(result) if result.errors else "\n".join(result.next_steps)
    if story:
        page.print()
        page.print(story, markup=False, soft_wrap=True)


def command_table(result: RunResult, *, width: int, signs: bool) -> Any:
    """Return the summary as a table of rich, at most `width` wide: a row a command, in the order of the plan."""
    from rich.table import Table
    from rich.text import Text

    names = min(30, max(map(len, result.commands), default=0))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True, width=1)
    table.add_column("command", no_wrap=True, overflow="ellipsis", width=max(names, 7))
    table.add_column("state", no_wrap=True, width=15)
    table.add_column("attempts", no_wrap=True, justify="right", width=8)
    table.add_column("time", no_wrap=True, justify="right", width=7)
    table.add_column("output", no_wrap=True, overflow="ellipsis", max_width=max(10, width - max(names, 7) - 41))
    for name, record in result.commands.items():
        glyph = GLYPHS[record.state]
        table.add_row(
            Text(glyph.sign if signs else glyph.ascii, glyph.colour),
            Text(name),
            Text(glyph.words, glyph.colour),
            str(record.attempt),
            duration(record.seconds) if record.ended else "",
            Text(as_text(_gave(record) or _trouble(record)), "dim"),
        )
    return table


def _trouble(record: CommandRecord) -> str:
    return record.reason if record.failure is None or record.state not in TROUBLE else headline(record.failure)


def _gave(record: CommandRecord) -> str:
    """Return in short what a command that is done gave: its files first, then what it returned or recorded."""
    if record.state not in DONE:
        return ""
    output = record.output()
    return ", ".join([*record.artifacts, *([] if output is None else _short(output))])


def _short(stored: Stored) -> list[str]:
    """Return a few words for each part of a stored value; nothing for None."""
    if stored.form == "mapping":
        return [" ".join([name, *_short(item)]) for name, item in (stored.items or {}).items()]
    if stored.form == "json" and stored.artifact is None:
        if isinstance(stored.value, dict):
            return [" ".join([str(name), *_short_plain(item)]) for name, item in stored.value.items()]
        return _short_plain(stored.value)
    return [stored.name or {"parquet": "table", "npy": "array"}.get(stored.form) or stored.type or stored.form]


def _short_plain(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, float):
        return [f"{value:.4g}"]
    if isinstance(value, list | dict):
        return [f"{type(value).__name__} of {len(value)}"]
    text = " ".join(str(value).split())
    return [text if len(text) <= 40 else f"{text[:37]}..."]


def _ending(result: RunResult) -> str:
    if result.state == "completed" and result.deviations:
        return "completed with deviations"
    return result.state


def _folders(files: Iterable[Path]) -> list[str]:
    return list(dict.fromkeys(shown_path(file.parent) for file in files))


def shown_path(path: Path) -> str:
    """Return a path as it can be typed here: relative where it is below the working directory."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
