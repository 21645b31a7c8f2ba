"""What is looked at of the store before the first command of a run: that it can be written, and that it has room."""

from __future__ import annotations

import os
import re
from pathlib import Path

from orchestrator_nb.data.disk import bytes_free, nearest_folder, room_left
from orchestrator_nb.errors import StoreError, StoreFull

LITTLE = 50_000_000
"""Bytes of room below which it is said that there is little."""

LEAST = 1_000_000
"""Bytes of room below which no run begins."""

MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = (
    r"nfs\d?|cifs|smb\d?|smbfs|ncpfs|afs|coda|ceph|lustre|gpfs|beegfs|orangefs|pvfs2|ocfs2|gfs2|9p|davfs2?|afpfs|"
    r"virtiofs|vboxsf|prl_fs|vmhgfs|fuse(?!blk|\.fuse-overlayfs).*"
)
"""File systems that another machine serves, or shares with this one, or a program that may well have it from one."""


def check_store(store: Path) -> tuple[str, ...]:
    """Return what a person should know about the store before a run.

    Raises StoreFull where there is no room for a run and StoreError where this user may not write.
    """
    folder = nearest_folder(store)
    if not os.access(folder, os.W_OK | os.X_OK):
        user = f" by the user {os.getuid()}" if hasattr(os, "getuid") else ""
        raise StoreError(
            f'the store "{store}" cannot be written{user}: "{folder}" does not let them; '
            "name another with --store (store=), or change its permissions"
        )
    free = bytes_free(folder)
    if free is not None and free < LEAST:
        raise StoreFull(f'the store "{store}" has no room for a run: {room_left(folder)}, expected {LEAST:,} at least')
    notes = []
    if free is not None and free < LITTLE:
        notes.append(f'the store "{store}" has little room: {room_left(folder)}; a run waits when there is none left')
    kind = file_system(folder)
    if kind is not None and re.fullmatch(_NETWORK, kind):
        notes.append(
            f'the store "{store}" is on a file system of a network or of another program ({kind}): own its runs from one machine at a time, '
            "since locks may not hold between machines, and count on less where its server loses power"
        )
    return tuple(notes)


def store_notes(store: Path) -> tuple[str, ...]:
    """Return the same for whoever only plans: what would refuse a run is a note like the others."""
    try:
        return check_store(store)
    except StoreError as error:
        return (f"a run would be refused: {error}",)


def file_system(folder: Path, *, mounts: Path | None = None) -> str | None:
    """Return the type of the file system that a folder is on, by Linux's list of mounts; None where it is not known."""
    try:
        lines = (mounts or MOUNTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place, kind, longest = str(folder.resolve()), None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        # What stands over another one is named later.
        root = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), fields[4]).rstrip("/")
        if len(root) >= longest and (place == root or place.startswith(f"{root}/")):
            longest, kind = len(root), after.split()[0]
    return kind
