"""live.json: how far the commands under way are and what they printed last, for watchers. No facts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

FILE = "live.json"
LARGEST = 2**20


def write_live(run_folder: Path, document: Mapping[str, Any]) -> None:
    """Write the file so that a reader sees the old or the new; what cannot be written is left out."""
    part = run_folder / f".{FILE}.part"
    with suppress(OSError, ValueError):
        part.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8", errors="backslashreplace")
        os.replace(part, run_folder / FILE)


def read_live(run_folder: Path) -> dict[str, Any]:
    """Return what the owner last wrote, an empty dictionary where there is nothing to be read."""
    try:
        with open(run_folder / FILE, "rb") as file:
            document = json.loads(file.read(LARGEST))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def remove_live(run_folder: Path) -> None:
    """Remove the file: nobody drives the run any more."""
    for name in (FILE, f".{FILE}.part"):
        with suppress(OSError):
            (run_folder / name).unlink()
