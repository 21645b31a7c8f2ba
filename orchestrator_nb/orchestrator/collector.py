"""Python's garbage collector, which would look at the objects of a large plan again and again while it is made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Make objects that stay without a search for garbage among them; afterwards it goes on as before.

    Where two threads do so at a time, the first that is done ends it for both: that costs time and nothing else.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            # What was made counts as old now, without being looked at once more; what others froze stays frozen.
            gc.freeze()
            gc.unfreeze()
        gc.enable()
