"""The store: found like git finds a repository, its runs by id, beginning or latest."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.errors import RunNotFound, StoreError
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.store import JOURNAL, create_run, find_run, find_store, is_part, list_runs


def _run(store: Path, workflow: str, at: float, *, run: str | None = None) -> Path:
    folder = create_run(store, workflow, run=run)
    journal = JournalFile(folder / JOURNAL, durable=False, clock=time.time)
    journal.append([e.RunStarted(at=at, run=folder.name, workflow=workflow)])
    journal.close()
    return folder


def test_the_store_is_the_nearest_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is there is used from any folder below it."""
    monkeypatch.delenv("ORCHESTRATOR_NB_STORE", raising=False)
    (tmp_path / "orchestrator-runs").mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").touch()
    assert find_store(start=deep) == tmp_path / "orchestrator-runs"


def test_a_new_store_is_at_the_root_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a store, it will be beside .git or pyproject.toml, else here."""
    monkeypatch.delenv("ORCHESTRATOR_NB_STORE", raising=False)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "a" / ".git").mkdir()
    assert find_store(start=deep) == tmp_path / "a" / "orchestrator-runs"


def test_a_named_store_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument wins over the variable, the variable over what is found."""
    monkeypatch.setenv("ORCHESTRATOR_NB_STORE", str(tmp_path / "variable"))
    assert find_store() == tmp_path / "variable"
    assert find_store(tmp_path / "argument") == tmp_path / "argument"


def test_runs_are_found_by_id_beginning_and_latest(tmp_path: Path) -> None:
    """Names are as short as they may be, and an unclear one is answered with the candidates."""
    old, new = _run(tmp_path, "sales", 100.0), _run(tmp_path, "sales", 200.0)
    other = _run(tmp_path, "model", 150.0)
    assert list_runs(tmp_path) == [new, other, old]
    assert find_run(tmp_path, "latest") == new
    assert find_run(tmp_path, old.name) == old
    assert find_run(tmp_path, "model") == other
    with pytest.raises(RunNotFound, match="may be any of"):
        find_run(tmp_path, "sales")
    with pytest.raises(RunNotFound, match=other.name):
        find_run(tmp_path, other.name.replace("model", "modell"))


def test_a_run_that_is_a_part_of_another_is_found_by_its_whole_id(tmp_path: Path) -> None:
    """Latest, and the beginning of an id, mean runs that stand by themselves."""
    outer = _run(tmp_path, "sales", 100.0)
    inner = _run(tmp_path, "sales", 200.0, run=f"{outer.name}.clean.1")
    assert find_run(tmp_path, "latest") == outer
    assert find_run(tmp_path, "sales") == outer
    assert find_run(tmp_path, inner.name) == inner
    assert find_run(tmp_path, f"{outer.name}.cl") == inner
    assert [is_part(folder.name) for folder in (outer, inner)] == [False, True]
    assert create_run(tmp_path, "sales", run=f"{outer.name}.clean.2").name == f"{outer.name}.clean.2"


@pytest.mark.parametrize("name", ["../x", "", "a/b", "-x", "a\nb", "."])
def test_what_is_no_id_is_refused(tmp_path: Path, name: str) -> None:
    """A name never leads out of the store."""
    _run(tmp_path, "sales", 1.0)
    with pytest.raises(RunNotFound):
        find_run(tmp_path, name)


def test_an_empty_store_says_so(tmp_path: Path) -> None:
    """Asking for the latest of nothing is answered, not raised as something else."""
    with pytest.raises(RunNotFound, match="no runs"):
        find_run(tmp_path / "none", "latest")


def test_git_ignores_the_store(tmp_path: Path) -> None:
    """Runs are not offered for commit."""
    create_run(tmp_path / "runs", "sales")
    assert (tmp_path / "runs" / ".gitignore").read_text() == "*\n"


def test_a_store_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "runs").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        create_run(tmp_path / "runs", "sales")
