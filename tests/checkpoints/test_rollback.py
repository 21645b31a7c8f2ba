"""Rollbacks: whose changes go back, what is never overwritten, and that a death in the middle costs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_nb.checkpoints.planning import back_to, before_rollback, plan_rollback, without
from orchestrator_nb.checkpoints.progressive import roll_back_step_by_step
from orchestrator_nb.checkpoints.rollback import finish, roll_back, unfinished
from orchestrator_nb.errors import CheckpointError, RollbackRefused


def declared(repo, store, command, files):
    """Do what a command with declared writes does, and take its checkpoint."""
    for path, content in files.items():
        if content is None:
            repo.remove(path)
        else:
            repo.write(path, content)
    return repo.take(store, command, declared=list(files), whole=False)


@pytest.fixture
def three(repository):
    """A run of three commands: `one` and `three` both wrote a.py."""
    repo = repository()
    store = repo.store()
    repo.take(store)
    declared(repo, store, "one", {"a.py": "one", "one.txt": "one"})
    declared(repo, store, "two", {"b.py": "two", "two.txt": "two", "d/c.py": None})
    declared(repo, store, "three", {"a.py": "three", "three.txt": "three"})
    return repo, store


def test_only_what_the_named_commands_changed_goes_back(three):
    """A selective rollback leaves the files of all other commands as they are."""
    repo, store = three
    done = roll_back(store, without(store, "run", ["two"]))
    assert done.plan.commands == ("two",)
    assert repo.read("b.py") == b"b.py = 1\n"
    assert repo.read("d/c.py") == b"d/c.py = 1\n"
    assert not (repo.folder / "two.txt").exists()
    assert (repo.read("a.py"), repo.read("one.txt"), repo.read("three.txt")) == (b"three", b"one", b"three")


def test_what_a_later_command_wrote_is_not_taken_back_with_an_earlier_one(three):
    """Undoing a command names the later one that wrote the same file, and changes nothing."""
    repo, store = three
    files = repo.files()
    with pytest.raises(RollbackRefused, match=r'"a.py": changed since by three') as refused:
        roll_back(store, without(store, "run", ["one"]))
    assert refused.value.paths == ("a.py",)
    assert repo.files() == files
    roll_back(store, without(store, "run", ["one", "three"]))
    assert repo.read("a.py") == b"a.py = 1\n"
    assert repo.read("b.py") == b"two"


def test_what_was_written_between_two_commands_by_someone_else_is_kept(repository):
    """Undoing a command that ran twice gives back the edit that a person made between the two, not what was before."""
    repo = repository()
    store = repo.store()
    repo.take(store)
    declared(repo, store, "one", {"a.py": "first"})
    repo.write("a.py", "by hand")
    repo.take(store, kind="pause")
    declared(repo, store, "one", {"a.py": "second"})
    roll_back(store, without(store, "run", ["one"]))
    assert repo.read("a.py") == b"by hand"


@pytest.mark.parametrize("policy", ["refuse", "keep-both", "keep-mine"])
def test_a_file_that_was_edited_since_is_never_overwritten(three, policy):
    """The user's edit stays under its name: nothing is done, or the earlier content is put beside it, or left out."""
    repo, store = three
    repo.write("b.py", "my own")
    repo.write("two.txt", "my own notes")
    files, goal = repo.files(), back_to(store, store.find("one", run="run"))
    if policy == "refuse":
        with pytest.raises(RollbackRefused, match="keep-both"):
            roll_back(store, goal)
        assert repo.files() == files
        return
    done = roll_back(store, goal, policy=policy)
    assert {conflict.path for conflict in done.plan.conflicts} == {"b.py", "two.txt"}
    assert (repo.read("b.py"), repo.read("two.txt")) == (b"my own", b"my own notes")
    assert repo.read("a.py") == b"one"
    assert repo.read("d/c.py") == b"d/c.py = 1\n"
    beside = sorted(path for path in repo.files() if ".rollback-" in path)
    assert beside == (["b.rollback-1.py"] if policy == "keep-both" else [])
    if beside:
        assert repo.read("b.rollback-1.py") == b"b.py = 1\n"
    roll_back(store, before_rollback(store, done.outcome))
    assert repo.files() == files


def test_what_nobody_declared_is_listed_and_stays(repository):
    """Changes that belong to no command are named in the plan; they go back only when everything is asked for."""
    repo = repository()
    store = repo.store()
    start = repo.take(store)
    repo.write("stray.txt", "by somebody")
    declared(repo, store, "one", {"a.py": "one"})
    repo.take(store, kind="pause")
    plan = plan_rollback(back_to(store, start), repo.folder)
    assert plan.unowned == ("stray.txt",)
    assert [step.path for step in plan.steps] == ["a.py"]
    roll_back(store, back_to(store, start, everything=True))
    assert not (repo.folder / "stray.txt").exists()


def test_a_plan_touches_nothing(three):
    """Looking at what a rollback would do changes no file and takes no checkpoint."""
    repo, store = three
    files, before = repo.files(times=True), store.checkpoints("run")
    plan = plan_rollback(back_to(store, before[0]), repo.folder)
    assert len(plan.steps) == 6
    assert repo.files(times=True) == files
    assert store.checkpoints("run") == before


def test_a_folder_in_the_place_of_a_file_is_not_removed_with_what_is_in_it(repository):
    """Where a file was, a folder with an ignored file is now: the rollback is refused and the file is still there."""
    repo = repository()
    store = repo.store()
    start = repo.take(store)
    repo.remove("b.py")
    repo.write("b.py/secret.log", "the only copy")
    repo.take(store, "command")
    with pytest.raises(RollbackRefused, match="it is a folder now"):
        roll_back(store, back_to(store, start))
    roll_back(store, back_to(store, start), policy="keep-both")
    assert repo.read("b.py/secret.log") == b"the only copy"
    assert repo.read("b.rollback-1.py") == b"b.py = 1\n"


def test_files_and_folders_change_places_and_back(repository):
    """A file that became a folder of files, and a folder that became a file, go back and forth."""
    repo = repository()
    files, store = repo.files(), repo.store()
    start = repo.take(store)
    repo.remove("b.py")
    repo.write("b.py/deep/x.txt", "x")
    shutil.rmtree(repo.folder / "d")
    repo.write("d", "a file")
    broken = repo.files()
    repo.take(store, "command")
    done = roll_back(store, back_to(store, start))
    assert repo.files() == files
    roll_back(store, before_rollback(store, done.outcome))
    assert repo.files() == broken


def test_damage_in_the_store_is_found_before_any_file_is_touched(three):
    """A content that does not fit its id any more ends the rollback while everything is still as it was."""
    repo, store = three
    files = repo.files()
    first = store.find("1", run="run")
    listed = store.git.run("ls-tree", first.commit, "--", "b.py").split()[2].decode()
    damaged = store.folder / "objects" / listed[:2] / listed[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(b"no object")
    with pytest.raises(RollbackRefused, match=r'"b.py" is missing or damaged'):
        roll_back(store, without(store, "run", ["two"]))
    assert repo.files() == files
    assert unfinished(store) == ()


CUT = """
import os, signal, sys
from pathlib import Path
from orchestrator_nb.checkpoints.planning import back_to
from orchestrator_nb.checkpoints.rollback import roll_back
from orchestrator_nb.checkpoints.store import open_store

folder, moves = Path(sys.argv[1]), int(sys.argv[2])
store = open_store(folder, runs=folder / "orchestrator-runs", durable=False)
goal = back_to(store, store.find("start", run="run"))
inside = os.fspath(folder) + os.sep

def of_the_user(path):
    path = os.fspath(path)
    return path.startswith(inside) and not path.startswith(inside + ".git" + os.sep)

def watch(event, arguments):
    global moves
    if event in ("os.rename", "os.link") and any(map(of_the_user, arguments[:2])):
        moves -= 1
    if moves < 0 and event != "os.kill":
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
roll_back(store, goal)
"""


@pytest.mark.parametrize("undo", [False, True], ids=["completed", "undone"])
@pytest.mark.parametrize("moves", [0, 2, 3, 4, 5, 7])
def test_a_rollback_that_was_killed_is_completed_or_undone(three, moves, undo):
    """Whichever file a kill -9 hits, the next one finds the record and brings all files to the one side or the other."""
    repo, store = three
    files = repo.files()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", CUT, repo.folder, str(moves)], env=environment, capture_output=True, timeout=60
    )
    assert done.returncode == -9, done.stderr.decode()
    store = repo.store()
    (intent,) = unfinished(store)
    with pytest.raises(RollbackRefused, match="was cut"):
        roll_back(store, without(store, "run", ["two"]))
    finished = finish(store, intent, undo=undo)
    assert finished.late == ()
    assert unfinished(store) == ()
    assert not list((store.folder / "stages").iterdir())
    if undo:
        assert repo.files() == files
        return
    assert {path: content[1] for path, content in repo.files().items() if path != ".gitignore"} == {
        path: f"{path} = 1\n".encode() for path in ("a.py", "b.py", "d/c.py")
    }


def test_an_edit_after_the_kill_is_left_and_named(three):
    """Finishing a rollback that was cut leaves what a person wrote meanwhile."""
    repo, store = three
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-c", CUT, repo.folder, "0"], env=environment, capture_output=True, timeout=60)
    repo.write("b.py", "my own")
    finished = finish(repo.store(), unfinished(store)[0])
    assert finished.late == ("b.py",)
    assert repo.read("b.py") == b"my own"
    assert repo.read("a.py") == b"a.py = 1\n"


LATE = """
import os, sys
from pathlib import Path
from orchestrator_nb.checkpoints.planning import back_to
from orchestrator_nb.checkpoints.rollback import roll_back
from orchestrator_nb.checkpoints.store import open_store

folder = Path(sys.argv[1])
store = open_store(folder, runs=folder / "orchestrator-runs", durable=False)
goal = back_to(store, store.find("start", run="run"))

def watch(event, arguments):
    if event == "os.rename" and os.fspath(arguments[1]) == os.path.join(folder, "a.py"):
        with open(folder / "a.py", "w") as file:
            file.write("in the last moment")

sys.addaudithook(watch)
print(*roll_back(store, goal).rescued)
"""


def test_what_is_written_in_the_very_moment_is_kept_beside(three):
    """Text that an editor saves while its file is being replaced is found under a name that says so."""
    repo, _ = three
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", LATE, repo.folder], env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.split() == [b"a.written-during-rollback.py"]
    assert repo.read("a.written-during-rollback.py") == b"in the last moment"
    assert repo.read("a.py") == b"a.py = 1\n"


def test_step_by_step_until_a_check_passes(three):
    """The way back ends at the first level that is good; each is tried elsewhere and nothing is touched before."""
    repo, store = three
    files, seen = repo.files(), []

    def check(folder: Path) -> bool:
        assert repo.files() == files
        seen.append({path.name for path in folder.iterdir()})
        return not (folder / "two.txt").exists()

    done = roll_back_step_by_step(store, "run", check=check)
    assert [level.passed for level in done.levels] == [False, True]
    assert [level.target.subject for level in done.levels] == ["two", "one"]
    assert "three.txt" not in seen[0]
    assert done.rollback is not None
    assert (repo.read("a.py"), repo.read("b.py")) == (b"one", b"b.py = 1\n")


def test_step_by_step_as_somebody_decides(three):
    """Whoever decides sees the plan of each level and may stop; then no file was touched."""
    repo, store = three
    files = repo.files()
    answers = iter(["next", "stop"])
    done = roll_back_step_by_step(store, "run", decide=lambda level: next(answers))
    assert [len(level.plan.steps) for level in done.levels] == [2, 5]
    assert done.rollback is None
    assert repo.files() == files


def test_a_check_that_raises_does_not_pass(three):
    """What a check raises is told with its level, and the way back goes on."""
    _, store = three
    done = roll_back_step_by_step(store, "run", check=lambda folder: 1 / 0)
    assert {(level.passed, level.said) for level in done.levels} == {(False, "ZeroDivisionError: division by zero")}
    assert done.rollback is None


def test_what_cannot_be_rolled_back_says_so(three):
    """A command without a checkpoint, one that is no rollback, and an unknown policy are refused by name."""
    _, store = three
    with pytest.raises(CheckpointError, match='no checkpoint of the command "four"'):
        without(store, "run", ["four"])
    with pytest.raises(CheckpointError, match="only a rollback can be undone"):
        before_rollback(store, store.find("one", run="run"))
    with pytest.raises(CheckpointError, match='"force" is no way'):
        roll_back(store, without(store, "run", ["two"]), policy="force")


def test_permissions_that_git_does_not_know_stay(three):
    """A private file is not readable by others after it was rolled back."""
    repo, store = three
    (repo.folder / "b.py").chmod(0o600)
    roll_back(store, without(store, "run", ["two"]))
    assert (repo.folder / "b.py").stat().st_mode & 0o777 == 0o600
