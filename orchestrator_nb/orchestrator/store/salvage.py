"""Saving what can still be read of a damaged run: facts, results and files, with a report of what is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.finding import Finding
from orchestrator_nb.errors import OrchestratorError, UsageError
from orchestrator_nb.events import Stored
from orchestrator_nb.journal.check import check_journal
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.display.result import ARTIFACTS, result_of

RESULTS, REPORT, AFTER = "results.json", "REPORT.md", "after-the-damage.jsonl"


def export_readable(folder: Path, place: Path, findings: list[Finding]) -> Path:
    """Write what can be read of a run into a new folder in `place`, and return that.

    The journal as far as its chain fits, the lines after that which are JSON in a file of their own, results as JSON,
    every artifact and file that is what it was, and a report with the findings. Raises UsageError where the folder is
    there already.
    """
    target = place / folder.name
    if target.exists():
        raise UsageError(f'"{target}" is there already: name another folder, or remove it')
    target.mkdir(parents=True)
    checked = check_journal(folder)
    data = (folder / JOURNAL).read_bytes()
    offset = checked.position.offset
    (target / JOURNAL).write_bytes(data[:offset])
    after = [line for line in data[offset:].splitlines() if _is_json(line)]
    if after:
        (target / AFTER).write_bytes(b"\n".join([*after, b""]))
    kept = _artifacts(folder, target)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in (ARTIFACTS, JOURNAL):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)
    result = result_of(checked.state, folder)
    outputs = {name: _plain(stored, kept) for name, stored in result.outputs.stored.items()}
    shared = {name: _plain(stored, kept) for name, stored in result.shared.stored.items()}
    told = {**result.to_plain(), "outputs": outputs, "shared": shared}
    (target / RESULTS).write_text(json.dumps(told, ensure_ascii=False, indent=1, default=str) + "\n", encoding="utf-8")
    lines = [
        f"# What could be read of {folder.name}",
        "",
        f"Facts: {checked.position.seq}, and {len(after)} lines after the damage. Artifacts: {len(kept)}.",
        "",
        *(f"- {finding}" for finding in findings),
        "",
    ]
    (target / REPORT).write_text("\n".join(lines), encoding="utf-8")
    return target


def _artifacts(folder: Path, target: Path) -> set[str]:
    """Copy the artifacts that are what their names say; return their hashes."""
    source, kept = Artifacts(folder / ARTIFACTS), set()
    for path in (folder / ARTIFACTS).glob("??/*"):
        sha256 = path.name[:64]
        try:
            source.verify(sha256)
        except (OrchestratorError, OSError):
            continue
        place = target / ARTIFACTS / path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place / path.name)
        kept.add(sha256)
    return kept


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _plain(stored: Stored, kept: set[str]) -> Any:
    if stored.items is not None:
        return {name: _plain(item, kept) for name, item in stored.items.items()}
    if stored.form == "json" and stored.artifact is None:
        return stored.value
    return {"form": stored.form, "artifact": stored.artifact, "readable": stored.artifact in kept}
