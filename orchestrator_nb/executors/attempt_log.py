"""What an attempt prints, with the secrets taken out, in a bounded file that is made with the first text."""

from __future__ import annotations

from pathlib import Path

from orchestrator_nb.data.log import BoundedLog
from orchestrator_nb.data.redaction import REDACTOR, Redacted

LOGS = "logs"
"""The folder of the logs, in a run's folder."""


class AttemptLog:
    """The log of one attempt; `name` is its path relative to the run's folder.

    `size` is how many bytes are kept, half of them the head and half the tail.
    """

    def __init__(self, run_folder: Path, *, command: str, attempt: int, size: int) -> None:
        self.name = f"{LOGS}/{command}.{attempt}.log"
        self._redacted = Redacted(REDACTOR)
        self._file = BoundedLog(run_folder / self.name, head=size // 2, tail=size // 2)

    @property
    def error(self) -> OSError | None:
        """What kept some of it from being written, None where all is there."""
        return self._file.error

    def write(self, text: str) -> None:
        """Add a text; what may be the beginning of a secret waits for what comes next."""
        if REDACTOR.active:
            text = self._redacted.feed(text)
        if text:
            self._file.write(text)

    def settle(self) -> None:
        """Add what was held back, as nothing more is expected."""
        rest = self._redacted.rest()
        if rest:
            self._file.write(rest)

    def close(self) -> None:
        """Let go of the file, with everything in it."""
        self.settle()
        self._file.close()
