"""The content of the files that a command declares, as hashes by which it is told from what it was."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.data.artifacts import digest
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.errors import UsageError
from orchestrator_nb.plan.access import filled, place_of
from orchestrator_nb.plan.resources import Locator, Resource, is_named

SETTLED = 2_000_000_000
"""Nanoseconds after its last change from when on a file's times tell whether it changes again: file systems count
coarsely."""


class Contents:
    """Hashes of files; one that has not changed since it was hashed is not read again. Safe in any thread."""

    def __init__(self) -> None:
        # One entry is set at a time: no lock.
        self._known: dict[str, tuple[tuple[int, ...], str]] = {}

    def of(
        self, texts: Iterable[str], command: CommandDefinition, *, folder: Path, parameters: Mapping[str, Any]
    ) -> dict[str, str | None]:
        """Return for each declared path its SHA-256 (of a folder or a pattern: of the names and hashes in it), None
        where nothing is there.

        `folder` is the definition's, `parameters` the workflow's. Named resources, and what cannot be read, are left
        out.
        """
        found: dict[str, str | None] = {}
        place = place_of(command, folder)
        for text in texts:
            try:
                resource = Locator().resource(filled(text, parameters), folder=place)
                if not resource.named:
                    found[text] = self._hash(resource)
            except (OSError, UsageError, ValueError):
                continue
        return found

    def _hash(self, resource: Resource) -> str | None:
        path = resource.path
        if path is not None and path.is_file():
            return self._file(path)
        if path is not None and not path.is_dir():
            return None
        base = path or Path(resource.base)
        files = sorted(set(_below(base) if path is not None else _matching(base, resource.pattern)))
        if path is None and not files:
            return None
        listing = hashlib.sha256()
        for file in files:
            name = file.relative_to(base).as_posix()
            listing.update(f"{len(name)} {name} {self._file(file)}\n".encode("utf-8", "surrogateescape"))
        return listing.hexdigest()

    def _file(self, path: Path) -> str:
        before = path.stat()
        version = (before.st_size, before.st_mtime_ns, before.st_ctime_ns, before.st_ino, before.st_dev)
        known = self._known.get(str(path))
        if known is not None and known[0] == version:
            return known[1]
        sha256, _ = digest(path)
        if time.time_ns() - max(before.st_mtime_ns, before.st_ctime_ns) > SETTLED:
            self._known[str(path)] = version, sha256
        return sha256


def named_resources(command: CommandDefinition, parameters: Mapping[str, Any]) -> list[str]:
    """Return what a command reads and writes that is no file. Raises UsageError for a text that cannot be read."""
    texts = [filled(text, parameters) for text in (*command.reads, *command.writes)]
    return [text for text in dict.fromkeys(texts) if is_named(text)]


def _matching(base: Path, pattern: str) -> Iterator[Path]:
    for path in base.glob(pattern):
        if path.is_dir():
            yield from _below(path)
        else:
            yield path


def _below(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)
