"""Python's garbage collector, which would look at the objects of a large plan again and again while it is made."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_resting = 0
"""How many blocks it rests for, in all threads."""


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Make objects that stay without a search for garbage among them; afterwards it goes on as before.

    Where several threads do so at a time, it rests until the last is done.
    """
    global _resting  # noqa: PLW0603 - one process, one collector
    with _lock:
        ours = _resting > 0 or gc.isenabled()
        if ours:  # else somebody has switched it off, who may switch it on at any moment
            _resting += 1
            gc.disable()
    try:
        yield
    finally:
        with _lock:
            if ours and _resting:
                _resting -= 1
                if not _resting:
                    _wake()


def _wake() -> None:
    if not gc.get_freeze_count():
        # What was made counts as old now, without being looked at once more; what others froze stays frozen.
        gc.freeze()
        gc.unfreeze()
    gc.enable()


def _in_copy() -> None:
    """In a process that a command has forked, nobody is there any more who would end the rest of other threads."""
    global _lock, _resting  # noqa: PLW0603 - as above
    _lock = threading.Lock()
    if _resting:
        _resting = 0
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_copy)
