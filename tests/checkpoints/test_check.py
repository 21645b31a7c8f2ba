"""Checkpoints that were damaged on purpose: every damage of the side store is found, with its place and repair."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.checkpoints.place import find_place
from orchestrator_nb.checkpoints.retention import forget_run, let_go, thin
from orchestrator_nb.checkpoints.store import CheckpointStore
from orchestrator_nb.orchestrator.store.audit import audit_run


def git(*arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", *arguments], env=environment, check=True, capture_output=True)


@pytest.fixture(name="run")
def _run(project):
    """A run in a repository, with checkpoints of its start, of two commands and of its end."""
    git("init", "-q")
    flow = Workflow("w")
    for name in ("a", "b"):
        writes = [f"{name}.txt"]
        flow.command(lambda name=name: (flow.folder / f"{name}.txt").write_text(name * 50), id=name, writes=writes)
    return flow.start(wait=True)


@pytest.fixture
def kept(run, project):
    """The store of its checkpoints."""
    return CheckpointStore(find_place(project, runs=run.folder.parent))


def found(run):
    return audit_run(run.folder, index=False)


def test_checkpoints_that_are_whole_have_no_findings(run, kept):
    """Neither have those of which retention has taken some."""
    assert len(run.state.checkpoints) == 4
    assert found(run) == []
    gone = thin(kept, keep=1)
    assert gone
    assert let_go(kept, run.id) == {(each.id, each.commit) for each in gone}
    assert found(run) == []
    assert forget_run(kept, run.id, stays=True)
    assert found(run) == []
    forget_run(kept, run.id)
    assert not let_go(kept, run.id)  # the run goes, too


def test_every_object_that_is_flipped_cut_or_gone_is_found(run, kept):
    """Files, trees and commits; each finding says what is lost and what to do."""
    objects = sorted(path for path in kept.folder.glob("objects/??/*") if path.is_file())
    assert objects
    for path in objects:
        whole = path.read_bytes()
        os.chmod(path, 0o600)
        for damage in (bytes([whole[0] ^ 1]) + whole[1:], whole[: len(whole) // 2], None):
            if damage is None:
                path.unlink()
            else:
                path.write_bytes(damage)
            findings = found(run)
            assert findings, f"{path.name} {damage and len(damage)}"
            assert all(str(kept.folder) in item.place and "go back" in item.repair for item in findings)
            path.write_bytes(whole)
    assert found(run) == []


def test_references_that_are_gone_changed_or_lead_nowhere_are_found(run, kept):
    """The first and the last, which retention never takes, and any that is another than was recorded."""
    first, second, *_, last = (kept.folder / "refs/runs" / run.id / f"{number:06d}" for number in range(1, 5))
    for path in (first, last):
        whole = path.read_bytes()
        path.unlink()
        (finding,) = found(run)
        assert f'"{run.id}/{path.name}"' in finding.what
        assert f"update-ref refs/runs/{run.id}/{path.name} {whole.decode().strip()}" in finding.repair
        path.write_bytes(whole)
    whole = second.read_bytes()
    second.write_bytes(first.read_bytes())
    assert any("it was" in item.what and whole.decode()[:12] in item.what for item in found(run))
    for text in (b"0" * 39 + b"1\n", b"nothing\n", b""):
        second.write_bytes(text)
        assert any(f"{run.id}/{second.name}" in item.what for item in found(run)), text
    second.write_bytes(whole)
    assert found(run) == []


def test_one_in_the_middle_that_somebody_deleted_is_not_taken_for_retention(run, kept):
    """Before retention has been there and after it: the store has a note of what that took, and only of that."""
    second, third = (kept.folder / "refs/runs" / run.id / f"{number:06d}" for number in (2, 3))
    whole = third.read_bytes()
    for _ in range(2):
        third.unlink()
        (finding,) = found(run)
        assert f'"{run.id}/000003"' in finding.what
        assert f"update-ref refs/runs/{run.id}/000003 {whole.decode().strip()}" in finding.repair
        third.write_bytes(whole)
        if second.exists():
            assert [each.number for each in thin(kept, keep=2)] == [2]


def test_the_repair_that_is_said_repairs(run, kept):
    """A reference that somebody deleted is put back by the line of the finding."""
    path = kept.folder / "refs/runs" / run.id / "000004"
    path.unlink()
    (finding,) = found(run)
    git(*finding.repair.split(", while")[0].split()[1:])
    assert found(run) == []


def test_a_store_that_is_gone_is_found_and_not_made_again(run, kept):
    """An audit changes nothing."""
    shutil.rmtree(kept.folder)
    (finding,) = found(run)
    assert "4 checkpoints is not there" in finding.what
    assert not kept.folder.exists()


def test_the_damage_of_one_run_is_not_told_of_another(run, kept, project):
    """References of other runs are theirs."""
    flow = Workflow("other")
    flow.command(lambda: (project / "c.txt").write_text("c"), id="c", writes=["c.txt"])
    other = flow.start(wait=True)
    (kept.folder / "refs/runs" / run.id / "000002").write_text("0" * 39 + "1\n")
    assert found(run)
    assert found(other) == []
