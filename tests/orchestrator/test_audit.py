"""The audit finds what is not as it was recorded, and names place, fault and repair; history lists what there is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.orchestrator.store.audit import audit_run
from orchestrator_nb.orchestrator.store.history import summaries


@pytest.fixture(name="run")
def _run(project):
    """A completed run with a file, a table of numbers and a log."""
    flow = Workflow("w")

    @flow.command
    def write():
        print("writing")
        Path("out.txt").write_text("x" * 100)
        return Path("out.txt")

    flow.command(lambda write: len(write.read_text()), id="measure")
    return flow.start()


def change(path):
    """Change a byte in the middle of a file, however it is protected."""
    os.chmod(path, 0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_run_as_it_was_recorded_has_no_findings(run):
    """Neither has one with a torn tail, which a death leaves and a resume moves aside."""
    assert audit_run(run.folder) == []
    with open(run.folder / "journal.jsonl", "ab") as file:
        file.write(b'{"seq":99,"ki')
    assert audit_run(run.folder) == []


def test_a_changed_byte_in_a_result_is_found(run):
    """The artifact is named with the command that made it."""
    artifact = next(path for path in (run.folder / "artifacts").rglob("*") if path.is_file())
    change(artifact)
    (finding,) = audit_run(run.folder)
    assert 'result of "write"' in finding.place
    assert "is damaged" in finding.what
    assert 'run "write" again' in finding.repair
    artifact.unlink()
    (finding,) = audit_run(run.folder)
    assert "was deleted or never written" in finding.what


def test_a_changed_byte_in_the_journal_is_found(run):
    """The chain names the line."""
    change(run.folder / "journal.jsonl")
    (finding,) = audit_run(run.folder)
    assert "line " in finding.what
    assert finding.place.endswith("journal.jsonl")


def test_what_is_missing_or_differs_beside_the_journal_is_found(run):
    """A log that was edited, a manifest that is gone or wrong, a definition that cannot be read."""
    log = next((run.folder / "logs").iterdir())
    log.write_text("something else")
    assert [item.what for item in audit_run(run.folder)] == ["it has changed since the manifest was written"]
    log.unlink()
    assert 'the file of "write" is gone' in [item.what for item in audit_run(run.folder)]
    manifest = run.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"state": "completed"', '"state": "failed"', 1))
    assert any('it says "failed", the journal "completed"' in item.what for item in audit_run(run.folder))
    manifest.write_text("{")
    (run.folder / "definition.json").write_text("{")
    assert {Path(item.place).name for item in audit_run(run.folder)} == {"definition.json", "manifest.json", log.name}
    manifest.unlink()
    assert any("it is missing" in item.what for item in audit_run(run.folder))


def test_history_lists_runs_the_latest_first(run, store):
    """Failed runs, runs of other workflows and damaged journals are rows like any other."""
    other = Workflow("other")
    other.command(lambda: 1 / 0, id="a")
    failed = other.start(check=False)
    rows = list(summaries(store))
    assert [(row["run"], row["state"], row["succeeded"]) for row in rows] == [
        (failed.id, "failed", 0),
        (run.id, "completed", 2),
    ]
    assert [row["run"] for row in summaries(store, workflow="w")] == [run.id]
    assert len(list(summaries(store, limit=1))) == 1
    change(run.folder / "journal.jsonl")
    assert [row["state"] for row in summaries(store)] == ["failed", "damaged"]
