"""Files that are written whole, and what is no file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from orchestrator_nb.data.flush import save_text
from orchestrator_nb.errors import StoreError


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As for `--svg /dev/stdout`, which a file in its place would take from the whole machine."""
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    assert save_text(link, "a picture") == link
    reader.join(30)
    assert read == ["a picture"]
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_a_file_is_written_in_a_folder_that_is_made(tmp_path: Path) -> None:
    """The file that was there is replaced, and nothing else is left in the folder."""
    place = tmp_path / "new" / "deeper" / "page.html"
    save_text(place, "one")
    save_text(place, "two \udcff")
    assert place.read_text(encoding="utf-8") == "two \\udcff"
    assert [each.name for each in place.parent.iterdir()] == ["page.html"]


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    """Nothing is written, nothing is left."""
    with pytest.raises(StoreError, match="cannot be written"):
        save_text(tmp_path, "one")
    assert list(tmp_path.iterdir()) == []
