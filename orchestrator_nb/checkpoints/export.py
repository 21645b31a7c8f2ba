"""A checkpoint's files outside the store: in a folder, or as a branch for those who ask for one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from orchestrator_nb.checkpoints.planning import Step
from orchestrator_nb.checkpoints.record import Checkpoint, ref_of
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.errors import CheckpointError


def export_files(store: CheckpointStore, checkpoint: Checkpoint, folder: Path, *, steps: Iterable[Step] = ()) -> None:
    """Write all files of a checkpoint, with these steps of a rollback applied to them, into an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise CheckpointError(f'"{folder}" is not empty; name a folder that is, or a new one')
    with store.lock():
        index = store.with_index(store.temporary_index())
        store.git.run("read-tree", checkpoint.commit, environment=index)
        if lines := b"".join(_line(step) for step in steps):
            store.git.run("update-index", "--replace", "-z", "--index-info", stdin=lines, environment=index)
        store.git.run("checkout-index", "-a", "-f", f"--prefix={os.fspath(folder.resolve())}/", environment=index)
        store.temporary_index()


def _line(step: Step) -> bytes:
    mode, blob = step.then if step.then is not None else ("0", "0" * 40)
    return f"{mode} {blob}\t".encode("ascii") + os.fsencode(step.path) + b"\0"


def export_branch(store: CheckpointStore, checkpoint: Checkpoint, branch: str) -> str:
    """Make a branch of the user's repository out of a checkpoint; return its full name.

    It is new and nothing else changes: no branch is switched, no file written. Raises CheckpointError where there is no
    repository, and for a branch that is there already.
    """
    if store.place.git_folder is None:
        raise CheckpointError(f'"{store.root}" is in no git repository, so there is nowhere to make a branch')
    git = store.place.user_git()
    name = f"refs/heads/{branch}"
    try:
        git.run("check-ref-format", name)
    except CheckpointError as error:
        raise CheckpointError(f'"{branch}" is no name for a branch') from error
    if git.run("rev-parse", "-q", "--verify", name, fine=(0, 1, 128)).strip():
        raise CheckpointError(f'there is a branch "{branch}" already; choose another name')
    source = ref_of(checkpoint.run, checkpoint.number)
    with store.lock():  # nobody forgets it meanwhile
        git.run(
            "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "fetch.recurseSubmodules=false",
            "fetch", "-q", "--no-tags", "--no-write-fetch-head", os.fspath(store.folder), f"{source}:{name}",
        )  # fmt: skip
    return name
