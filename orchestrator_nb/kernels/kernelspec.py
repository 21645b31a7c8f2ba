"""Kernelspecs by which any Jupyter tool starts forked kernels: installed for this Python, listed and removed."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator_nb.kernels.forked_app import NO_HISTORY

PROVISIONER = "orchestrator-nb-fork"
"""The name of the entry point of our provisioner."""

NAME = "python3-forked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkedSpec:
    """An installed kernelspec of ours: its name, its folder, its interpreter, and what it imports before the fork."""

    name: str
    folder: Path
    python: str
    preload: tuple[str, ...]


def install(name: str = NAME, *, preload: Sequence[str] = (), prefix: str | None = None) -> ForkedSpec:
    """Install a kernelspec for this Python, for the user or below `prefix`, over one of ours with that name.

    Raises ValueError where `name` is no name for a kernel or that of a kernelspec of someone else's, OSError where it
    cannot be written.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    manager = KernelSpecManager()
    if name.lower() in manager.find_kernel_specs() and name.lower() not in {spec.name for spec in installed()}:
        raise ValueError(f'there is a kernel "{name}" already, which was not installed by this verb; take another name')
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", NO_HISTORY],
        "display_name": f"Python {version} (forked)" if name == NAME else f"{name} (forked)",
        "language": "python",
        "metadata": {
            "debugger": False,
            "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": {"preload": list(preload)}},
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kernel.json").write_text(json.dumps(spec, indent=1), encoding="utf-8")
        place = manager.install_kernel_spec(folder, name, user=prefix is None, prefix=prefix)
    return ForkedSpec(name=name.lower(), folder=Path(place), python=sys.executable, preload=tuple(preload))


def installed() -> list[ForkedSpec]:
    """Return all installed kernelspecs of ours, by name."""
    from jupyter_client.kernelspec import KernelSpecManager

    found = []
    for name, folder in sorted(KernelSpecManager().find_kernel_specs().items()):
        try:  # Jupyter itself hides those whose provisioner is not installed
            spec = json.loads(Path(folder, "kernel.json").read_text(encoding="utf-8"))
            provisioner = spec.get("metadata", {}).get("kernel_provisioner", {})
            if provisioner.get("provisioner_name") == PROVISIONER:
                preload = tuple(provisioner.get("config", {}).get("preload", ()))
                found.append(ForkedSpec(name=name, folder=Path(folder), python=spec["argv"][0], preload=preload))
        except (OSError, ValueError, AttributeError, LookupError):  # someone else's, and broken
            continue
    return found


def remove(name: str) -> ForkedSpec:
    """Remove a kernelspec of ours. Raises ValueError where there is none of that name."""
    from jupyter_client.kernelspec import KernelSpecManager

    specs = {spec.name: spec for spec in installed()}
    spec = specs.get(name.lower())
    if spec is None:
        known = ", ".join(specs) or "none"
        raise ValueError(f'there is no kernel "{name}" that was installed by this verb; there is: {known}')
    KernelSpecManager().remove_kernel_spec(spec.name)
    return spec
