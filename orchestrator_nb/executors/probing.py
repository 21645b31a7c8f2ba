"""A look at the machine before a retry: what the command needs of it, and what has changed since it failed."""

from __future__ import annotations

import socket
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator_nb.events import ResourcesProbed
from orchestrator_nb.executors.machine import free_disk, free_files, free_memory, why_unreachable
from orchestrator_nb.ports import Step, Work

HOST = "host "
"""What the names of those checks begin with that ask for a host."""

HOST_TIMEOUT = 2.0
"""Seconds that a host has for taking a connection."""

MOST_HOSTS = 5
"""So many hosts are asked before a retry."""


def probe(step: Step, *, clock: Callable[[], float]) -> ResourcesProbed:
    """Return what the retry of a command that failed would find; what cannot be looked at is left out."""
    begun = time.perf_counter()
    work, record, command, attempt = step.work, step.record, step.command, step.attempt
    assert work is not None
    assert record is not None
    assert command is not None
    assert attempt is not None
    checks = record.checks
    memory = free_memory() if "memory" in checks else None
    hosts = _hosts(check.removeprefix(HOST) for check in checks if check.startswith(HOST))
    disk: dict[str, tuple[int, int]] = {}
    files: int | None = None
    changed: tuple[str, ...] = ()
    with suppress(OSError):
        disk = free_disk(_folders(work)) if "disk" in checks else {}
        files = free_files() if "files" in checks else None
    with suppress(OSError, ValueError):
        changed = (*_moved(record.host), *_changed(work, since=record.ended))
    return ResourcesProbed(
        at=clock(),
        command=command,
        attempt=attempt,
        disk={folder: free for folder, (free, _) in disk.items()},
        disk_sizes={folder: size for folder, (_, size) in disk.items()},
        memory=None if memory is None else memory[0],
        files=files,
        hosts={host: why_unreachable(host, timeout=HOST_TIMEOUT) for host in hosts[:MOST_HOSTS]},
        changed=changed,
        seconds=round(time.perf_counter() - begun, 6),
    )


def _hosts(named: Iterable[str]) -> list[str]:
    """Return the hosts to be looked at. Through a proxy one may be reached that no connection of our own gets to."""
    hosts = [*named]
    if not hosts:
        return []
    from urllib.request import getproxies  # brings HTTP and TLS along, which most runs do without

    return [] if getproxies() else hosts


def _folders(work: Work) -> Iterator[Path]:
    """Yield the folders that the command writes to: what it declares, where it runs, the run's, and that for what is
    there for a while only."""
    home = work.folder / (work.definition.cwd or "")
    yield home
    yield from ((home / text).parent for text in work.definition.writes if "*" not in text)
    yield work.run_folder
    from tempfile import gettempdir

    yield Path(work.definition.environment.get("TMPDIR") or gettempdir())


def _moved(host: str) -> Iterator[str]:
    """Yield that the attempt failed on another host than this one, if it did."""
    here = socket.gethostname()
    if host not in ("", here):
        yield f'the host changed since: "{host}" then, "{here}" now'


def _changed(work: Work, *, since: float | None) -> Iterator[str]:
    """Yield what was written to since the attempt failed: its notebook, what it reads, the installed packages."""
    if since is None:
        return
    definition = work.definition
    home = work.folder / (definition.cwd or "")
    named = [(work.folder / definition.notebook, f'"{definition.notebook}"')] if definition.notebook else []
    named += [(home / text, f'"{text}", which it reads,') for text in definition.reads if "*" not in text]
    named += [
        (Path(folder), "the installed packages")
        for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    ]
    for path, name in named:
        with suppress(OSError):
            if path.stat().st_mtime > since:
                yield f"{name} changed since"
