"""Making what was written survive a power cut, as far as the system allows."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "darwin":
    import fcntl

    def flush_file(descriptor: int) -> None:
        """Return when what was written to the open file is on the medium. Raises OSError; then that is unknown."""
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError:  # network file systems do not know it
            os.fsync(descriptor)

else:

    def flush_file(descriptor: int) -> None:
        """Return when what was written to the open file is on the medium. Raises OSError; then that is unknown."""
        os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Return when the names in the folder are on the medium; does nothing on Windows, where folders cannot be opened.

    Raises OSError.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flush_file(descriptor)
    finally:
        os.close(descriptor)
