"""What is said where there is no room, and who waits for it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from orchestrator_nb.data import disk
from orchestrator_nb.data.disk import bytes_free, nearest_folder, once_there_is_room, write_error
from orchestrator_nb.errors import StoreError, StoreFull


def test_want_of_room_names_the_file_system(tmp_path: Path) -> None:
    """The error is a StoreFull with what is free, by the nearest folder that there is."""
    error = write_error("it cannot be written", tmp_path / "none" / "file", OSError(errno.ENOSPC, "No space left"))
    assert type(error) is StoreFull
    assert str(error).startswith(f'it cannot be written: No space left (the file system of "{tmp_path}" has ')
    assert "bytes free" in str(error)


@pytest.mark.parametrize(
    ("number", "why"), [(errno.EACCES, "as the user"), (errno.EROFS, "as the user"), (errno.EIO, "why")]
)
def test_other_errors_are_said_as_they_are(tmp_path: Path, number: int, why: str) -> None:
    """Without a right to write the user is named."""
    error = write_error("it cannot be written", tmp_path, OSError(number, "why"))
    assert type(error) is StoreError
    assert why in str(error)


def test_a_path_that_is_not_there_is_on_the_file_system_of_its_folder(tmp_path: Path) -> None:
    """What will be made there will have that room."""
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    assert (bytes_free(tmp_path / "a" / "b") or 0) > 0


def test_what_is_worth_keeping_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried until there is room, or until nobody wants it any more, or for so long."""
    monkeypatch.setattr(disk, "AGAIN_AFTER", 0.0)
    tries: list[int] = []

    def write() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise StoreFull("no room")
        return len(tries)

    assert once_there_is_room(write) == 3
    tries.clear()
    with pytest.raises(StoreFull):
        once_there_is_room(write, is_left=lambda: True)
    assert len(tries) == 1
    monkeypatch.setattr(disk, "PATIENCE", 0.0)
    tries.clear()
    with pytest.raises(StoreFull):
        once_there_is_room(write)
