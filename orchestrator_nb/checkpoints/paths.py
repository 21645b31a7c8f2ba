"""Which of the paths that changed can be in a checkpoint, and why the others cannot."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator_nb.checkpoints.entries import behind_link

SIZE_LIMIT = 50 << 20
"""Bytes above which a file is left out, with a note, unless something else was asked for."""


_SECRET = re.compile(r"(^|/)(\.env(\.[^/]*)?|[^/]*\.pem)$")


BEHIND_LINK = "behind a symbolic link"
"""Why a declared path is left out that leads somewhere else: of the project there is nothing at it."""


@dataclass(slots=True)
class Sorted:
    """`kept` go into the checkpoint, `gone` are to be taken out of the index, `skipped` are there and left out."""

    kept: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def sort_paths(
    root: Path,
    paths: Iterable[str],
    *,
    limit: int,
    excluded: Callable[[Path], bool] | None = None,
    declared: Collection[str] = (),
) -> Sorted:
    """Look at each path, relative to the root, and say what becomes of it.

    What is a secret by its name stays out of the store, and a rollback neither restores nor removes it, unless that
    very file is `declared`.
    """
    found = Sorted()
    for path in dict.fromkeys(paths):
        if path.endswith("/"):  # git names a folder only where it is a repository of its own
            found.skipped[path.rstrip("/")] = "a repository of its own"
            continue
        verdict = _verdict(root, path, limit)
        if verdict is None and excluded is not None and excluded(root / path):
            verdict = "it is excluded"
        if verdict is None and _SECRET.search(path) and path not in declared:
            verdict = "a secret by its name; it is kept only where it is declared by itself"
        if verdict is None:
            found.kept.append(path)
            continue
        found.gone.append(path)
        if verdict:
            found.skipped[path] = verdict
    return found


def _verdict(root: Path, path: str, limit: int) -> str | None:
    """Return None for what can be taken, "" for what is not there, else why it is left out."""
    full = os.path.join(root, path)
    if behind_link(root, path):
        return ""  # to git it is not there: the link itself is what is in the work tree
    try:
        about = os.lstat(full)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if stat.S_ISLNK(about.st_mode):
        return None
    if stat.S_ISDIR(about.st_mode):
        return ""
    if not stat.S_ISREG(about.st_mode):
        return "no regular file"
    if about.st_size > limit:
        return f"{about.st_size} bytes, the limit is {limit}"
    return None if os.access(full, os.R_OK) else "it may not be read"


@dataclass(slots=True)
class Declared:
    """Declared paths, relative to the root: `files` that are there, `others` that git has to be asked about."""

    files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def sort_declared(root: Path, declared: Iterable[str | os.PathLike[str]]) -> Declared:
    """Take declared paths, absolute or relative to the root; folders stand for all that is in them, ignored or not."""
    found = Declared()
    for given in declared:
        full = os.path.normpath(os.path.join(root, os.fspath(given)))
        inside = os.path.relpath(full, root).replace(os.sep, "/")
        parts = inside.split("/")
        if parts[0] == ".." or os.path.isabs(inside):
            found.skipped[os.fspath(given)] = "outside the project"
        elif any(part.lower() in {".git", "git~1"} for part in parts):
            found.skipped[inside] = "inside a git repository's own folder"
        elif behind_link(root, inside):
            found.skipped[inside] = BEHIND_LINK
        elif os.path.islink(full) or os.path.isfile(full):
            found.files.append(inside)
        else:
            found.others.append(inside)
    return found
