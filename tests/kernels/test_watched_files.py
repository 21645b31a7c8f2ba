"""Files that are watched for changes: each way to change one is noticed, and asking costs nothing where none was."""

from __future__ import annotations

import os
import sys

import pytest

from orchestrator_nb.kernels import watched_files
from orchestrator_nb.kernels.watched_files import WatchedFiles


@pytest.fixture(params=["watched", "asked"])
def files(tmp_path, monkeypatch, request):
    """Two files, on a file system that tells of changes and on one that does not."""
    if request.param == "watched" and not sys.platform.startswith("linux"):
        pytest.skip("changes are told on Linux only")
    local = frozenset({"anything"}) if request.param == "asked" else None
    if local is not None:
        monkeypatch.setattr(watched_files, "_LOCAL", local)
    place = tmp_path / "package"
    place.mkdir()
    for name in ("one.py", "two.py"):
        (place / name).write_text("x = 1\n")
    return place


def append(place):
    with (place / "one.py").open("a") as file:
        file.write("y = 2\n")


def replace(place):
    (place / "new").write_text("x = 22\n")
    os.replace(place / "new", place / "one.py")


def touch(place):
    os.utime(place / "one.py", ns=(1, 1))


def rename_folder(place):
    place.rename(place.with_name("moved"))
    place.mkdir()
    (place / "one.py").write_text("other = 1\n")


@pytest.mark.parametrize("change", [append, replace, touch, rename_folder, lambda place: (place / "one.py").unlink()])
def test_a_changed_file_is_noticed(files, change):
    """Written to, replaced, given another time, its folder replaced, or removed: it is named."""
    watched = WatchedFiles([str(files / "one.py"), str(files / "two.py")])
    assert watched.changed() is None
    change(files)
    assert watched.changed() in (str(files / "one.py"), str(files / "two.py"))


def test_a_file_that_was_not_there_is_noticed_when_it_comes(files):
    """Also in a folder that was not there."""
    watched = WatchedFiles([str(files / "config.py"), str(files / "sub" / "config.py")])
    assert watched.changed() is None
    (files / "sub").mkdir()
    assert watched.changed() is None
    (files / "sub" / "config.py").touch()
    assert watched.changed() == str(files / "sub" / "config.py")
    (files / "config.py").touch()
    assert watched.changed() is not None


def test_other_files_do_not_matter(files):
    """A file beside those that were read may come, change and go."""
    watched = WatchedFiles([str(files / "one.py")])
    (files / "cache").write_text("1")
    assert watched.changed() is None
    (files / "cache").unlink()
    assert watched.changed() is None
    append(files)
    assert watched.changed() == str(files / "one.py")


def test_what_a_link_leads_to_is_watched_where_it_lies(files, tmp_path):
    """A change is noticed that is made to the file behind a link, and a link that is made to lead elsewhere."""
    behind = tmp_path / "behind.py"
    behind.write_text("x = 1\n")
    (files / "link.py").symlink_to(behind)
    (tmp_path / "folder").symlink_to(files)
    watched = WatchedFiles([str(files / "link.py")])
    assert watched.changed() is None
    behind.write_text("x = 22\n")
    assert watched.changed() == str(files / "link.py")
    watched = WatchedFiles([str(tmp_path / "folder" / "one.py")])
    assert watched.changed() is None
    other = tmp_path / "other"
    other.mkdir()
    (other / "one.py").write_text("another = 1\n")
    (tmp_path / "folder").unlink()
    (tmp_path / "folder").symlink_to(other)
    assert watched.changed() == str(tmp_path / "folder" / "one.py")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="changes are told on Linux only")
def test_nothing_is_asked_of_files_of_which_there_is_no_news(tmp_path, monkeypatch):
    """A thousand files cost no more than one."""
    (tmp_path / "one.py").write_text("x = 1\n")
    watched = WatchedFiles([str(tmp_path / "one.py")])
    if watched._asked:
        pytest.skip("the file system of the temporary folder is none of those that tell of changes")
    asked = []
    monkeypatch.setattr(watched_files, "stamp", lambda path: asked.append(path) or (1, 1))
    assert watched.changed() is None
    assert not asked
    append(tmp_path)
    assert watched.changed() is not None
    assert asked
