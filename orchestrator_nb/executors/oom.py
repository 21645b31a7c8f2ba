"""Whether the system has ended processes for want of memory, by its own account."""

from __future__ import annotations

import re
from pathlib import Path

_COUNT = re.compile(r"^oom_kill[ \t]+([0-9]+)$", re.MULTILINE)


class OutOfMemory:
    """Looks at how many processes were ended for want of memory: in this control group, else on the whole machine.

    On systems without such an account nothing is known.
    """

    def __init__(self, accounts: tuple[Path, ...] | None = None) -> None:
        self._accounts = accounts if accounts is not None else _accounts()
        self._known = self._count()

    def news(self) -> str | None:
        """Return in words that there were more of them since this was asked last, None where there were none."""
        before, self._known = self._known, self._count()
        if before is None or self._known is None or self._known[1] <= before[1]:
            return None
        place, count = self._known
        return f"{place} counts {count - before[1]} more processes ended for want of memory"

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
