"""Folders of kernels: private, gone with their kernel, and removed after their owner's death."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from orchestrator_nb.commands.notebooks.kernel_folder import LONGEST, KernelFolder, remove_dead_folders

OWNER = """
import os, signal
from orchestrator_nb.commands.notebooks.kernel_folder import KernelFolder
folder = KernelFolder()
(folder.path / "context.json").write_text("{}")
print(folder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """A short folder for temporary files that only this test uses."""
    folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()


def test_a_folder_is_private_and_goes_with_its_owner(temporary):
    """Nobody else can enter it, and nothing is left of it after close."""
    folder = KernelFolder()
    assert folder.path.parent == temporary
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    (folder.path / "k-1").write_text("")
    folder.close()
    assert not folder.path.exists()


def test_a_long_temporary_folder_leaves_room_for_sockets(tmp_path, monkeypatch):
    """Where TMPDIR is long, the folder is elsewhere, since addresses of sockets are short."""
    long = tmp_path / ("x" * LONGEST)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = KernelFolder()
    assert len(str(folder.path)) < LONGEST
    assert list(long.iterdir()) == []
    folder.close()


def test_what_a_killed_owner_left_is_removed_and_nothing_else(temporary):
    """Of a dead owner's folder nothing stays; a living owner's, a young one and a stranger's are left alone."""
    made = subprocess.run(
        [sys.executable, "-c", OWNER], capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=60
    )
    dead = Path(made.stdout.strip())
    assert dead.parent == temporary
    alive = KernelFolder()
    stranger = temporary / "onb-notes"
    stranger.mkdir()
    (stranger / "notes.txt").write_text("mine")
    assert dead not in remove_dead_folders(), "it may be just being made"
    removed = remove_dead_folders(older_than=0.0)  # also from where others of this machine have theirs
    assert [folder for folder in removed if folder.parent == temporary] == [dead]
    assert not dead.exists()
    assert alive.path.exists()
    assert stranger.exists()
    alive.close()


def test_a_link_with_such_a_name_is_left_alone(temporary):
    """A symbolic link is never followed."""
    target = temporary / "target"
    target.mkdir()
    link = temporary / "onb-link"
    link.symlink_to(target)
    assert not any(folder.parent == temporary for folder in remove_dead_folders(older_than=0.0))
    assert target.exists()
    os.unlink(link)
