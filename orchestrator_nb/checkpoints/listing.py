"""What a list of checkpoints is read from without starting a program: references, and copies of their commits.

The copies of a run are in one file, one after the other. They are no second truth: each is known by its own id, so that
one that was cut, changed or forgotten is not found, and then git is asked.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

LARGEST = 8192
"""Bytes of a commit above which it is not copied: with a long list of left out files every checkpoint would be long."""

_RUNS = "refs/runs/"


def commit_id(body: bytes) -> str:
    """Return git's name for a commit of this content."""
    return hashlib.sha1(b"commit %d\0" % len(body) + body, usedforsecurity=False).hexdigest()


def copies_of(folder: Path, reference: str) -> Path:
    """Return the file of the store in `folder` that has copies of the commits of a run, of which this is a reference."""
    return folder / "commits" / reference.split("/")[2]


def add_copy(folder: Path, reference: str, body: bytes) -> None:
    """Add the copy of a commit, with the store's lock held; without room for it, or where it is long, there is none."""
    if len(body) > LARGEST or b"\0" in body:
        return
    path = copies_of(folder, reference)
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(b"\0" + body)  # first the border: what was cut before does not spoil it


def listed(folder: Path, where: str) -> list[tuple[str, bytes]] | None:
    """Return id and content of every commit that has a reference in the folder `where`, in the order of their names.

    None where a copy is missing.
    """
    references = references_in(folder, where)
    known: dict[str, bytes] = {}
    for run in {reference.split("/")[2] for reference in references}:
        with suppress(OSError):
            known.update((commit_id(body), body) for body in copies_of(folder, _RUNS + run).read_bytes().split(b"\0"))
    commits = [references[reference] for reference in sorted(references, key=os.fsencode)]
    if any(commit not in known for commit in commits):
        return None
    return [(commit, known[commit]) for commit in commits]


def references_in(folder: Path, where: str) -> dict[str, str]:
    """Return the commits by reference: those in files of their own, which come first, then those that were packed.

    In this order none is missed that is packed meanwhile; a file of its own is younger than what is packed.
    """
    loose: dict[str, str] = {}
    folders = [folder / where] if where != _RUNS else sorted(folder.glob(f"{_RUNS}*"))
    for each in folders:
        for path in each.glob("[0-9]*[0-9]"):
            with suppress(OSError, UnicodeDecodeError):  # git names one that says nothing
                loose[f"{_RUNS}{each.name}/{path.name}"] = path.read_text("ascii").strip()
    found: dict[str, str] = {}
    with suppress(OSError):
        for line in os.fsdecode((folder / "packed-refs").read_bytes()).split("\n"):
            commit, _, reference = line.partition(" ")
            if reference.startswith(where):
                found[reference] = commit
    return {**found, **loose}
