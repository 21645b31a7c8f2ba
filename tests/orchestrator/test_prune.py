"""Deleting runs: those beyond the limits, never one that somebody drives, each recorded in the store."""

from __future__ import annotations

import json
import time

import pytest

from orchestrator_nb import Workflow, attach
from orchestrator_nb import events as e
from orchestrator_nb.cli.main import run_command_line
from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.owner import Ownership
from orchestrator_nb.journal.store import JOURNAL, list_runs
from orchestrator_nb.journal.store_facts import FILE, record_facts, store_facts
from orchestrator_nb.orchestrator.store.history import summaries
from orchestrator_nb.orchestrator.store.prune import delete_runs, doomed_runs

DAY = 86_400.0


def _run(store, workflow, days, *, state="completed", parent=None, run=None):
    """Record a run that was so many days ago and came to this state, or to none."""
    at = time.time() - days * DAY
    folder = store / (run or f"{workflow}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(at))}-0000")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(b"x" * 1000)
    journal = JournalFile(folder / JOURNAL, durable=False, clock=time.time)
    journal.append([e.RunStarted(at=at, run=folder.name, workflow=workflow, parent=parent)])
    if state is None:
        journal.append([e.RunPlanned(at=at, commands={}), e.RunPaused(at=at, reason="later", leaving=True)])
    else:
        journal.append([e.RunPlanned(at=at, commands={}), e.RunCompleting(at=at)])
        journal.append([e.RunEnded(at=at, state=state)])
    journal.close()
    return folder.name


def _goes(store, **limits):
    return [item.run for item in doomed_runs(store, **limits) if item.kept is None]


def test_the_latest_of_each_workflow_are_kept(store):
    """Beyond that number and beyond that age: both have to hold where both are given."""
    sales = [_run(store, "sales", days) for days in (1, 10, 20, 30)]
    other = [_run(store, "other", days) for days in (15, 40)]
    assert _goes(store, keep=1) == [sales[1], sales[2], sales[3], other[1]]
    assert _goes(store, older_than=12) == [other[0], sales[2], sales[3], other[1]]
    assert _goes(store, keep=3, older_than=12) == [sales[3]]
    assert _goes(store, keep=0, workflow="other") == other
    assert _goes(store, keep=10) == []
    with pytest.raises(UsageError, match="--keep"):
        doomed_runs(store)


def test_a_run_that_could_go_on_is_kept_unless_asked_for(store):
    """Paused and damaged ones are named with the reason, and go when it is said."""
    paused = _run(store, "w", 5, state=None)
    damaged = _run(store, "w", 6)
    path = store / damaged / JOURNAL
    path.write_bytes(path.read_bytes().replace(b"RunStarted", b"RunStarteD"))
    why = {item.run: item.kept for item in doomed_runs(store, keep=0)}
    assert "it is paused and can go on" in why[paused]
    assert "damaged" in why[damaged]
    assert _goes(store, keep=0) == []
    assert _goes(store, keep=0, unfinished=True) == [paused, damaged]


def test_a_run_that_somebody_drives_is_never_deleted(store):
    """Neither where that is seen beforehand, nor where its owner comes between."""
    first, second = _run(store, "w", 5), _run(store, "w", 6)
    owner = Ownership(store / first)
    try:
        found = doomed_runs(store, keep=0, unfinished=True)
        assert [item.kept for item in found] == ["a process drives it", None]
        between = Ownership(store / second)
        try:
            failed = delete_runs(store, found)
        finally:
            between.release()
    finally:
        owner.release()
    assert list(failed) == [second]
    assert {folder.name for folder in list_runs(store)} == {first, second}


def test_a_run_that_went_on_meanwhile_is_not_deleted(store):
    """What was shown is what is deleted: a run that somebody took up since is another one."""
    run = _run(store, "w", 5, state=None)
    found = doomed_runs(store, keep=0, unfinished=True)
    journal = JournalFile(store / run / JOURNAL, clock=time.time)
    journal.append([e.RunResumed(at=time.time())])
    journal.close()
    assert "went on since" in delete_runs(store, found)[run]
    assert (store / run / JOURNAL).exists()


def test_a_deletion_takes_the_parts_and_is_recorded(store):
    """With a run go the runs that are its parts, however deep; the store knows of each."""
    outer = _run(store, "w", 5)
    inner = _run(store, "v", 5, parent=outer, run=f"{outer}.v.1")
    inmost = _run(store, "u", 5, parent=inner, run=f"{inner}.u.1")
    stays = _run(store, "w", 1)
    (found,) = doomed_runs(store, keep=1)
    assert (found.run, found.parts) == (outer, (inner, inmost))
    assert found.size > 3000
    assert len(summaries(store)) == 4
    assert delete_runs(store, [found]) == {}
    assert [row["run"] for row in summaries(store)] == [stays]
    assert not any((store / name).exists() for name in (outer, inner, inmost))
    facts = list(store_facts(store))
    assert [fact.run for fact in facts] == [outer, inner, inmost]
    assert (facts[0].workflow, facts[0].state) == ("w", "completed")
    assert facts[0].by["pid"]


def test_a_part_is_not_deleted_by_itself(store):
    """It is neither counted nor taken as long as the run is there that it is a part of."""
    outer = _run(store, "w", 5)
    _run(store, "w", 4, parent=outer, run=f"{outer}.w.1")
    assert _goes(store, keep=1) == []
    assert _goes(store, keep=0, workflow="w") == [outer]


def test_what_an_interrupted_deletion_left_is_swept(store):
    """A folder whose run is recorded as deleted and has no journal any more goes with the next deletion."""
    left, never = store / "w-20200101-000000-0000", store / "notes"
    for folder in (left, never):
        folder.mkdir(parents=True)
        (folder / "output.ipynb").write_text("{}")
    record_facts(store, [e.RunDeleted(at=1.0, run=left.name)])
    delete_runs(store, [])
    assert not left.exists()
    assert never.exists()


def test_the_verb_shows_first_and_deletes_when_told(store, capsys):
    """Without --yes nothing is touched; real runs go with all their files."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    runs = [flow.run(check=False) for _ in range(2)]
    assert len(runs) == 2
    latest, old = list_runs(store)
    assert run_command_line(["prune", "--keep", "1"]) == 0
    shown = capsys.readouterr().out
    assert old.name in shown
    assert latest.name not in shown
    assert "nothing was deleted, --yes does it" in shown
    assert old.exists()
    assert not (store / FILE).exists()
    assert run_command_line(["prune", "--keep", "1", "--yes", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [item["run"] for item in told["runs"]] == [old.name]
    assert told["failed"] == {}
    assert not old.exists()
    assert attach("latest").id == latest.name
    assert run_command_line(["prune", "--keep", "1"]) == 0
    assert capsys.readouterr().out == "nothing is to be deleted\n"
    assert run_command_line(["prune"]) == 2
