"""The manifest of a run: every file that it left, with its size and hash, for people and for archives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.flush import write_whole
from orchestrator_nb.data.plain import indented
from orchestrator_nb.events import Stored
from orchestrator_nb.events.json_form import stored_to_plain
from orchestrator_nb.journal.file import Position, scan
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.display.compliance import FILES as REPORTS
from orchestrator_nb.orchestrator.display.compliance import write_compliance
from orchestrator_nb.orchestrator.display.result import ARTIFACTS
from orchestrator_nb.orchestrator.frozen import FILE as DEFINITION
from orchestrator_nb.orchestrator.frozen import SOURCES
from orchestrator_nb.orchestrator.store.leaving import FILE as SUMMARY
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.sharing import referred

FILE = "manifest.json"


def write_manifest(folder: Path, state: RunState, position: Position | None = None) -> None:
    """Write what the run has come to and the files that belong to it; `position` is how far its journal goes.

    Raises StoreError.
    """
    known = None if position is None else position._asdict()
    write_whole(folder / FILE, manifest_text(folder, state, known))


def manifest_text(folder: Path, state: RunState, known: Mapping[str, Any] | None) -> bytes:
    """Return the text of the manifest, with a position in the journal as plain JSON where that is known."""
    artifacts = Artifacts(folder / ARTIFACTS)
    document = {
        "run": state.run.run,
        "workflow": state.run.workflow,
        "state": state.run.state,
        **({} if known is None else {"journal": dict(known)}),
        "commands": {name: _command(record, folder, artifacts) for name, record in state.commands.items()},
        "files": [_file(folder, path) for path in _result_files(folder, state)],
    }
    return indented(document)


def complete_manifest(folder: Path, state: RunState) -> None:
    """Write the manifest of a run whose owner died at its very end, before it had written it. Raises StoreError."""
    try:
        said = json.loads((folder / FILE).read_bytes())["state"]
    except (OSError, ValueError, KeyError, TypeError):
        said = None
    if said != state.run.state:
        *_, (_, position) = scan(folder / JOURNAL)
        write_compliance(folder, state)
        write_manifest(folder, state, position)


def _command(record: CommandRecord, folder: Path, artifacts: Artifacts) -> dict[str, Any]:
    """Return what a command left; what there is none of is left out."""
    plain: dict[str, Any] = {"state": record.state}
    output = record.output()
    if output is not None:
        plain["output"] = _plain(output, folder, artifacts)
    if record.artifacts:
        plain["artifacts"] = _all_plain(record.artifacts, folder, artifacts)
    if record.shared and (shared := _referred(record.shared)):
        plain["shared"] = _all_plain(shared, folder, artifacts)
    if record.metrics:
        plain["metrics"] = record.metrics
    if record.notebook:
        plain["notebook"] = record.notebook
    if record.log:
        plain["log"] = record.log
    return plain


def _referred(changes: Mapping[str, Any]) -> dict[str, Stored]:
    return {name: stored for name, value in changes.items() if (stored := referred(value)) is not None}


def _result_files(folder: Path, state: RunState) -> list[Path]:
    """Return notebooks, logs, reports, and what was frozen; artifacts carry their hash already."""
    records = [record for record in state.commands.values() if record.notebook or record.log]
    named = (path for record in records for path in (record.notebook, record.log) if path)
    frozen = (folder / DEFINITION, *(folder / SOURCES).glob("*"), *(folder / name for name in (*REPORTS, SUMMARY)))
    return sorted(path for path in {*frozen, *(folder / name for name in named)} if path.is_file())


def _file(folder: Path, path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        sha256 = hashlib.sha256()
        while block := file.read(1 << 20):
            sha256.update(block)
    return {"path": path.relative_to(folder).as_posix(), "size": path.stat().st_size, "sha256": sha256.hexdigest()}


def _plain(stored: Stored, folder: Path, artifacts: Artifacts) -> Any:
    if stored.items is not None:
        return _all_plain(stored.items, folder, artifacts)
    if stored.artifact is None:
        return stored
    path = artifacts.path(stored.artifact).relative_to(folder).as_posix()
    return {**stored_to_plain(stored), "path": path}


def _all_plain(stored: Mapping[str, Stored], folder: Path, artifacts: Artifacts) -> dict[str, Any]:
    return {name: _plain(item, folder, artifacts) for name, item in stored.items()}
