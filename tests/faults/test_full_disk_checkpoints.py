"""A disk that is full while files are kept or go back: nothing is lost, and the run goes on."""

from __future__ import annotations

import subprocess

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.errors import RollbackRefused

CONTENT = bytes(range(256)) * 6000


def test_a_rollback_without_room_changes_nothing_and_can_be_tried_again(project, small_disk):
    """What would be written finds no room before the first file is touched; with room again everything goes back."""
    disk = small_disk()
    folder = disk.folder / "project"
    folder.mkdir()
    (folder / "large.bin").write_bytes(CONTENT)
    (folder / "small.txt").write_text("by hand")
    flow = Workflow("w", folder=folder)

    @flow.command(writes=["large.bin", "small.txt", "new.txt"])
    def spoils():
        (folder / "large.bin").write_bytes(b"")
        (folder / "small.txt").write_text("spoilt")
        (folder / "new.txt").write_text("new")

    run = flow.start(wait=False, store=project / "runs")
    run.wait()
    disk.fill()
    with pytest.raises(RollbackRefused, match=r"no room to prepare the rollback in .* nothing was changed"):
        run.rollback(to="start")
    assert sorted(path.name for path in folder.iterdir()) == ["large.bin", "new.txt", "small.txt"]
    assert [(folder / name).read_bytes() for name in ("large.bin", "small.txt", "new.txt")] == [b"", b"spoilt", b"new"]
    disk.empty()
    report = run.rollback(to="start")
    assert (set(report.restored), report.removed) == ({"large.bin", "small.txt"}, ("new.txt",))
    assert (folder / "large.bin").read_bytes() == CONTENT
    assert run.rollback(undo=report.undo).ended == "completed"
    assert (folder / "large.bin").read_bytes() == b""


def test_a_checkpoint_without_room_is_named_and_the_run_goes_on(project, small_disk):
    """Where no checkpoint can be written the command succeeds all the same, and the journal says what is missing."""
    disk = small_disk()
    folder = disk.folder / "project"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", folder], check=True)
    flow = Workflow("w", folder=folder)

    @flow.command(writes=["made.bin"])
    def makes():
        (folder / "made.bin").write_bytes(CONTENT)
        disk.fill()

    run = flow.start(wait=False, store=project / "runs")
    run.wait()
    assert run.state.run.state == "completed"
    skipped = [event for event in run.watch() if type(event).__name__ == "CheckpointSkipped"]
    assert [event.boundary for event in skipped] == ["command", "completion"]
    assert all(event.reason for event in skipped)
    disk.empty()
    assert (folder / "made.bin").read_bytes() == CONTENT
    assert [each.kind for each in run.checkpoints()] == ["start"]
