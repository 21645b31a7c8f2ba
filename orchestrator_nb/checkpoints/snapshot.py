"""Taking a checkpoint: the work tree, or declared paths of it, becomes a commit without parents.

Nothing of the user's repository is written: not its index, its references, its objects, its files. Bytes go in as they
are on disk. What git has seen of each file it remembers in an index of the run, so that unchanged files cost a look.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from orchestrator_nb.checkpoints.objects import create_reference, write_commit
from orchestrator_nb.checkpoints.paths import SIZE_LIMIT, sort_declared, sort_paths
from orchestrator_nb.checkpoints.record import Checkpoint, message_of, ref_of
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.errors import CheckpointError

TRIES = 3
PACKED_EVERY = 100
"""Checkpoints after which the references are put into one file, so that listing them stays quick."""


def take(
    store: CheckpointStore,
    *,
    run: str,
    kind: str,
    workflow: str,
    subject: str | None = None,
    label: str | None = None,
    declared: Iterable[str | os.PathLike[str]] = (),
    whole: bool = True,
    position: int = 0,
    more: Mapping[str, Any] | None = None,
    limit: int = SIZE_LIMIT,
    excluded: Callable[[Path], bool] | None = None,
) -> Checkpoint:
    """Take a checkpoint of the whole work tree with the declared paths, or of the declared paths only.

    Untracked files are in it, ignored ones only when they are declared or tracked by the user, files of more than
    `limit` bytes never, nor those that are `excluded`; what was left out is in its `skipped`. Raises CheckpointError.
    """
    asked = Checkpoint(
        run=run, number=0, kind=kind, workflow=workflow, at=time.time(), subject=subject, label=label, whole=whole,
        position=position, more=more or {},
    )  # fmt: skip
    with store.lock():
        return take_locked(store, asked, declared=declared, limit=limit, excluded=excluded)


def take_locked(
    store: CheckpointStore,
    asked: Checkpoint,
    *,
    declared: Iterable[str | os.PathLike[str]] = (),
    limit: int = SIZE_LIMIT,
    excluded: Callable[[Path], bool] | None = None,
) -> Checkpoint:
    """Take a checkpoint as asked, with the store's lock held by the caller."""
    paths = list(declared)
    for attempt in range(TRIES):
        try:
            before = store.last_taken(asked.run)
            checkpoint = _Snapshot(store, asked, before, paths, limit, excluded, knowing=not attempt).take()
            break
        except CheckpointError:
            # A file that vanished or was cut while git read it, an index that lost its objects, a number that another
            # process has taken: begin anew, from what is in the store.
            store.remember(asked.run, None)
            if attempt == TRIES - 1:
                raise
            store.index(asked.run).unlink(missing_ok=True)
    store.remember(asked.run, checkpoint)
    if checkpoint.number % PACKED_EVERY == 0:
        store.git.run("pack-refs", "--all")
    return checkpoint


class _Snapshot:
    def __init__(
        self,
        store: CheckpointStore,
        asked: Checkpoint,
        before: Checkpoint | None,
        declared: list[str | os.PathLike[str]],
        limit: int,
        excluded: Callable[[Path], bool] | None,
        *,
        knowing: bool,
    ) -> None:
        self._store, self._asked, self._before, self._limit = store, asked, before, limit
        self._declared = sort_declared(store.root, declared)
        self._excluded = excluded
        self._named = frozenset(self._declared.files)
        self._files = 0
        self._index = store.index(asked.run)
        self._knowing = knowing
        self._skipped: dict[str, str] = dict(self._declared.skipped)

    def take(self) -> Checkpoint:
        self._index.with_name(self._index.name + ".lock").unlink(missing_ok=True)  # whoever left it is dead
        paths = self._open_index()
        if self._asked.whole:
            if self._asked.kind == "start" and self._index.exists():
                # What was only touched since is read once more here, and not again by each of those that follow.
                self._git("update-index", "-q", "--refresh", fine=(0, 1))
            paths += self._paths("ls-files", "-m", "-o", "--exclude-standard", "-z")
        paths += self._declared.files
        if self._declared.others:
            paths += self._paths("ls-files", "-m", "-o", "-z", "--", *self._declared.others)
        self._update(paths)
        tree = self._git("write-tree").decode().strip()
        head, branch = self._store.user_position() if self._asked.whole else self._as_before()
        checkpoint = replace(
            self._asked,
            number=self._before.number + 1 if self._before else 1,
            previous=self._before.commit if self._before else None,
            head=head,
            branch=branch,
            files=self._files,
            skipped=tuple(sorted(self._all_skipped().items())),
            empty=self._empty_folders(),
        )
        message = message_of(checkpoint).encode("ascii", "backslashreplace")
        reference = ref_of(checkpoint.run, checkpoint.number)
        commit = write_commit(self._store, tree, message, at=checkpoint.at, reference=reference)
        create_reference(self._store, reference, commit)
        return replace(checkpoint, commit=commit, tree=tree)

    # ── the index ───────────────────────────────────────────────────────────────────────────────────────────────

    def _open_index(self) -> list[str]:
        """Have an index of the run and return the paths that a new one has to look at besides."""
        if self._index.exists():
            return []
        if self._before is not None:  # lost, or cut: what it held is in the last checkpoint
            self._git("read-tree", self._before.commit)
            return []
        newest = max(self._index.parent.glob("[!.]*"), key=_modified, default=None)
        if newest is not None and self._knowing:
            self._begin_with(newest)
        return self._tracked_and_ignored()

    def _begin_with(self, other: Path) -> None:
        """Begin with the index of another run: it knows the files, so that they need not all be read once more."""
        part = self._store.temporary_index()
        # With its time: git reads files again that changed in the very moment in which an index was written.
        shutil.copy2(other, part)
        os.replace(part, self._index)
        ignored = self._paths("ls-files", "-c", "-i", "--exclude-standard", "-z")
        self._remove(ignored)  # the other run had declared them

    def _tracked_and_ignored(self) -> list[str]:
        """Return what the user has put under version control although it is ignored: it is as dear as the rest."""
        if self._store.place.git_folder is None:
            return []
        told = self._store.place.user_git().run("ls-files", "-c", "-i", "--exclude-standard", "-z")
        return [path for path in os.fsdecode(told).split("\0") if path]

    def _update(self, paths: list[str]) -> None:
        found = sort_paths(self._store.root, paths, limit=self._limit, excluded=self._excluded, declared=self._named)
        self._files = len(found.kept) + len(found.gone)
        self._skipped.update(found.skipped)
        self._remove(found.gone)
        if found.kept or not self._index.exists():
            # Names that end in "/" were folders; "--replace" has a file take the place of a folder and the reverse.
            self._git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", stdin=_listed(found.kept))

    def _remove(self, paths: list[str]) -> None:
        if paths and self._index.exists():
            self._git("update-index", "--force-remove", "-z", "--stdin", stdin=_listed(paths))

    # ── what goes with it ───────────────────────────────────────────────────────────────────────────────────────

    def _all_skipped(self) -> dict[str, str]:
        """Return what is left out; one that looked only at some paths has the rest from the checkpoint before."""
        if self._asked.whole or self._before is None:
            return self._skipped
        looked_at = {*self._declared.files, *self._declared.others}
        kept = {path: why for path, why in self._before.skipped if path not in looked_at}
        return {**kept, **self._skipped}

    def _empty_folders(self) -> tuple[str, ...]:
        """Return folders without a file, which git does not know of: a rollback must not take them for emptied ones."""
        if self._asked.kind != "start":
            return self._before.empty if self._before else ()
        told = self._paths("ls-files", "-o", "--directory", "--exclude-standard", "-z")
        tops = [path.rstrip("/") for path in told if path.endswith("/") and path.rstrip("/") not in self._skipped]
        root = self._store.root
        inside = (folder for top in tops for folder, _, _ in os.walk(os.path.join(root, top)))
        return tuple(sorted(os.path.relpath(folder, root).replace(os.sep, "/") for folder in inside))

    def _as_before(self) -> tuple[str | None, str | None]:
        return (self._before.head, self._before.branch) if self._before else (None, None)

    def _paths(self, *arguments: str) -> list[str]:
        return [path for path in os.fsdecode(self._git(*arguments)).split("\0") if path]

    def _git(self, *arguments: str, stdin: bytes | None = None, fine: tuple[int, ...] = (0,)) -> bytes:
        index = self._store.with_index(self._index)
        return self._store.git.run(*arguments, stdin=stdin, fine=fine, environment=index)


def _listed(paths: list[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def _modified(path: Path) -> float:
    return -1.0 if path.suffix == ".lock" else path.stat().st_mtime
