"""Carrying out the steps of a rollback on the work tree, one file at a time, each whole or not at all.

Everything that will be written lies ready in a folder on the same file system before the first file is touched. A file
that goes is put aside there, or linked there, before another takes its place, and looked at once more when all is done: what somebody wrote in the
last moment is put back beside it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from orchestrator_nb.checkpoints.entries import EXECUTABLE, LINK, Entry, blob_of, entry_on_disk
from orchestrator_nb.checkpoints.planning import Step
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.data.flush import flush_file, flush_folder
from orchestrator_nb.errors import RollbackRefused


def stage_folder(store: CheckpointStore, name: str) -> Path:
    """Return a folder for what is going to be written: on the file system of the work tree."""
    folder = store.folder / "stages" / name
    if os.stat(store.folder).st_dev != os.stat(store.root).st_dev:
        folder = store.root / f".orchestrator-nb-rollback-{name}"
    return folder


def stage(store: CheckpointStore, steps: Sequence[Step], folder: Path) -> None:
    """Write what the steps will put into place, every byte checked. Raises RollbackRefused; then nothing is changed."""
    folder.mkdir(mode=0o700)
    writes = [(number, step, step.then) for number, step in enumerate(steps) if step.then is not None]
    asked = b"".join(then.blob.encode() + b"\n" for _, _, then in writes)
    try:
        with store.git.stream("cat-file", "--batch", stdin=asked) as answers:
            for number, step, then in writes:
                content = _content(answers, then, step.path)
                _write(folder / f"new-{number}", content, then, os.path.join(store.root, step.path))
    except OSError as error:
        raise RollbackRefused(
            f'there is no room to prepare the rollback in "{folder}": {error.strerror or error}; nothing was changed'
        ) from error


def _content(answers: BinaryIO, entry: Entry, path: str) -> bytes:
    about = answers.readline().split()
    if len(about) == 3 and about[1] == b"blob":
        content = answers.read(int(about[2]))
        answers.read(1)
        if blob_of(content) == entry.blob:
            return content
    raise RollbackRefused(
        f'the checkpoint\'s content of "{path}" is missing or damaged in the store; nothing was changed', (path,)
    )


def _write(path: Path, content: bytes, entry: Entry, target: str) -> None:
    if entry.mode == LINK:
        os.symlink(os.fsdecode(content), path)
        return
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        flush_file(file.fileno())
    mode = path.stat().st_mode
    with suppress(OSError):
        about = os.lstat(target)
        if stat.S_ISREG(about.st_mode):  # who may read it is not in a checkpoint, so it stays as it is
            mode = about.st_mode & ~0o111
    os.chmod(path, stat.S_IMODE(mode) | ((mode & 0o444) >> 2 if entry.mode == EXECUTABLE else 0))


def apply(store: CheckpointStore, steps: Sequence[Step], folder: Path, *, empty: frozenset[str]) -> list[str]:
    """Carry out the steps and return the paths that were left, since somebody changed them in this very moment.

    Folders that become empty go, those in `empty` stay: they were there before without a file.
    """
    late: list[str] = []
    parents: set[str] = set()
    for number, step in enumerate(steps):
        full = os.path.join(store.root, step.path)
        now = entry_on_disk(store.root, step.path)
        if now == step.then:
            continue
        if step.now is not None and now != step.now:
            late.append(step.path)
            continue
        done = _remove(store.root, step, folder / f"old-{number}", empty) if step.then is None else None
        if done is None:
            done = _put(full, folder / f"new-{number}", folder / f"old-{number}", replacing=step.now is not None)
        if not done:
            late.append(step.path)
        parents.add(os.path.dirname(full))
    for parent in parents:
        with suppress(OSError):
            flush_folder(Path(parent))
    return late


def _remove(root: Path, step: Step, aside: Path, empty: frozenset[str]) -> bool:
    full = os.path.join(root, step.path)
    try:
        os.rename(full, aside)
    except OSError as error:
        if error.errno != errno.EXDEV:
            return False
        os.unlink(full)
    inside = os.path.dirname(step.path)
    while inside and inside not in empty:
        try:
            os.rmdir(os.path.join(root, inside))
        except OSError:
            break
        inside = os.path.dirname(inside)
    return True


def _put(full: str, staged: Path, aside: Path, *, replacing: bool) -> bool:
    """Put the staged file into its place; where nothing is to be there, what has come there meanwhile stays."""
    try:
        if os.path.isdir(full) and not os.path.islink(full):
            for found, _, _ in os.walk(full, topdown=False):
                os.rmdir(found)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if replacing:
            with suppress(OSError):  # not every file system has links; then the comparison before has to do
                os.link(full, aside, follow_symlinks=False)
            _move(staged, full)
        elif staged.is_symlink():
            os.symlink(os.readlink(staged), full)
        else:
            _place_new(staged, full)
    except (FileExistsError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            return False
        raise
    return True


def _place_new(staged: Path, full: str) -> None:
    try:
        os.link(staged, full)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(full):
            raise FileExistsError(full) from None
        _move(staged, full)


def _move(staged: Path, full: str) -> None:
    try:
        os.replace(staged, full)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = f"{full}.rollback-part"  # a file system mounted inside the project
        shutil.copy2(staged, part, follow_symlinks=False)
        os.replace(part, full)


def rescue(store: CheckpointStore, steps: Sequence[Step], folder: Path) -> list[str]:
    """Put back beside its place what somebody wrote into a file in the moment in which it went; return the names."""
    found: list[str] = []
    for number, step in enumerate(steps):
        old = folder / f"old-{number}"
        if step.now is None or not os.path.lexists(old):
            continue
        there = entry_on_disk(folder, old.name)
        if there is not None and there.blob != step.now.blob:
            stem, ending = os.path.splitext(os.path.join(store.root, step.path))
            name = f"{stem}.written-during-rollback{ending}"
            os.makedirs(os.path.dirname(name), exist_ok=True)
            os.replace(old, name)
            found.append(os.path.relpath(name, store.root).replace(os.sep, "/"))
    return found
