"""The picture of a run on a terminal: a line a command and a bar for the whole, redrawn a few times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, TextIO

from orchestrator_nb import events as e
from orchestrator_nb.cli.progress import LEAVING
from orchestrator_nb.cli.terminal import console
from orchestrator_nb.drawing.glyphs import GLYPHS, RUN_COLOURS, can_show, duration
from orchestrator_nb.orchestrator.display.shown import as_text, headline
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import FINAL

INTERVAL = 0.25
"""Seconds between two drawings: four a second are lively enough and calm."""

AROUND = 5
"""Lines that the panel has besides its commands."""

LOUD = ("running", "waiting", "failed", "crashed", "upstream_failed", "cancelled", "ready", "succeeded", "reused")
"""Which commands are shown first where there is not room for all."""


class PanelDisplay:
    """Draws the state that the observer was last told of, on a thread of its own, and wipes it at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._state: RunState | None = None
        self._notes: dict[str, str] = {}
        self._closing = threading.Event()
        self._introduction = ""
        self._drawer = threading.Thread(target=self._draw, name="orchestrator-nb-panel", daemon=True)

    def begin(self, introduction: str) -> None:
        """Print the introduction and draw below it."""
        self._introduction = introduction
        self._drawer.start()

    def __call__(self, events: Sequence[e.Event], state: RunState) -> None:
        """Remember the state and the last word about each command."""
        self._state = state
        for event in events:
            if isinstance(event, e.NoticeGiven):
                self._notes[event.command or ""] = event.text

    def close(self) -> None:
        """Wipe the panel; a drawer that is stuck on its terminal is left behind."""
        self._closing.set()
        if self._drawer.is_alive():
            self._drawer.join(LEAVING)

    def _draw(self) -> None:
        from rich.live import Live

        try:
            screen = console(self._stream)
            signs = can_show(self._stream)
            if self._introduction:
                screen.print(self._introduction, style="dim", markup=False, highlight=False)
            # What commands print goes to their logs: rich has nothing to redirect, and must not be in the way.
            with Live(
                console=screen, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            ) as live:
                while not self._closing.wait(INTERVAL):
                    if self._state is not None:
                        height = max(3, screen.size.height - AROUND)
                        picture = panel(self._state, self._notes, now=time.time(), rows=height, signs=signs)
                        live.update(picture, refresh=True)
        except (OSError, ValueError):
            # The terminal is gone: nobody is looking, the run goes on.
            return


def panel(state: RunState, notes: dict[str, str], *, now: float, rows: int, signs: bool = True) -> Any:
    """Return the picture of a state as something that rich can print; at most `rows` commands are shown one by one."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shown = _chosen(state, rows)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=30)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis", style="dim")
    for name in shown:
        record, kind = state.commands[name], state.command_state(name)
        glyph = GLYPHS[kind]
        table.add_row(
            Text(glyph.sign if signs else glyph.ascii, glyph.colour),
            Text(name, "dim" if kind == "pending" else ""),
            Text(_doing(record, kind), glyph.colour),
            _elapsed(record, now),
            Text(as_text(_note(name, record, notes, now))),
        )
    parts: list[Any] = [_headline(state), table]
    if len(shown) < len(state.commands):
        parts.append(Text(f"   … and {len(state.commands) - len(shown)} more commands", "dim"))
    parts.append(_bar(state, now))
    if "" in notes:
        parts.append(Text(as_text(notes[""]), "dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _chosen(state: RunState, rows: int) -> list[str]:
    """Return the commands to show, in the order of the plan; where there is no room for all, the lively ones."""
    names = list(state.commands)
    if len(names) <= rows:
        return names
    place = {kind: position for position, kind in enumerate(LOUD)}
    loudest = sorted(names, key=lambda name: place.get(state.command_state(name), len(LOUD)))[:rows]
    wanted = set(loudest)
    return [name for name in names if name in wanted]


def _doing(record: CommandRecord, kind: str) -> str:
    if kind == "running" and record.cell is not None:
        words = f"cell {record.cell[0]} of {record.cell[1]}"
    else:
        words = GLYPHS[kind].words
    return f"{words}, attempt {record.attempt}" if record.attempt > 1 and kind in ("running", "waiting") else words


def _elapsed(record: CommandRecord, now: float) -> str:
    if record.state == "running" and record.started is not None:
        return duration(now - record.started)
    return duration(record.seconds) if record.ended is not None else ""


def _note(name: str, record: CommandRecord, notes: dict[str, str], now: float) -> str:
    if record.state == "waiting" and record.due is not None:
        return f"again in {duration(record.due - now)}"
    if record.failure is not None and record.state in ("failed", "crashed", "waiting"):
        return headline(record.failure)
    return notes.get(name, record.reason if record.state in FINAL else "")


def _headline(state: RunState) -> Any:
    from rich.text import Text

    phase = state.phase
    return Text.assemble(
        (state.run.workflow or "", "bold"),
        ("  " + phase, RUN_COLOURS.get(phase, "cyan")),
        (as_text(f"  {state.run.reason}") if state.run.reason else "", "dim"),
        (f"  run {state.run.run}", "dim"),
    )


def _bar(state: RunState, now: float) -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    done = len(state.commands) - state.unfinished()
    line = Table.grid(padding=(0, 2, 0, 0))
    running = sum(1 for _ in state.running())
    elapsed = duration(now - state.run.started) if state.run.started else ""
    line.add_row(
        ProgressBar(
            total=max(1, len(state.commands)),
            completed=done,
            width=30,
            style="grey37",
            complete_style="cyan",
            finished_style="green",
        ),
        Text(f"{done} of {len(state.commands)} done, {running} running, {elapsed}"),
        Text("Ctrl-C ends them now" if state.run.state == "paused" else "Ctrl-C pauses", "dim"),
    )
    return line
