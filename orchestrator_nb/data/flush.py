"""Making what was written survive a power cut, as far as the system allows."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from orchestrator_nb.data.disk import write_error
from orchestrator_nb.values import token

PART = f".*.{'[0-9a-f]' * 8}"
"""What files that `write_whole` writes are called before they are whole."""

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


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new, also after a power cut. Raises StoreError."""
    part = path.with_name(f".{path.name}.{token(4)}")
    try:
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            flush_file(file.fileno())
        os.replace(part, path)
        flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise write_error(f'"{path}" cannot be written', path, error) from error


def save_text(place: Path, text: str) -> Path:
    """Write a text whole or not at all, its folder too where there is none, and return its path. Raises StoreError.

    What is no file, such as ``/dev/stdout`` or a pipe, is written to, and a link leads to the same file as before.
    """
    content = text.encode("utf-8", "backslashreplace")
    folder_of(place)
    if not place.exists() or place.is_file() or place.is_dir():
        write_whole(Path(os.path.realpath(place)) if place.is_symlink() else place, content)
        return place
    try:
        place.write_bytes(content)
    except OSError as error:
        raise write_error(f'"{place}" cannot be written', place, error) from error
    return place


def folder_of(place: Path) -> None:
    """Make the folder in which a file is to be, where there is none. Raises StoreError."""
    try:
        with suppress(FileExistsError):  # a file is there: writing below it says so better
            place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(f'"{place}" cannot be written', place, error) from error
