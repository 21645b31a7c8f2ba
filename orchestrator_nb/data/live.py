"""Results that have no stored form and live in this process only: fitted models, connections, functions."""

from __future__ import annotations

import threading
from typing import Any

from orchestrator_nb.errors import ResultRefused
from orchestrator_nb.values import token


class LiveResultMissing(ResultRefused):
    """A live result was asked for where it is not: in another process, or after the one that had it has ended."""


class LiveResults:
    """The live results of a run by key, for consumers in threads of this process. Every method is safe in any thread.

    A key is never given twice, not by another process either: a journal of a process that is gone finds nothing here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Any] = {}
        self._prefix = token(6)
        self._count = 0

    def put(self, value: Any) -> str:
        """Keep `value` itself, not a copy, and return its key."""
        with self._lock:
            self._count += 1
            key = f"{self._prefix}-{self._count}"
            self._values[key] = value
        return key

    def get(self, key: str) -> Any:
        """Return the value. Raises KeyError."""
        return self._values[key]

    def drop(self, key: str) -> None:
        """Let go of the value, if it is here."""
        with self._lock:
            self._values.pop(key, None)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)
