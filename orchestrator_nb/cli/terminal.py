"""The stream that people look at, as rich's console."""

from __future__ import annotations

from typing import Any, TextIO

PLAIN_WIDTH = 120
"""Columns where the output is no terminal."""


def console(stream: TextIO) -> Any:
    """Return a console: as wide as the terminal, or of a fixed width and without colours where there is none.

    What goes wrong with the stream is raised as OSError; rich itself would leave the process when a pipe breaks.
    """
    from rich.console import Console

    class Stream(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002 - rich's signature
            # Never hidden: a process that is killed could not show it again.
            return False

    return Stream(file=stream, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)
