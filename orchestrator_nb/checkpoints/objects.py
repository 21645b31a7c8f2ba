"""A commit and its reference, written as git writes them: two programs less to start for every checkpoint.

The store is ours alone, of a form that git documents, and its lock is held; git reads, packs and checks what is written.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path

from orchestrator_nb.checkpoints.listing import add_copy, commit_id
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.data.flush import flush_file, flush_folder
from orchestrator_nb.errors import CheckpointError

WHO = "orchestrator-nb <orchestrator-nb@localhost>"


def write_commit(store: CheckpointStore, tree: str, message: bytes, *, at: float, reference: str) -> str:
    """Write a commit without parents, of which this will be the reference, and return its id. Raises CheckpointError."""
    head = f"tree {tree}\nauthor {WHO} {int(at)} +0000\ncommitter {WHO} {int(at)} +0000\n\n".encode("ascii")
    body = head + message
    content = b"commit %d\0" % len(body) + body
    name = commit_id(body)
    path = store.folder / "objects" / name[:2] / name[2:]
    if not path.exists():
        part = path.with_name(f"tmp_obj_{os.getpid()}")  # what git's own collection takes for a leftover
        _put(path, zlib.compress(content, 1), part, durable=store.durable, mode=0o444)
    add_copy(store.folder, reference, body)
    return name


def create_reference(store: CheckpointStore, reference: str, commit: str) -> None:
    """Let a new reference name a commit. Raises CheckpointError where there is one of that name."""
    path = store.folder / reference
    if path.exists() or _is_packed(store, reference):
        raise CheckpointError(f'there is a checkpoint "{reference}" already: another process has taken it')
    part = path.with_name(f"{path.name}.lock")  # what git takes for no reference
    _put(path, f"{commit}\n".encode("ascii"), part, durable=store.durable, mode=0o644)


def _is_packed(store: CheckpointStore, reference: str) -> bool:
    """Whether the reference is in the file that holds many, which is read anew when it has changed."""
    path = store.folder / "packed-refs"
    try:
        about = path.stat()
    except FileNotFoundError:
        return False
    version = (about.st_ino, about.st_size, about.st_mtime_ns)
    if store.packed is None or store.packed[0] != version:
        lines = path.read_bytes().splitlines()
        store.packed = version, frozenset(line.partition(b" ")[2] for line in lines)
    return os.fsencode(reference) in store.packed[1]


def _put(path: Path, content: bytes, part: Path, *, durable: bool, mode: int) -> None:
    """Write a file whole or not at all; `part` is its name until then."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(file, left) :]
            if durable:
                flush_file(file)
        finally:
            os.close(file)
        os.replace(part, path)
        if durable:
            flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise CheckpointError(f'"{path}" could not be written: {error.strerror or error}') from error
