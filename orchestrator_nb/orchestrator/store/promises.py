"""Which of the promises about durability and ownership are weaker here than where they are strongest."""

from __future__ import annotations

import sys
from collections.abc import Iterator


def weaker_promises(durability: str, *, platform: str = sys.platform) -> Iterator[str]:
    """Yield a sentence for each promise that this durability or system weakens; nothing at its full strength."""
    if durability == "process":
        yield (
            "durability is process: what is recorded survives a kill at any instant; a power cut may take the last "
            "moments of it, never the middle"
        )
    if platform == "win32":
        yield (
            "on Windows the names of new files are not flushed to the disk: after a power cut the last results may be "
            "made again; and a program is ended without the interrupt that would let it tidy up"
        )
