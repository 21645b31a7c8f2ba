"""A stdout that takes nothing any more: what is left for it goes nowhere, so that leaving does not fail over it."""

from __future__ import annotations

import os


def point_at_nothing() -> None:
    """Let whatever is still written to stdout vanish."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    if nothing != 1:  # as it is where a command has closed it
        os.dup2(nothing, 1)
        os.close(nothing)
