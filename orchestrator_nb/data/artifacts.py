"""Files by the hash of their content: written once, read-only, never half there."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from orchestrator_nb.data.disk import write_error
from orchestrator_nb.data.flush import flush_file, flush_folder
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.errors import StoreError
from orchestrator_nb.values import token

CHUNK = 2**20
DRAFT = ".draft-"


class Draft:
    """A file that is being written at `path`, where an empty one is; `sha256` and `size` are there afterwards."""

    __slots__ = ("path", "sha256", "size")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sha256 = ""
        self.size = 0

    def fill(self, source: IO[bytes]) -> None:
        """Write what `source` still gives. Raises OSError."""
        with self.path.open("wb") as target:
            while chunk := source.read(CHUNK):
                target.write(chunk)


class Artifacts:
    """The artifacts of a run, as ``<folder>/ab/<sha256><suffix>``; the suffix is for people and no part of the name.

    Content becomes visible by a rename, after it was flushed (unless `durable` is false), so that a file that is
    found is whole. The same content is kept once. Any number of threads and processes may write at the same time.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = Path(folder)
        self.durable = durable
        # What this process has seen whole and, if that was asked for, durable. One entry is set at a time: no lock.
        self._settled: dict[str, Path] = {}

    def put_bytes(self, data: bytes, *, suffix: str = "", at: str | None = None) -> tuple[str, int]:
        """Keep `data` and return its SHA-256 (hexadecimal) and its size in bytes.

        Raises StoreError, and ResultRefused where `at`, its name in messages, is given and it holds a secret.
        """
        if at is not None:
            REDACTOR.refuse(data, at=at)
        sha256 = hashlib.sha256(data).hexdigest()
        if not self._is_here(sha256, len(data)):
            with self._failing("kept"), self._drafting() as path:
                path.write_bytes(data)
                self._settle(path, sha256, suffix)
        return sha256, len(data)

    def put_file(self, path: Path, *, suffix: str | None = None, at: str | None = None) -> tuple[str, int]:
        """Copy the file's content, whatever its size, and return SHA-256 and size of what was copied.

        The suffix is the file's own unless another is given. Raises OSError where `path` cannot be read and
        StoreError where the copy cannot be written, and ResultRefused as `put_bytes` does.
        """
        if at is not None:
            REDACTOR.refuse(path, at=at)
        with path.open("rb") as source, self.writer(suffix=path.suffix if suffix is None else suffix) as draft:
            draft.fill(source)
        return draft.sha256, draft.size

    @contextmanager
    def writer(self, *, suffix: str = "") -> Iterator[Draft]:
        """Give a `Draft` to write to; it is kept when the block ends, and thrown away when it raises.

        Raises StoreError where it cannot be kept.
        """
        with self._drafting() as path:
            draft = Draft(path)
            yield draft
            with self._failing("kept"):
                draft.sha256, draft.size = digest(path)
                if not self._is_here(draft.sha256, draft.size):
                    self._settle(path, draft.sha256, suffix)

    def path(self, sha256: str) -> Path:
        """Return the file with that content, not to be written to. Raises StoreError naming it where there is none."""
        found = self._settled.get(sha256) or self._find(sha256)
        if found is None:
            raise StoreError(f'the artifact "{sha256}" is not in "{self.folder}": it was deleted or never written')
        return found

    def verify(self, sha256: str) -> None:
        """Read the artifact whole. Raises StoreError where it is not there or not what its name says."""
        path = self.path(sha256)
        with self._failing("read"):
            found, size = digest(path)
        if found != sha256:
            raise StoreError(f'the artifact "{path}" is damaged: its {size:,} bytes have the SHA-256 {found}')

    def adopt(self, sha256: str, *, source: Artifacts) -> None:
        """Have an artifact of another folder here, too: as a second name of the same file where the file system can,
        else as a copy. What is here then was read whole and is what its name says.

        Raises StoreError where it is not there, is damaged, or cannot be kept.
        """
        path = source.path(sha256)
        source.verify(sha256)
        with self._failing("kept"):
            if self._is_here(sha256, path.stat().st_size):
                return
            link = self.folder / f"{DRAFT}{os.getpid()}-{token(8)}"
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, link)
            except OSError:  # another file system, or one without links
                if self.put_file(path)[0] != sha256:
                    raise StoreError(f'the artifact "{path}" changed while it was copied') from None
                return
            try:
                self._settle(link, sha256, path.name.removeprefix(sha256))
            finally:  # its mode stays as it is: it is that of the file under all its names
                link.unlink(missing_ok=True)

    def remove_leftovers(self, *, older_than: float = 3600.0) -> int:
        """Delete what writers that died left behind, if untouched for `older_than` seconds; return how many."""
        count = 0
        for path in self.folder.glob(f"{DRAFT}*"):
            with suppress(OSError):  # its writer lives and has just finished
                if time.time() - path.stat().st_mtime >= older_than:
                    path.unlink()
                    count += 1
        return count

    def _is_here(self, sha256: str, size: int) -> bool:
        """Whether the content is here whole, and durable if that was asked for."""
        if sha256 in self._settled:
            return True
        found = self._find(sha256)
        # Without fsync a power cut can leave a name with less behind it: such a file is written anew.
        if found is None or found.stat().st_size != size:
            return False
        if self.durable:  # whoever wrote it may not have come to flushing it
            with self._failing("flushed"):
                _flush(found)
                flush_folder(found.parent)
        self._settled[sha256] = found
        return True

    def _find(self, sha256: str) -> Path | None:
        folder = self.folder / sha256[:2]
        with self._failing("looked for"), suppress(FileNotFoundError), os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.startswith(sha256))
            return folder / names[0] if names else None
        return None

    def _settle(self, draft: Path, sha256: str, suffix: str) -> None:
        """Give the draft its name, so that it is there whole or not at all."""
        target = self.folder / sha256[:2] / f"{sha256}{_clean(suffix)}"
        try:
            target.parent.mkdir()
            new_folder = True
        except FileExistsError:
            new_folder = False
        if self.durable:
            _flush(draft)
        draft.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
        try:
            draft.replace(target)
        except PermissionError:  # Windows: someone has the same content open under this name
            if digest(target)[0] != sha256:
                raise
        if self.durable:
            flush_folder(target.parent)
            if new_folder:
                flush_folder(self.folder)
        self._settled[sha256] = target

    @contextmanager
    def _drafting(self) -> Iterator[Path]:
        path = self.folder / f"{DRAFT}{os.getpid()}-{token(8)}"
        with self._failing("kept"):
            self.folder.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=False)
        try:
            yield path
        finally:
            with suppress(OSError):  # it has its name, or it is left for `remove_leftovers`
                path.chmod(0o600)
                path.unlink()

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_error(f'an artifact could not be {what} in "{self.folder}"', self.folder, error) from error


def digest(path: Path) -> tuple[str, int]:
    """Return SHA-256 (hexadecimal) and size in bytes of a file's content. Raises OSError."""
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
            size += len(chunk)
    return found.hexdigest(), size


def _flush(path: Path) -> None:
    # Windows flushes only what is open for writing, so a file that is read-only already is left to the system there.
    if os.name == "nt" and not os.access(path, os.W_OK):
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        flush_file(descriptor)
    finally:
        os.close(descriptor)


def _clean(suffix: str) -> str:
    return suffix if re.fullmatch(r"(\.[A-Za-z0-9_]{1,12}){1,2}", suffix) else ""
