"""Arrow files that are mapped into memory: written whole or not at all, whatever their folder is called."""

from __future__ import annotations

import mmap
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

LEFT = 3600.0
"""Seconds after which a file that was begun and not finished is taken for that of a process that was killed."""


def mapped(path: Path, *, own: bool = False) -> mmap.mmap:
    """Return the bytes of a file; where they are to be one's `own`, what is written to them stays in this process.

    Raises OSError, and ValueError for an empty file.
    """
    # Not pyarrow's own mapping, which takes no name that is not UTF-8.
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY if own else mmap.ACCESS_READ)


def save(path: Path, table: pa.Table) -> None:
    """Write a table; where that is not possible the file stays as it was, and nothing is lost.

    Processes and threads may write at a time: each has a file of its own, and the last to be done wins. Who has mapped the
    former file keeps it.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with fresh.open("wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        os.replace(fresh, path)
    except (OSError, pa.ArrowException):
        with suppress(OSError):
            fresh.unlink()
    for left in path.parent.glob(f".{path.name}.*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT:
                left.unlink()
