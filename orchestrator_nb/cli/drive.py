"""A run from its beginning to its end on the command line: shown, steered by signals, its result told."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TextIO

from orchestrator_nb.cli.exits import SIGNALLED
from orchestrator_nb.cli.panel import PanelDisplay
from orchestrator_nb.cli.progress import Display, NoDisplay, PlainDisplay
from orchestrator_nb.cli.settling import point_at_nothing
from orchestrator_nb.cli.signals import Signals
from orchestrator_nb.cli.tables import show_result
from orchestrator_nb.orchestrator.display.result import RunResult
from orchestrator_nb.orchestrator.run import Run

Begin = Callable[[Display], Run]
"""Starts or resumes a run that the display observes."""


def drive(
    begin: Begin, *, progress: str | None, as_json: bool, ending: Callable[[RunResult], str] | None = None
) -> int:
    """Begin a run, wait for it, tell its result, and return the exit code.

    `progress` is none, plain or rich, None for what fits the stream. With `as_json` stdout gets the result as one JSON
    object and nothing else. `ending` gives more to say at the end. Raises what `begin` and the run's recording raise.
    """
    # As they are now: a command on a thread of this process may put others in their place, or close them.
    out, stream = sys.stdout, sys.stderr if as_json else sys.stdout
    display = choose(progress, stream)
    signals = Signals()
    with signals:
        try:
            run = begin(display)
            signals.attach(run)
            display.begin(introduction(run))
            result = run.wait(check=False)
            signals.over()
        finally:
            display.close()
        paused = result.state == "paused" and signals.first is not None
        code = SIGNALLED + signals.first if paused and signals.first else result.exit_code
        tell(result, out, code=code, as_json=as_json, ending=ending)
    return code


def choose(progress: str | None, stream: TextIO) -> Display:
    """Return the display that was asked for, else a panel on a terminal and plain lines elsewhere."""
    if progress is None:
        progress = "rich" if stream.isatty() and os.environ.get("TERM") != "dumb" else "plain"
    if progress == "none":
        return NoDisplay()
    return PanelDisplay(stream) if progress == "rich" else PlainDisplay(stream)


def introduction(run: Run) -> str:
    """Return the line that stays on the screen whatever happens: the command that resumes the run."""
    command = next((step.partition(": ")[2] for step in run.result.next_steps if step.startswith("to go on")), "")
    return f"should this be killed, go on with: {command}" if command else f"run {run.id}"


def tell(
    result: RunResult, out: TextIO, *, code: int, as_json: bool, ending: Callable[[RunResult], str] | None
) -> None:
    """Print the result; that nobody reads it, or can, is no failure of the run."""
    try:
        if as_json:
            print(json.dumps({**result.to_plain(), "exit_code": code}, ensure_ascii=False), file=out)
        else:
            show_result(result, out)
            if ending is not None:
                print(f"\n{ending(result)}", file=out)
        out.flush()
    except OSError:
        point_at_nothing()
    except ValueError:
        if not _is_closed(out):
            raise


def _is_closed(stream: TextIO) -> bool:
    """Whether a command has closed a stream, or taken away what is below it."""
    try:
        return stream.closed
    except ValueError:
        return True
