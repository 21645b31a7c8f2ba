"""The installed kernelspecs, read again only when one of their files or folders has changed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any

_DECIDE = ("JUPYTER", "XDG_", "HOME", "USERPROFILE", "APPDATA", "PROGRAMDATA", "PYTHONUSERBASE", "VIRTUAL_ENV", "CONDA")
"""What the names of the variables begin with that say where kernelspecs lie."""

_Stamps = tuple[tuple[str, int | None], ...]

_lock = threading.Lock()
_known: tuple[tuple[tuple[str, str], ...], _Stamps, dict[str, Any]] | None = None


def installed_specs() -> Mapping[str, Any]:
    """Return Jupyter's `KernelSpec` of each installed kernel, by name; they are shared, and not to be changed."""
    global _known  # noqa: PLW0603 - what was read last
    variables = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(_DECIDE)))
    with _lock:
        if _known is not None and _known[0] == variables and _stamps(path for path, _ in _known[1]) == _known[1]:
            return _known[2]
        paths, specs = _read()
        _known = (variables, _stamps(paths), specs)
        return specs


def _read() -> tuple[list[str], dict[str, Any]]:
    """Return the specs, and the paths at which others would be seen."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    manager = KernelSpecManager()
    found = sorted(manager.get_all_specs().items())
    paths = list(manager.kernel_dirs)
    paths += [os.path.join(entry["resource_dir"], "kernel.json") for _, entry in found]
    return paths, {name: KernelSpec(resource_dir=entry["resource_dir"], **entry["spec"]) for name, entry in found}


def _stamps(paths: Iterable[str]) -> _Stamps:
    return tuple((path, _changed(path)) for path in paths)


def _changed(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None
