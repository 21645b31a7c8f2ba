"""Hashes of declared files: by content, of single files, folders and patterns."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.plan.contents import SETTLED, Contents, named_resources


def of(folder: Path, *texts: str, contents: Contents | None = None, **parameters: object) -> dict[str, str | None]:
    command = CommandDefinition(id="a", shell=("python",))
    return (contents or Contents()).of(texts, command, folder=folder, parameters=parameters)


def test_a_file_is_its_content(tmp_path: Path) -> None:
    """One that is not there is None; a name of no file is left out."""
    (tmp_path / "a.csv").write_text("1")
    assert of(tmp_path, "a.csv", "b.csv", "db:sales") == {"a.csv": hashlib.sha256(b"1").hexdigest(), "b.csv": None}
    assert of(tmp_path, "${{ parameters.name }}.csv", name="a").popitem()[1] == hashlib.sha256(b"1").hexdigest()


@pytest.mark.parametrize("text", ["data/", "data/*.csv", "data/**/*.csv"])
def test_of_many_files_names_and_contents_count(tmp_path: Path, text: str) -> None:
    """A file more, another content and another name are changes; another time is none."""
    data = tmp_path / "data"
    data.mkdir()
    assert of(tmp_path, "data/*.csv") == {"data/*.csv": None}
    seen = set()
    for change in (
        lambda: (data / "a.csv").write_text("1"),
        lambda: (data / "b.csv").write_text("1"),
        lambda: (data / "b.csv").write_text("22"),
        lambda: (data / "b.csv").rename(data / "c.csv"),
    ):
        change()
        seen.add(of(tmp_path, text)[text])
    assert len(seen) == 4
    os.utime(data / "a.csv", (1, 1))
    assert of(tmp_path, text)[text] in seen


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    """Its times do not tell yet whether it changes once more; those of an old one do."""
    contents, path = Contents(), tmp_path / "a.csv"
    path.write_text("1")
    stat = path.stat()
    first = of(tmp_path, "a.csv", contents=contents)
    path.write_text("2")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert of(tmp_path, "a.csv", contents=contents) != first
    assert time.time_ns() - stat.st_ctime_ns < 100 * SETTLED


def test_resources_that_are_no_files_are_named() -> None:
    """What is in them cannot be looked at."""
    command = CommandDefinition(id="a", shell=("x",), reads=("db:sales", "a.csv"), writes=("gpu", "./gpu"))
    assert named_resources(command, {}) == ["db:sales", "gpu"]
