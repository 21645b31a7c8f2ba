"""What is looked at before a retry, and what of it a retry would miss."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator_nb import events as e
from orchestrator_nb.values import Classified

ALWAYS = ("disk", "memory", "files")
"""What is looked at before each retry."""

LEAST_DISK, LEAST_MEMORY, LEAST_FILES = 16 * 2**20, 64 * 2**20, 16
"""With less of it, in bytes and in files, hardly anything goes well, whatever it failed by before."""

ENOUGH_DISK, ENOUGH_MEMORY, ENOUGH_FILES = 64 * 2**20, 256 * 2**20, 64
"""What there has to be of it where it was the want of it that made the attempt fail."""

SMALL_DISK = 20
"""Of a file system, the part that is enough, where that is less."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds for which a retry is put off for the first time, doubled each further time, and at the most."""

MOST_PUT_OFFS = 12
"""So often a retry is put off, some eight minutes in all; then it is made all the same, since only it knows for sure."""

_PORTS = {"http": 80, "https": 443, "ftp": 21, "postgresql": 5432, "postgres": 5432, "mysql": 3306, "redis": 6379}
_URL = r"\b([a-z][a-z0-9+]*)://(?:[^\s/@'\"]*@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?"
_POOL = r"(HTTPS?)ConnectionPool\(host='([^']+)', port=([0-9]{1,5})\)"
_OBJECT = r"HTTP(S?)Connection\(host='([^']+)', port=([0-9]{1,5})\)"
_CALL = r"Connect call failed \('([0-9A-Fa-f.:]+)', ([0-9]{1,5})"
_SERVER = r'server at "([^"]+)"(?: \([^)]*\))?, port ([0-9]{1,5}) failed'
_OF_NETWORK = frozenset({"network_connectivity", "external_service_failure"})


def checks_before_retry(failure: e.Failure, error: Classified) -> tuple[str, ...]:
    """Return what is to be looked at before the retry of what failed so: resources, and the hosts that the error itself
    names, where no connection to them came about."""
    if error.kind not in _OF_NETWORK or failure.evidence.get("status") is not None:
        return ALWAYS
    return (*ALWAYS, *(f"host {host}" for host in dict.fromkeys(_hosts(failure.message[:4000]))))


def missing(probed: e.ResourcesProbed, error: Classified | None, *, memory: int = 0) -> list[str]:
    """Return in words what a retry would miss; `memory` are the bytes that the command says it needs."""
    kind = "" if error is None else error.kind
    full, starved, crowded = kind == "storage_limitations", kind == "context_overflow", kind == "resource_exhaustion"
    found = []
    for folder, free in probed.disk.items():
        size = probed.disk_sizes.get(folder)
        wanted = ENOUGH_DISK if full and not _is_about_rights(error) else LEAST_DISK
        wanted = wanted if size is None else min(wanted, size // SMALL_DISK)
        if free < wanted:
            found.append(f'"{folder}" has {_size(free)} free, and {_size(wanted)} are wanted')
    wanted = max(memory, ENOUGH_MEMORY) if starved else LEAST_MEMORY
    if probed.memory is not None and probed.memory < wanted:
        found.append(f"{_size(probed.memory)} of memory can be had, and {_size(wanted)} are wanted")
    least = ENOUGH_FILES if crowded else LEAST_FILES
    if probed.files is not None and probed.files < least:
        found.append(f"{probed.files} more files may be opened, and {least} are wanted")
    found += [f"{host} cannot be reached ({why})" for host, why in probed.hosts.items() if why]
    return found


def _hosts(message: str) -> Iterator[str]:
    for _, host, port in (*re.findall(_POOL, message), *re.findall(_OBJECT, message)):
        yield f"{host}:{port}"
    for host, port in (*re.findall(_CALL, message), *re.findall(_SERVER, message)):
        yield f"{host}:{port}"
    for scheme, host, port in re.findall(_URL, message):
        if port or scheme in _PORTS:
            yield f"{host}:{port or _PORTS[scheme]}"


def _is_about_rights(error: Classified | None) -> bool:
    return error is not None and any("EACCES" in told or "EPERM" in told for told in error.evidence)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
