"""The history of checkpoints: listed, found, compared, thinned out, exported; and taken by several at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_nb.checkpoints.differences import CellDifference, TableDifference, compare, content_of, difference
from orchestrator_nb.checkpoints.entries import tree_of
from orchestrator_nb.checkpoints.export import export_branch, export_files
from orchestrator_nb.checkpoints.place import find_place
from orchestrator_nb.checkpoints.planning import back_to
from orchestrator_nb.checkpoints.retention import collect, forget_run, thin
from orchestrator_nb.checkpoints.rollback import roll_back
from orchestrator_nb.errors import CheckpointError


def notebook(*sources: str) -> str:
    cells = [
        {"cell_type": "code", "id": f"c{source[0]}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for source in sources
    ]  # fmt: skip
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def test_a_checkpoint_is_found_by_each_of_its_names(repository):
    """By number, whole id, name of its kind, command, commit, "start" and "latest"; else the nearest are named."""
    repo = repository()
    store = repo.store()
    start, clean = repo.take(store), repo.take(store, "clean")
    for name in ("1", "000001", "run/1", "run/000001", "start", "workflow_start_w", start.commit[:10]):
        assert store.find(name) == start, name
    for name in ("2", "clean", "command_completion_clean", "latest", clean.commit):
        assert store.find(name, run="run") == clean, name
    with pytest.raises(CheckpointError, match="the nearest: command_completion_clean"):
        store.find("command_completion_claen", run="run")
    assert store.checkpoints("run") == (start, clean)
    assert store.checkpoints() == (start, clean)


def test_the_messages_say_what_people_look_for(repository):
    """Each kind of checkpoint has the sentence of its kind in its message, and all that is known about it."""
    repo = repository()
    store = repo.store()
    options = {"position": 41, "more": {"gates": ["rmse < 3.5"]}}
    kinds = {
        "start": "WORKFLOW-INIT: w", "command": "WORKFLOW-STEP: x completed in w", "gate": "WORKFLOW-QUALITY: x passed",
        "recovery": "WORKFLOW-RECOVERY: w - recovery strategy x", "completion": "WORKFLOW-FINAL: w",
    }  # fmt: skip
    for kind, sentence in kinds.items():
        taken = repo.take(store, "x", kind=kind, **options)
        assert sentence in store.git.run("log", "-1", "--format=%s", taken.commit).decode()
        assert store.find("latest") == taken
        assert (taken.position, taken.more) == (41, {"gates": ["rmse < 3.5"]})
        assert not store.git.run("log", "-1", "--format=%P", taken.commit).strip()


def test_names_of_runs_and_files_that_are_no_plain_text(repository):
    """A run whose id git would not take for a name, and a skipped path that is no valid text, come back as they are."""
    repo = repository()
    odd = os.fsdecode(b"\xff.csv")
    repo.write(odd, b"x" * (2 << 20))
    store = repo.store()
    for run in ("a..b", "a.lock", "a."):
        taken = repo.take(store, run=run)
        assert store.checkpoints(run) == (taken,)
        assert taken.skipped[0][0] == odd


def test_files_cells_rows_and_lines_that_differ(repository):
    """Two checkpoints are compared by files; a notebook by cells, a table by rows, text by lines."""
    repo = repository()
    repo.write("n.ipynb", notebook("1 first", "2 second", "3 third"))
    repo.write("t.csv", "a,b\n1,x\n2,y\n2,y\n")
    store = repo.store()
    before = repo.take(store)
    repo.write("n.ipynb", notebook("0 new", "1 first", "3 third!"))
    repo.write("t.csv", "a,c,b\n2,0,y\n3,0,z\n1,0,x\n")
    repo.write("new.txt", "new")
    repo.remove("b.py")
    (repo.folder / "a.py").chmod(0o755)
    repo.write("d/c.py", "2\n")
    after = repo.take(store, "x")
    assert {each.path: each.kind for each in difference(store, before, after)} == {
        "a.py": "mode", "b.py": "removed", "d/c.py": "changed", "n.ipynb": "changed", "new.txt": "added", "t.csv": "changed",
    }  # fmt: skip
    assert compare(store, before, after, "t.csv") == TableDifference(3, 3, 1, 1, ("c",), (), rows=("- 2, y", "+ 3, z"))
    assert set(compare(store, before, after, "n.ipynb")) == {
        CellDifference("added", 0, after="0 new"),
        CellDifference("removed", 1, before="2 second"),
        CellDifference("source", 2, before="3 third", after="3 third!"),
    }
    assert compare(store, before, after, "d/c.py")[-2:] == ("-d/c.py = 1", "+2")
    assert content_of(store, before, "b.py") == b"b.py = 1\n"
    with pytest.raises(CheckpointError, match=r'no file "b.py"'):
        content_of(store, after, "b.py")


def test_thinning_keeps_what_is_needed_for_the_way_back(repository):
    """The first, the last ones and those of rollbacks stay; the room of the others is given back; the rest can be restored."""
    repo = repository()
    files, store = repo.files(), repo.store()
    start = repo.take(store)
    for number in range(8):
        repo.write("big.bin", os.urandom(60_000))
        repo.take(store, f"c{number}")
    roll_back(store, back_to(store, store.find("c6", run="run")))
    gone = thin(store, keep=4)
    assert [each.subject for each in gone] == ["c0", "c1", "c2", "c3", "c4", "c5"]
    before = sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file())
    collect(store)
    assert sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file()) < before - 300_000
    again = repo.store()
    repo.write("a.py", "x")
    repo.take(again, "last")
    roll_back(again, back_to(again, start, everything=True))
    assert repo.files() == files
    assert thin(again, days=1) == ()
    assert thin(again, days=1, now=again.latest("run").at + 10 * 86400)
    forget_run(again, "run")
    collect(again)
    assert (repo.take(again).number, repo.take(repo.store()).number) == (1, 2)


def test_a_new_run_begins_with_what_the_last_one_knew(repository):
    """A second run has the same tree without what only the first one had declared, and outlives the first one's end."""
    repo = repository()
    repo.write("outputs/x.bin", "x")
    store = repo.store()
    first = repo.take(store, run="one", declared=["outputs/x.bin"])
    second = repo.take(store, run="two")
    assert set(tree_of(store.git, first.commit)) - set(tree_of(store.git, second.commit)) == {"outputs/x.bin"}
    forget_run(store, "one")
    forget_run(store, "two")
    collect(store)
    assert repo.take(repo.store(), run="three").tree == second.tree


def test_a_lost_index_costs_time_and_nothing_else(repository):
    """An index that is gone, torn or empty is made anew, ignored files that were declared included."""
    repo = repository()
    repo.write("outputs/x.bin", "x")
    store = repo.store()
    tree = repo.take(store, declared=["outputs/x.bin"]).tree
    index = store.index("run")
    index.unlink()
    assert repo.take(store, "a").tree == tree
    index.write_bytes(index.read_bytes()[:60])
    assert repo.take(store, "b").tree == tree
    Path(f"{index}.lock").touch()
    assert repo.take(store, "c").tree == tree


WRITER = """
import sys
from pathlib import Path
from orchestrator_nb.checkpoints.snapshot import take
from orchestrator_nb.checkpoints.store import open_store

folder, run, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = open_store(folder, runs=folder / "orchestrator-runs", durable=False)
for number in range(count):
    (folder / f"{sys.argv[4]}.txt").write_text(str(number))
    taken = take(store, run=run, kind="command", workflow="w", subject=sys.argv[4], whole=number % 2 == 0,
                 declared=[f"{sys.argv[4]}.txt"])
    print(taken.number, flush=True)
"""


def writers(repo, runs, count):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, repo.folder, run, str(count), f"writer{number}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        )
        for number, run in enumerate(runs)
    ]  # fmt: skip


@pytest.mark.parametrize("runs", [("a", "b", "c"), ("a", "a", "a")], ids=["own-runs", "one-run"])
def test_several_at_once_lose_none(repository, runs):
    """Processes that take checkpoints of one project at the same time get all of them, with no number twice."""
    repo = repository()
    private = repo.private()
    for process in writers(repo, runs, 4):
        output, errors = process.communicate(timeout=50)
        assert process.returncode == 0, errors.decode()
        assert len(output.split()) == 4
    store = repo.store()
    assert len(store.checkpoints()) == 12
    for run in set(runs):
        assert [each.number for each in store.checkpoints(run)] == list(range(1, 4 * runs.count(run) + 1))
    assert repo.private() == private


def test_a_kill_while_checkpoints_are_taken_leaves_a_sound_store(repository):
    """After kill -9 at some moment the next checkpoint is taken, and git's own check finds nothing wrong."""
    repo = repository()
    store = repo.store()
    for _ in range(4):
        (process,) = writers(repo, ["run"], 1000)
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.communicate()
    repo.write("a.py", "after")
    taken = repo.take(store, "next")
    assert content_of(store, taken, "a.py") == b"after"
    assert taken == store.latest("run")
    done = subprocess.run(["git", "--git-dir", store.folder, "fsck", "--full"], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_branch_on_request(repository):
    """A checkpoint becomes a branch whose tree is the checkpoint's; nothing else of the repository changes."""
    repo = repository()
    repo.write("untracked.txt", "mine")
    store, files = repo.store(), repo.files()
    taken = repo.take(store)
    status = repo.git("status", "--porcelain")
    assert export_branch(store, taken, "rescue") == "refs/heads/rescue"
    assert repo.git("rev-parse", "rescue^{tree}").strip() == taken.tree
    assert repo.git("status", "--porcelain") == status
    assert repo.files() == files
    assert repo.git("symbolic-ref", "HEAD").strip() == "refs/heads/main"
    for name, said in (("rescue", "already"), ("no good", "no name")):
        with pytest.raises(CheckpointError, match=said):
            export_branch(store, taken, name)


def test_all_files_of_a_checkpoint_in_a_folder(repository, tmp_path):
    """Exported files are the bytes that were there; a folder with something in it is refused."""
    repo = repository()
    repo.write("crlf.txt", b"a\r\nb\n")
    store = repo.store()
    taken = repo.take(store)
    export_files(store, taken, tmp_path / "out")
    assert (tmp_path / "out" / "crlf.txt").read_bytes() == b"a\r\nb\n"
    with pytest.raises(CheckpointError, match="is not empty"):
        export_files(store, taken, tmp_path / "out")


def test_a_home_folder_is_no_project(tmp_path, monkeypatch):
    """Neither a home folder nor what it lies in is taken as a whole, even where it is a repository."""
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for folder in (tmp_path, tmp_path.parent):
        with pytest.raises(CheckpointError, match="too wide"):
            find_place(folder, runs=tmp_path / "runs")
    (tmp_path / "project").mkdir()
    place = find_place(tmp_path / "project", runs=tmp_path / "runs")
    assert (place.root, place.git_folder) == ((tmp_path / "project").resolve(), None)


def test_without_git_it_is_said(tmp_path, monkeypatch):
    """Where there is no program git, the message says what to install and how to do without."""
    code = (
        "from pathlib import Path; from orchestrator_nb.checkpoints.store import open_store\n"
        "try: open_store(Path('.'), runs=Path('runs'))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    path = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path, "PATH": "/nowhere"}, cwd=tmp_path, capture_output=True
    )
    assert b"CheckpointError" in done.stdout, done.stderr
    assert b"checkpoints: off" in done.stdout
