"""How much of the machine is free: memory, open files, room on disks, and whether a host answers."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_LINE = r"(?m)^([A-Za-z_()]+):?[ \t]+([0-9]+)"
_UNLIMITED = 2**60


def free_memory() -> tuple[int, int] | None:
    """Return the bytes of memory that can be had without swapping, and how many there are in all: of the machine, or
    of the control group where that has less left. None where the system does not tell."""
    machine = _of_machine()
    group = _of_group() if sys.platform == "linux" else None
    found = [each for each in (machine, group) if each is not None]
    return min(found) if found else None


def free_files() -> int | None:
    """Return how many more files this process may open, None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = _opened()
    own = None if opened is None or limit == resource.RLIM_INFINITY else limit - opened
    shared = _of_all_files()
    return min((each for each in (own, shared) if each is not None), default=None)


def free_disk(folders: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """Return the bytes that may still be written and the size of the file system, by folder; of one that is not there
    yet, where it would be."""
    found: dict[str, tuple[int, int]] = {}
    for folder in folders:
        there = next((each for each in (folder, *folder.parents) if each.is_dir()), None)
        if there is not None and str(there) not in found:
            with suppress(OSError):
                import shutil

                usage = shutil.disk_usage(there)
                found[str(there)] = usage.free, usage.total
    return found


def why_unreachable(address: str, *, timeout: float) -> str:
    """Return why `host:port` does not take a connection within so many seconds, empty where it does."""
    host, _, port = address.rpartition(":")
    try:
        import socket

        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout):
            return ""
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def _of_machine() -> tuple[int, int] | None:
    if sys.platform == "linux":
        found = _numbers(Path("/proc/meminfo"))
        if "MemAvailable" in found and "MemTotal" in found:
            return found["MemAvailable"] * 1024, found["MemTotal"] * 1024
    import psutil

    with suppress(Exception):  # a container may hide what it reads
        memory = psutil.virtual_memory()
        return int(memory.available), int(memory.total)
    return None


def _of_group() -> tuple[int, int] | None:
    """Return the same of this process's control group, None where it has no limit."""
    for limit, used, told, inactive in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        for root in _places(Path(limit).parent):
            most = _number(root / Path(limit).name)
            taken = _number(root / Path(used).name)
            if most is not None and taken is not None and most < _UNLIMITED:
                given_back = _numbers(root / Path(told).name).get(inactive, 0)  # the system drops it when it has to
                return max(0, most - taken + given_back), most
    return None


def _places(controller: Path) -> list[Path]:
    """Return the folders in which the limits may be, the closest first."""
    found = []
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            if (controllers == "memory") == (controller != Path()) and controllers in ("", "memory"):
                found.append(_CONTROL_GROUPS / controller / path.lstrip("/"))
    return [*found, _CONTROL_GROUPS / controller]


def _opened() -> int | None:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder))
        except OSError:
            continue
    return None


def _of_all_files() -> int | None:
    """Return how many more files all processes of the machine may open together."""
    try:
        opened, _, most = Path("/proc/sys/fs/file-nr").read_text(encoding="ascii").split()
        return int(most) - int(opened)
    except (OSError, ValueError):
        return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # not there, or "max"
        return None


def _numbers(path: Path) -> dict[str, int]:
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    return {name: int(value) for name, value in re.findall(_LINE, text)}
