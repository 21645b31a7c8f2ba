"""What a forked kernel says at its end of what it has imported, for the kernels of later runs to have it before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

IMPORTED = "imported.json"
"""The file in which a kernel says so, in the folder of its connection file."""

MOST = 50
"""How many modules are taken notice of at most."""

_NAME = r"[^\W\d]\w*(\.[^\W\d]\w*)*"


def read_imported(folder: Path) -> tuple[str, ...]:
    """Return what a kernel has said; nothing where it has said nothing, or what it says makes no sense."""
    try:
        said = json.loads((folder / IMPORTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return module_names(said) if isinstance(said, list) else ()


def module_names(said: Iterable[Any]) -> tuple[str, ...]:
    """Return what is the name of a module among this, sorted."""
    names = {name for name in said if isinstance(name, str) and re.fullmatch(_NAME, name)}
    return tuple(sorted(names)[:MOST])
