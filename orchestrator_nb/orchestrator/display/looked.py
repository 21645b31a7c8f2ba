"""What is looked at: a run as its picture needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from orchestrator_nb.orchestrator.display.result import RunResult


class Looked(Protocol):
    """A run, as far as its picture needs it."""

    id: str
    folder: Path

    @property
    def is_running(self) -> bool:
        """True while a living process owns it."""

    @property
    def result(self) -> RunResult:
        """What it has come to so far."""

    def live(self) -> dict[str, dict[str, Any]]:
        """How far the commands under way are."""
