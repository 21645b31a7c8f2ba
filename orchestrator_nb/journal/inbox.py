"""The inbox of a run: what other processes ask of its owner, one file a request, put there by atomic rename.

A request is taken by a second rename, so that it is taken once or withdrawn, never both. What it comes to is in the
journal, in a fact that bears its id; the file is removed after that.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Any

from msgspec import Struct, field

from orchestrator_nb.data.disk import write_error
from orchestrator_nb.journal.identity import asker
from orchestrator_nb.values import token

FOLDER = "inbox"
FORMAT = 1
LARGEST = 64 * 1024
"""Bytes that a request has at the most."""

_NAME = re.compile(r"^([0-9a-f]{16,64})\.json$")


class Asked(Struct, frozen=True, kw_only=True):
    """A request as it lies in the inbox. `until` is when whoever asked stops waiting, in seconds since the epoch."""

    id: str
    run: str
    kind: str
    until: float
    arguments: Mapping[str, Any] = field(default_factory=dict)
    by: Mapping[str, Any] = field(default_factory=dict)


class Refused(Struct, frozen=True, kw_only=True):
    """A file of the inbox that is no request to this run; `reason` says what is wrong with it."""

    name: str
    reason: str


def post(run_folder: Path, kind: str, arguments: Mapping[str, Any], *, wait: float) -> str:
    """Put a request into the inbox of a run and return its id; it holds for `wait` seconds. Raises StoreError."""
    request, now = token(16), time.time()
    document = {
        "format": FORMAT,
        "request": request,
        "run": run_folder.name,
        "kind": kind,
        "arguments": dict(arguments),
        "by": asker(),
        "at": now,
        "until": now + wait,
    }
    inbox = run_folder / FOLDER
    part = inbox / f".{request}.part"
    try:
        inbox.mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        os.replace(part, inbox / f"{request}.json")
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise write_error(f'the request cannot be put into "{inbox}"', inbox, error) from error
    return request


def withdraw(run_folder: Path, request: str) -> bool:
    """Take a request back; False when it was taken by the owner already."""
    try:
        (run_folder / FOLDER / f"{request}.json").unlink()
    except OSError:
        return False
    return True


class Inbox:
    """The owner's side of the inbox of one run."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / FOLDER
        self._run = run_folder.name
        self._done: set[str] = set()
        self._unmovable: set[str] = set()
        for name in self._names():
            # Taken by an owner that died before it could remove it: what it came to is in the journal.
            if name.endswith(".taken"):
                self._remove(name)

    def look(self) -> Iterator[Asked | Refused]:
        """Yield what has come since the last look; each is out of the inbox then, and never given a second time."""
        for name in self._names():
            if name.startswith(".") or name in self._unmovable:
                continue
            found = self._taken(name)
            if found is not None:
                yield found

    def done(self, request: str) -> None:
        """Remove a request that was given by `look`: what it came to is recorded."""
        self._remove(f".{request}.taken")

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self._folder))
        except OSError:
            return []

    def _taken(self, name: str) -> Asked | Refused | None:
        """Take a file out of the inbox and return what it is, None when somebody was faster."""
        found = _NAME.match(name)
        taken = f".{found[1]}.taken" if found else f".{token(8)}.taken"
        try:
            os.rename(self._folder / name, self._folder / taken)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._unmovable.add(name)
            return Refused(name=name, reason=f"it cannot be taken out of the inbox: {error.strerror or error}")
        reason = "its name is not that of a request"
        if found is not None and found[1] in self._done:
            reason = "a request of this id was taken before"
        elif found is not None:
            try:
                asked = _read(self._folder / taken, found[1], self._run)
            except OSError as error:
                reason = f"it cannot be read: {error.strerror or error}"
            except ValueError as error:
                reason = str(error)
            else:
                self._done.add(asked.id)
                return asked
        self._remove(taken)
        return Refused(name=name, reason=reason)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            (self._folder / name).unlink()


def _read(path: Path, request: str, run: str) -> Asked:
    """Return the request in a file. Raises OSError and ValueError saying what is wrong with it."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags)
    facts = os.fstat(descriptor)
    if not S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise ValueError("it is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if hasattr(os, "getuid") and facts.st_uid != os.getuid():
            raise ValueError(f"it belongs to user {facts.st_uid}, and the owner of the run is user {os.getuid()}")
        if facts.st_size > LARGEST:
            raise ValueError(f"it has {facts.st_size:,} bytes; expected at most {LARGEST:,}")
        text = file.read(LARGEST + 1)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON: torn, or not written by rename") from error
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - a file that does not fit, like the others
    if document.get("format") != FORMAT:
        raise ValueError(
            f"its format is {document.get('format')!r}; expected {FORMAT}, perhaps a newer version wrote it"
        )
    if document.get("request") != request or document.get("run") != run:
        raise ValueError("it is a request of another id or to another run")
    until, arguments, by = document.get("until"), document.get("arguments"), document.get("by")
    if not isinstance(until, int | float) or not isinstance(arguments, dict) or not isinstance(by, dict):
        raise ValueError('"until", "arguments" or "by" is missing or of the wrong type')  # noqa: TRY004 - as above
    if until < time.time():
        raise ValueError("whoever asked has stopped waiting for it")
    return Asked(id=request, run=run, kind=str(document.get("kind")), until=until, arguments=arguments, by=by)
