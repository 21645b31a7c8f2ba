"""Python's garbage collector, which would look at the objects of a large plan again and again while it is made."""

from __future__ import annotations

import gc
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
        _resting += ours
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _resting -= ours
            if ours and not _resting:
                if not gc.get_freeze_count():
                    # What was made counts as old now, without being looked at once more; what others froze stays frozen.
                    gc.freeze()
                    gc.unfreeze()
                gc.enable()
