"""The list of checkpoints that is read without a program: it says what git says, whatever has become of the copies."""

from __future__ import annotations

import os

import pytest

from orchestrator_nb.checkpoints.git import Git
from orchestrator_nb.checkpoints.listing import LARGEST, copies_of, listed
from orchestrator_nb.checkpoints.record import ref_of
from orchestrator_nb.checkpoints.retention import collect, forget_run, thin

RUNS = ("one", "two..", "drei-ü")


@pytest.fixture
def store(repository):
    """Checkpoints of three runs, taken in turn, some of them packed."""
    repo = repository()
    found = repo.store()
    for number in range(4):
        for run in RUNS:
            repo.take(found, f"c{number}" if number else None, run=run)
        if number == 1:
            collect(found)
    return found


def by_git(store, run=None):
    """What git says, in its order."""
    told = store.git.run("for-each-ref", "--format=%(objectname)", "refs/runs/" if run is None else ref_of(run))
    return told.decode().split()


def test_a_list_is_what_git_says_and_starts_no_program(store, monkeypatch):
    """Of a run and of all, in the same order, packed and not, after some are gone and a run is forgotten."""
    thin(store, run="one", keep=2)
    forget_run(store, RUNS[1])
    expected = {run: by_git(store, run) for run in (None, *RUNS)}
    assert [len(commits) for commits in expected.values()] == [7, 3, 0, 4]
    started = []
    monkeypatch.setattr(Git, "_execute", lambda *arguments, **_: started.append(arguments))
    assert {run: [each.commit for each in store.checkpoints(run)] for run in expected} == expected
    assert not started
    assert not copies_of(store.folder, ref_of(RUNS[1])).exists()


@pytest.mark.parametrize("how", ["cut", "changed", "gone", "cut and gone on"])
def test_a_spoilt_copy_is_not_believed(repository, store, how):
    """What a death has left of a copy, or anybody has made of it, is read from git instead; the list is the same."""
    path, before = copies_of(store.folder, ref_of("one")), store.checkpoints("one")
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "changed":
        path.write_bytes(content.replace(b'"number":4', b'"number":5'))
    else:
        path.write_bytes(content[:-10])
    if how == "cut and gone on":
        before = (*before, repository("other").take(store, "c4", run="one"))
    assert listed(store.folder, ref_of("one")) is None
    assert store.checkpoints("one") == before


def test_a_copy_after_one_that_was_cut_is_good(repository):
    """Only the one that was cut is missing: the next begins anew."""
    repo = repository()
    store = repo.store()
    first = repo.take(store)
    path = copies_of(store.folder, ref_of("run"))
    path.write_bytes(path.read_bytes() + b"\0tree 12")
    second = repo.take(store, "c")
    assert [commit for commit, _ in listed(store.folder, ref_of("run"))] == [first.commit, second.commit]


def test_a_checkpoint_that_has_much_to_say_is_not_copied(repository):
    """A list of left out files does not grow with every checkpoint; git is asked then."""
    repo = repository()
    store = repo.store()
    taken = repo.take(store, more={"long": "x" * LARGEST})
    assert listed(store.folder, ref_of("run")) is None
    assert store.checkpoints("run") == (taken,)
    assert os.listdir(store.folder / "refs" / "runs") == ["run"]
