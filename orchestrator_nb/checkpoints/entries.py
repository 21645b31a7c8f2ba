"""What is at a path: in a tree of git, in the difference of two, and on disk."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from orchestrator_nb.checkpoints.git import Git

FILE, EXECUTABLE, LINK, FOLDER, OTHER = "100644", "100755", "120000", "040000", "160000"
"""Git's modes; FOLDER and OTHER are never in a checkpoint, only found on disk in the place of a file."""

_CHUNK = 1 << 20


class Entry(NamedTuple):
    """A file or a symbolic link: git's mode and the id of its content."""

    mode: str
    blob: str


class Change(NamedTuple):
    """What was at a path before and after; None for nothing."""

    before: Entry | None
    after: Entry | None


Tree = Mapping[str, Entry]
"""Everything in a checkpoint, by its path relative to the root, with '/' between its parts."""


def tree_of(git: Git, commit: str) -> dict[str, Entry]:
    """Return everything in a checkpoint."""
    found: dict[str, Entry] = {}
    for item in os.fsdecode(git.run("ls-tree", "-r", "-z", "--full-tree", commit)).split("\0"):
        if item:
            about, _, path = item.partition("\t")
            mode, _, blob = about.split(" ")
            found[path] = Entry(mode, blob)
    return found


def changes_between(git: Git, pairs: list[tuple[str, str]]) -> list[dict[str, Change]]:
    """Return what changed from each tree to the other, by path; one call of git for all pairs."""
    asked = "".join(f"{before} {after}\n" for before, after in pairs)
    told = git.run(
        "diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", stdin=asked.encode("ascii")
    )
    return _read_changes(os.fsdecode(told), pairs)


def _read_changes(told: str, pairs: list[tuple[str, str]]) -> list[dict[str, Change]]:
    """Read ":mode mode blob blob status NUL path NUL …", each pair after a line with its two trees."""
    found: list[dict[str, Change]] = []
    place = 0
    for number, (before, after) in enumerate(pairs):
        header = f"{before} {after}\n"
        assert told.startswith(header, place), f"git diff-tree gave no answer for pair {number}"
        place += len(header)
        changes: dict[str, Change] = {}
        while told.startswith(":", place):
            end = told.index("\0", place)
            modes = told[place + 1 : end].split(" ")
            place = told.index("\0", end + 1) + 1
            changes[told[end + 1 : place - 1]] = Change(_entry(modes[0], modes[2]), _entry(modes[1], modes[3]))
        found.append(changes)
    return found


def _entry(mode: str, blob: str) -> Entry | None:
    return None if mode == "000000" else Entry(mode, blob)


def entry_on_disk(root: Path, path: str) -> Entry | None:
    """Return what is at a path now, its content read; what lies behind a symbolic link is not in the work tree."""
    full = os.path.join(root, path)
    if behind_link(root, path):
        return None
    try:
        about = os.lstat(full)
        if stat.S_ISLNK(about.st_mode):
            return Entry(LINK, blob_of(os.fsencode(os.readlink(full))))
        if stat.S_ISREG(about.st_mode):
            return Entry(mode_of(about), blob_of_file(full))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Entry(FOLDER if stat.S_ISDIR(about.st_mode) else OTHER, "")


def mode_of(about: os.stat_result) -> str:
    """Return git's mode of a regular file; on Windows it knows no other than that of a plain one."""
    return EXECUTABLE if about.st_mode & stat.S_IXUSR and os.name != "nt" else FILE


def behind_link(root: Path, path: str) -> bool:
    """Whether one of the folders on the way to the path is a symbolic link."""
    parent = os.path.dirname(path)
    while parent:
        if os.path.islink(os.path.join(root, parent)):
            return True
        parent = os.path.dirname(parent)
    return False


def blob_of(content: bytes) -> str:
    """Return the id that git gives to this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def blob_of_file(path: str | Path) -> str:
    """Return the id that git gives to the content of a file, read in pieces."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()
