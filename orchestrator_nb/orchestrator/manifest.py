"""The manifest of a run: every file that it left, with its size and hash, for people and for archives."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.event_json import stored_to_plain
from orchestrator_nb.events import Stored
from orchestrator_nb.orchestrator.frozen import write_whole
from orchestrator_nb.orchestrator.result import ARTIFACTS
from orchestrator_nb.state import RunState

FILE = "manifest.json"


def write_manifest(folder: Path, state: RunState) -> None:
    """Write what the run has come to and the files that belong to it. Raises StoreError."""
    artifacts = Artifacts(folder / ARTIFACTS)
    document = {
        "run": state.run.run,
        "workflow": state.run.workflow,
        "state": state.run.state,
        "commands": {
            name: {
                "state": record.state,
                "output": _plain(record.output(), folder, artifacts),
                "artifacts": {item: _plain(stored, folder, artifacts) for item, stored in record.artifacts.items()},
                "metrics": dict(record.metrics),
                "notebook": record.notebook,
                "log": record.log,
            }
            for name, record in state.commands.items()
        },
        "files": [_file(folder, path) for path in _result_files(folder, state)],
    }
    write_whole(folder / FILE, json.dumps(document, indent=1, ensure_ascii=False).encode())


def _result_files(folder: Path, state: RunState) -> list[Path]:
    """Return the notebooks and logs; artifacts carry their hash already."""
    named = (path for record in state.commands.values() for path in (record.notebook, record.log) if path)
    return sorted(path for path in {folder / name for name in named} if path.is_file())


def _file(folder: Path, path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        sha256 = hashlib.sha256()
        while block := file.read(1 << 20):
            sha256.update(block)
    return {"path": path.relative_to(folder).as_posix(), "size": path.stat().st_size, "sha256": sha256.hexdigest()}


def _plain(stored: Stored | None, folder: Path, artifacts: Artifacts) -> Any:
    if stored is None:
        return None
    if stored.items is not None:
        return {name: _plain(item, folder, artifacts) for name, item in stored.items.items()}
    plain = stored_to_plain(stored)
    if stored.artifact is not None:
        plain["path"] = artifacts.path(stored.artifact).relative_to(folder).as_posix()
    return plain
