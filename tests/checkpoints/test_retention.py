"""How long checkpoints are kept: never shorter than somebody may need them, and never for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from orchestrator_nb.checkpoints.export import export_branch
from orchestrator_nb.checkpoints.planning import back_to, before_rollback
from orchestrator_nb.checkpoints.retention import collect, forget_run, tidy
from orchestrator_nb.checkpoints.rollback import roll_back

DAY = 86400.0


def nobody(run):
    """No run is live."""
    return False


def story(repo, store, run, *, completed, commands=4):
    """Take the checkpoints of a run."""
    repo.take(store, run=run)
    for number in range(commands):
        repo.write(f"{run}.txt", f"{run} {number}")
        repo.take(store, f"c{number}", run=run, declared=[f"{run}.txt"], whole=False)
    if completed:
        repo.take(store, kind="completion", run=run)


def kinds(store, run):
    return [each.subject or each.kind for each in store.checkpoints(run)]


def test_what_can_go_on_loses_nothing_to_the_count(repository):
    """A completed run keeps its ends and its last ones; one that is paused, failed or live keeps all."""
    repo = repository()
    store = repo.store()
    story(repo, store, "done", completed=True)
    story(repo, store, "left", completed=False)
    story(repo, store, "live", completed=True)
    tidy(store, workflow="w", keep=2, days=30, live=lambda run: run == "live")
    assert kinds(store, "done") == ["start", "c3", "completion"]
    assert kinds(store, "left") == ["start", "c0", "c1", "c2", "c3"]
    assert kinds(store, "live") == ["start", "c0", "c1", "c2", "c3", "completion"]
    tidy(store, workflow="another", keep=2, days=1, live=nobody, now=time.time() + 99 * DAY)
    assert len(kinds(store, "live")) == 6


def test_what_has_rested_long_goes(repository):
    """After the time a completed run has none left, one that can go on has its ends, and a live one has all."""
    repo = repository()
    store = repo.store()
    for run in ("done", "left", "live"):
        story(repo, store, run, completed=run != "left")
    tidy(store, workflow="w", keep=None, days=30, live=lambda run: run == "live", now=time.time() + 31 * DAY)
    assert kinds(store, "done") == []
    assert kinds(store, "left") == ["start", "c3"]
    assert len(kinds(store, "live")) == 6
    collect(store)
    repo.write("left.txt", "left 3")
    assert roll_back(store, back_to(store, store.find("start", run="left"))).plan.conflicts == ()


def test_a_rollback_can_be_undone_however_old_it_is(repository):
    """Of a run that went back nothing that its undoing needs is forgotten, neither by count nor by age."""
    repo = repository()
    store = repo.store()
    story(repo, store, "back", completed=True)
    before = repo.files()
    done = roll_back(store, back_to(store, store.find("c0", run="back")))
    assert repo.files() != before
    for now in (time.time(), time.time() + 99 * DAY):
        tidy(store, workflow="w", keep=2, days=30, live=nobody, now=now)
    collect(store)
    assert kinds(store, "back") == ["start", "safety", "rollback"]
    roll_back(store, before_rollback(store, done.outcome))
    assert repo.files() == before


def test_an_exported_branch_outlives_its_checkpoint(repository):
    """A branch has its own copy of all that it needs."""
    repo = repository()
    store = repo.store()
    story(repo, store, "done", completed=True)
    export_branch(store, store.find("c1", run="done"), "rescue")
    forget_run(store, "done")
    collect(store)
    assert repo.git("show", "rescue:done.txt") == "done 1"
    assert "missing" not in repo.git("fsck", "--full")


PRUNER = """
import sys, time
from pathlib import Path
from orchestrator_nb.checkpoints.retention import collect, tidy
from orchestrator_nb.checkpoints.store import open_store

folder = Path(sys.argv[1])
store = open_store(folder, runs=folder / "orchestrator-runs", durable=False)
for _ in range(5):
    tidy(store, workflow="w", keep=2, days=30, live=lambda run: False)
    collect(store)
"""


@pytest.mark.parametrize("pruners", [2])
def test_several_prune_at_once_while_another_takes(repository, pruners):
    """None of them fails or takes what the others keep, and the store is sound afterwards."""
    repo = repository()
    store = repo.store()
    for run in ("one", "two", "three"):
        story(repo, store, run, completed=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", PRUNER, repo.folder], stderr=subprocess.PIPE, env=environment)
        for _ in range(pruners)
    ]
    story(repo, store, "four", completed=False, commands=12)
    for process in processes:
        _, errors = process.communicate(timeout=50)
        assert process.returncode == 0, errors.decode()
    assert [kinds(store, run) for run in ("one", "two", "three")] == [["start", "c3", "completion"]] * 3
    assert kinds(store, "four") == ["start", *(f"c{number}" for number in range(12))]
    store.git.run("fsck", "--full", "--strict")
    assert roll_back(store, back_to(store, store.find("c2", run="four"))).plan.conflicts == ()
    assert repo.read("four.txt") == b"four 2"
