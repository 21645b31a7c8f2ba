"""How many forks this process is away from the one that was started: who has changed since then is a copy.

A copy that a command has forked has the executor, the loop and the open journal of its original in hand. It is told by
this number, since to ask the system for the process goes into the kernel, four times for every command.
"""

from __future__ import annotations

import os

count = 0
"""To be kept where something is made, and compared where it is used."""


def _count() -> None:
    global count  # noqa: PLW0603 - one process, one number
    count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count)
