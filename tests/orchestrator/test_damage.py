"""A store that is damaged on purpose: every damage is found, with its place and repair, and the rest can be saved."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_nb import Workflow, context
from orchestrator_nb import events as e
from orchestrator_nb.commands.processes import marks
from orchestrator_nb.journal.check import check_journal
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.index.index import Index
from orchestrator_nb.orchestrator.store.audit import audit_run
from orchestrator_nb.orchestrator.store.invariants import Invariants
from orchestrator_nb.orchestrator.store.salvage import export_readable


@pytest.fixture(name="run")
def _run(project):
    """A completed run with everything: a file, records, a log, gates with evidence, a report, declared outputs."""
    (project / "steps.py").write_text("def measure(write):\n    return {'letters': len(write.read_text())}\n")
    flow = Workflow("w", quality_requirements=["measure.letters == 100"])

    @flow.command(gates=[keeps])
    def write():
        print("writing")
        context.record("note", "x" * 70_000)
        Path("out.txt").write_text("x" * 100)
        return Path("out.txt")

    flow._add("measure", {"call": "steps:measure", "after": ["write"], "outputs": {"letters": "integer"}})
    return flow.start(wait=True)


def keeps(subject):
    from orchestrator_nb import Verdict

    return Verdict(holds=True, evidence=subject.keep("all is well", "evidence.txt"))


def facts(folder):
    """The files of a run that say something about it."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("owner"))


def flip(path, place, bit):
    os.chmod(path, 0o600)
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def test_every_flipped_bit_is_found(run):
    """In whichever file and place; put back, nothing is wrong any more."""
    draw = random.Random(7)
    assert audit_run(run.folder) == []
    names = [path.relative_to(run.folder) for path in facts(run.folder)]
    assert {name.parts[0] for name in names} >= {
        "journal.jsonl", "manifest.json", "definition.json", "artifacts", "logs", "compliance.json",
    }  # fmt: skip
    for path in facts(run.folder):
        whole, size = path.read_bytes(), path.stat().st_size
        places = {0, size - 1, *(draw.randrange(size) for _ in range(4))}
        for place in sorted(places):
            flip(path, place, draw.randrange(8))
            found = audit_run(run.folder, index=False)
            assert found, f"byte {place} of {path.relative_to(run.folder)}"
            assert all(item.place and item.what and item.repair for item in found)
            path.write_bytes(whole)
    assert audit_run(run.folder) == []


def test_every_file_that_is_cut_or_gone_is_found(run):
    """A journal that ends at a whole turn, too: the manifest knows how far it went."""
    for path in facts(run.folder):
        os.chmod(path, 0o600)
        whole = path.read_bytes()
        for length in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            assert audit_run(run.folder, index=False), f"{path.relative_to(run.folder)} cut to {length}"
        path.unlink()
        assert audit_run(run.folder, index=False), f"{path.relative_to(run.folder)} gone"
        path.write_bytes(whole)
    lines = (run.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    turns = [number for number, line in enumerate(lines, 1) if b'"end":"' in line]
    for number in turns[:-1]:
        (run.folder / "journal.jsonl").write_bytes(b"".join(lines[:number]))
        assert any("had been recorded" in item.what for item in audit_run(run.folder, index=False)), number


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE runs SET state = 'failed'", 'the table "runs"'),
        ("UPDATE attempts SET seconds = seconds + 1", 'the table "attempts"'),
        ("UPDATE gates SET verdict = 'failed'", 'the table "gates"'),
        ("DELETE FROM commands WHERE command = 'measure'", 'the table "commands"'),
    ],
)
def test_an_edited_row_of_the_history_is_found(run, change, said):
    """Its journal is the truth, and the repair is to have it made anew."""
    index = Index(run.folder.parent)
    index.update()
    index.close()
    assert audit_run(run.folder) == []
    with sqlite3.connect(run.folder.parent / "history.db") as connection:
        connection.execute(change)
    connection.close()
    (finding,) = audit_run(run.folder)
    assert said in finding.what
    assert "delete the file" in finding.repair


def test_a_result_that_is_not_of_its_declared_type_is_found(run):
    """The definition that was frozen says what it has to be."""
    path = run.folder / "definition.json"
    text = path.read_text()
    assert '"integer"' in text
    path.write_text(text.replace('"integer"', '"list"'))
    assert any('"letters"' in item.what and "list" in item.what for item in audit_run(run.folder, index=False))


def test_a_process_that_outlived_its_run_is_found(run):
    """Nobody drives the run, so it has no business there."""
    sleeper = [sys.executable, "-c", "import sys, time; print(flush=True); time.sleep(600)"]
    env = {**os.environ, **marks(run.folder, "write", 1)}
    with subprocess.Popen(sleeper, env=env, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        (finding,) = audit_run(run.folder, index=False)
        process.kill()
    assert str(process.pid) in finding.what
    assert audit_run(run.folder, index=False) == []


def test_a_clock_that_was_set_back_is_found(run, tmp_path):
    """Within the time of one owner; another owner may have another clock."""
    events = list(check_events(run.folder))
    for shift, count in ((0.0, 0), (3600.0, 1)):
        folder = tmp_path / f"shifted-{shift:.0f}"
        folder.mkdir()
        journal = JournalFile(folder / "journal.jsonl", durable=False, clock=lambda: 0.0)
        for number, event in enumerate(events):
            journal.append([event if number < 3 else moved(event, shift)])
        journal.close()
        assert len([item for item in check_journal(folder).findings if "earlier" in item.what]) == count


def check_events(folder):
    from orchestrator_nb.journal.file import read

    return read(folder / "journal.jsonl")


def moved(event, seconds):
    from msgspec.structs import replace

    return replace(event, at=event.at - seconds)


def test_what_can_be_read_of_a_damaged_run_is_saved(run, tmp_path):
    """The facts before the damage, the lines after it, whole artifacts, results, and a report with the findings."""
    journal = run.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    succeeded = next(number for number, line in enumerate(lines) if b'"CommandSucceeded"' in line)
    broken = next(number for number, line in enumerate(lines) if number >= succeeded and b'"end":"' in line) + 1
    lines[broken] = lines[broken].replace(b'"at":1', b'"at":2', 1)
    journal.write_bytes(b"".join(lines))
    artifact = max(
        (path for path in (run.folder / "artifacts").rglob("*") if path.is_file()), key=lambda p: p.stat().st_size
    )
    flip(artifact, 10, 3)
    findings = audit_run(run.folder, index=False)
    target = export_readable(run.folder, tmp_path / "saved", findings)
    saved = check_journal(target)
    assert not saved.findings
    assert saved.state.commands["write"].state == "succeeded"
    assert (target / "after-the-damage.jsonl").read_bytes().count(b"\n") == len(lines) - saved.position.seq
    assert '"write"' in (target / "results.json").read_text()
    kept = {path.name for path in (target / "artifacts").rglob("*") if path.is_file()}
    assert artifact.name not in kept
    assert kept
    assert str(findings[0]) in (target / "REPORT.md").read_text()


def test_what_can_be_read_of_shared_values_in_files_is_saved(project, tmp_path):
    """Of two, one is damaged: the other comes along, and the results say which of them can be read."""
    flow = Workflow("w", context_limit=100)
    flow.command(lambda: context.shared.update(whole=["a" * 500], broken=["b" * 500], small=1), id="give")
    run = flow.start(wait=True)
    broken = next(path for path in (run.folder / "artifacts").glob("??/*") if b"b" * 500 in path.read_bytes())
    flip(broken, 10, 3)
    findings = audit_run(run.folder, index=False)
    assert any('"give"' in item.place and "is damaged" in item.what for item in findings)
    target = export_readable(run.folder, tmp_path / "saved", findings)
    shared = json.loads((target / "results.json").read_text())["shared"]
    assert {name: value if name == "small" else value["readable"] for name, value in shared.items()} == {
        "whole": True,
        "broken": False,
        "small": 1,
    }
    (kept,) = (path for path in (target / "artifacts").glob("??/*"))
    assert json.loads(kept.read_text()) == ["a" * 500]
    assert kept.name.startswith(shared["whole"]["artifact"])


BEGUN = (
    e.RunStarted(at=1.0, run="r", workflow="w", slots=1),
    e.RunPlanned(at=1.0, commands={"a": {}, "b": {}, "c": {"needs": {"cpu": 1, "gpu": 2}}}, pools={"cpu": 1, "gpu": 1}),
)


def begins(command):
    return e.AttemptStarted(at=2.0, command=command, attempt=1)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([begins("a"), begins("b")], "2 slots are taken, of 1"),
        ([begins("c")], '2 of "gpu" is taken, of 1'),
        ([begins("a"), e.RunEnded(at=3.0, state="failed", again=True)], 'has ended as failed while "a" runs'),
    ],
)
def test_resources_that_were_not_released_are_found_afterwards(tmp_path, facts, said):
    """The chain is right and so is the fold; only the count of what is held tells, also long after the run."""
    folder = tmp_path / "r"
    folder.mkdir()
    journal = JournalFile(folder / "journal.jsonl", durable=False, clock=lambda: 1.0)
    journal.append([*BEGUN, *facts])
    journal.close()
    (finding,) = check_journal(folder, each=Invariants(folder, at_rest=True).take).findings
    assert said in finding.what
    assert "as a new run" in finding.repair
    assert finding in audit_run(folder, index=False)
