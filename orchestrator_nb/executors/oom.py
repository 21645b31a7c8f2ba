"""Whether the system has ended processes for want of memory, by its own account."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

_COUNT = re.compile(r"^oom_kill[ \t]+([0-9]+)$", re.MULTILINE)


NEW = 10.0
"""Seconds for which the end of a process is news."""

MOST = 1000
"""So many ends at once are told apart."""


class OutOfMemory:
    """Looks at how many processes were ended for want of memory: in this control group, else on the whole machine.

    On systems without such an account nothing is known.
    """

    def __init__(self, accounts: tuple[Path, ...] | None = None) -> None:
        self._accounts = accounts if accounts is not None else _accounts()
        self._known = self._count()
        self._lock = threading.Lock()
        self._left: list[tuple[float, str]] = []

    def news(self) -> str | None:
        """Return in words that there were more of them since this was asked last, None where there were none.

        Several that were ended at once are as many news, each told once, as long as they are new.
        """
        with self._lock:
            before, self._known = self._known, self._count()
            now = time.monotonic()
            self._left = [(at, text) for at, text in self._left if now - at < NEW]
            if before is not None and self._known is not None and self._known[1] > before[1]:
                place, count = self._known
                text = f"{place} counts {count - before[1]} more processes ended for want of memory"
                self._left += [(now, text)] * min(count - before[1], MOST)
            return self._left.pop()[1] if self._left else None

    @property
    def account(self) -> str | None:
        """Where the system keeps that account, None where it keeps none: then no news mean nothing."""
        return None if self._known is None else str(self._known[0])

    def _count(self) -> tuple[Path, int] | None:
        for account in self._accounts:
            try:
                found = _COUNT.search(account.read_text(encoding="ascii", errors="replace"))
            except OSError:
                continue
            if found is not None:
                return account, int(found.group(1))
        return None


def _accounts() -> tuple[Path, ...]:
    """Return where the counts may be, the closest first."""
    places: list[Path] = []
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    root = Path("/sys/fs/cgroup")
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "memory":
            places += [root / "memory" / path.lstrip("/") / "memory.oom_control", root / "memory/memory.oom_control"]
        elif not controllers:
            places += [root / path.lstrip("/") / "memory.events", root / "memory.events"]
    return (*places, Path("/proc/vmstat"))
