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


@pytest.mark.skipif(os.name == "nt", reason="needs the right to make links")
def test_a_link_still_leads_to_its_file(tmp_path: Path) -> None:
    """The file that it leads to is written, in its own folder, and not the link."""
    (tmp_path / "shared").mkdir()
    link, file = tmp_path / "page.html", tmp_path / "shared" / "latest.html"
    link.symlink_to(file)
    for text in ("one", "two"):  # there is no file yet; there is one
        assert save_text(link, text) == link
        assert (link.is_symlink(), file.read_text(encoding="utf-8")) == (True, text)
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    """Nothing is written, nothing is left."""
    with pytest.raises(StoreError, match="cannot be written"):
        save_text(tmp_path, "one")
    assert list(tmp_path.iterdir()) == []
