"""How far the commands under way are and what they printed last: for watchers here and in other processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from orchestrator_nb.data.log import BoundedLog
from orchestrator_nb.executors.attempt_log import LOGS
from orchestrator_nb.journal.live import remove_live, write_live

MOST_COMMANDS = 100
LINES = 5
WITHIN = 4096
"""Bytes at the end of a log in which its last lines are looked for."""


class LiveView:
    """The picture of the attempts that `under_way` names, each as (command, attempt); it names none until it is set.

    The file is written at most every `interval` seconds.
    """

    def __init__(self, run_folder: Path, *, interval: float = 0.5) -> None:
        self.under_way: Callable[[], Iterable[tuple[str, int]]] = tuple
        self._folder = run_folder
        self._interval = interval
        self._said: dict[str, tuple[int, float, str]] = {}
        self._written: dict[str, Any] | None = None
        self._next = 0.0

    def heard(self, command: str, attempt: int, fraction: float, text: str) -> None:
        """Take in what a command says about how far it is; from any thread."""
        self._said[command] = (attempt, fraction, text)

    def picture(self) -> dict[str, dict[str, Any]]:
        """Return for each command under way its attempt, the `fraction` from 0 to 1 and `text` that it said last, if it
        said any, and the last `lines` that it printed."""
        shown: dict[str, dict[str, Any]] = {}
        for command, attempt in list(self.under_way())[:MOST_COMMANDS]:
            item: dict[str, Any] = {"attempt": attempt}
            shown[command] = item
            said = self._said.get(command)
            if said is not None and said[0] == attempt:
                item.update(fraction=said[1], text=said[2])
            lines = _last_lines(self._folder / LOGS / f"{command}.{attempt}.log")
            if lines:
                item["lines"] = lines
        return shown

    def write(self) -> None:
        """Write the picture for other processes, if it has changed and the last writing was long enough ago."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._interval
        shown = self.picture()
        if shown != (self._written or {}):
            write_live(self._folder, {"at": time.time(), "commands": shown})
            self._written = shown

    def close(self) -> None:
        """Nothing is under way any more."""
        self._said.clear()
        if self._written is not None:
            remove_live(self._folder)


def _last_lines(path: Path) -> list[str]:
    try:
        return BoundedLog(path).last_lines(LINES, within=WITHIN)
    except OSError:
        return []
