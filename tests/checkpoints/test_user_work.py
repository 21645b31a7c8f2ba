"""The safety table: for each way in which other tools lost work, a repository in that state, a run and a rollback."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.checkpoints.entries import tree_of
from orchestrator_nb.checkpoints.place import find_place
from orchestrator_nb.checkpoints.planning import back_to, before_rollback
from orchestrator_nb.checkpoints.record import ref_of
from orchestrator_nb.checkpoints.rollback import roll_back
from orchestrator_nb.errors import CheckpointError


def staged_and_unstaged(repo):
    repo.write("a.py", "staged\n")
    repo.git("add", "a.py")
    repo.write("a.py", "staged, then edited\n")
    repo.write("untracked.txt", "mine")
    repo.write("meant.txt", "x")
    repo.git("add", "-N", "meant.txt")
    repo.remove("b.py")


def stashed(repo):
    repo.write("a.py", "for later\n")
    repo.git("stash")
    repo.write("b.py", "now\n")


def detached(repo):
    repo.git("checkout", "-q", "--detach")


def branches(repo):
    repo.git("checkout", "-qb", "other")
    repo.write("a.py", "other\n")
    repo.git("commit", "-qam", "other")
    repo.git("checkout", "-q", "main")
    repo.write("a.py", "main\n")
    repo.git("commit", "-qam", "main")


def merging(repo):
    branches(repo)
    repo.git("merge", "other", fine=False)
    assert "UU a.py" in repo.git("status", "--porcelain")


def rebasing(repo):
    branches(repo)
    repo.git("rebase", "other", fine=False)
    assert "UU a.py" in repo.git("status", "--porcelain")


def hooks_and_signing(repo):
    for name in ("pre-commit", "post-commit", "reference-transaction", "post-index-change", "post-checkout"):
        hook = repo.folder / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {repo.folder}/hook-ran\nexit 1\n")
        hook.chmod(0o755)
    repo.git("config", "commit.gpgsign", "true")
    repo.git("config", "gpg.program", "false")


def filters(repo):
    repo.git("config", "core.autocrlf", "true")
    repo.git("config", "filter.large.clean", "wc -c")
    repo.git("config", "filter.large.smudge", "cat")
    repo.git("config", "filter.large.required", "true")
    repo.write(".gitattributes", "*.bin filter=large\n*.id ident\n*.u16 text working-tree-encoding=UTF-16\n")
    repo.write("a.py", b"one\r\ntwo\nthree\r\n")
    repo.write("x.bin", b"\0\1\r\n" * 500)
    repo.write("k.id", b"$Id$ $Id: foo$\r\n")
    repo.write("w.u16", "h\u00e9\n".encode("utf-16"))
    repo.write("pointer.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")


def odd_names(repo):
    for name in (
        "-rf",
        "\u00fc n.txt",
        "new\nline",
        ":(exclude)x",
        "*",
        "a b/ c",
        "\u00e9" * 60,
        "tab\t",
        '"q"',
        "x\\y",
    ):
        repo.write(name, name)
    (repo.folder / os.fsdecode(b"\xff\xfe")).write_bytes(b"no text")
    repo.write("empty", "")
    repo.write("run.sh", "#!/bin/sh\n")
    (repo.folder / "run.sh").chmod(0o755)
    repo.write("private.txt", "mine alone")
    (repo.folder / "private.txt").chmod(0o600)
    (repo.folder / "dangling").symlink_to("nowhere")
    (repo.folder / "linked").symlink_to("d")


def hidden_from_status(repo):
    repo.git("update-index", "--assume-unchanged", "a.py")
    repo.git("update-index", "--skip-worktree", "b.py")
    repo.write("a.py", "hidden edit\n")
    repo.write("b.py", "hidden edit too\n")


def sparse(repo):
    repo.git("sparse-checkout", "set", "--no-cone", "/a.py", "/.gitignore")
    assert not (repo.folder / "d").exists()


def tracked_though_ignored(repo):
    repo.write("kept.log", "precious\n")
    repo.git("add", "-f", "kept.log")
    repo.git("commit", "-qm", "a log")


def special_file(repo):
    os.mkfifo(repo.folder / "pipe")


def empty_folder(repo):
    (repo.folder / "results" / "today").mkdir(parents=True)


def linked_folder(repo):
    outside = repo.folder.parent / "outside"
    outside.mkdir()
    (outside / "data.csv").write_text("theirs")
    (repo.folder / "data").symlink_to(outside)


def packed(repo):
    repo.git("gc", "-q")


def owned_by_another(repo):
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for folder, folders, files in os.walk(repo.folder):
        for name in (*folders, *files):
            os.lchown(os.path.join(folder, name), 65534, 65534)
    os.chown(repo.folder, 65534, 65534)
    refused = subprocess.run(["git", "status"], cwd=repo.folder, capture_output=True, env=without_settings())
    assert b"dubious ownership" in refused.stderr


def without_settings():
    """Return an environment in which nobody has told git which folders are safe."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "SUDO_"))}
    return {**environment, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def locked_by_another_git(repo):
    repo.write(".git/index.lock", "")
    repo.write(".git/HEAD.lock", "")
    repo.write(".git/config.lock", "")


def monitored(repo):
    monitor = repo.folder / ".git" / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {repo.folder}/hook-ran\nexit 1\n")
    monitor.chmod(0o755)
    repo.git("update-index", "--untracked-cache", "--split-index")
    repo.git("config", "core.fsmonitor", os.fspath(monitor))


def objects_elsewhere(repo):
    """Its objects are those of another repository, as after `git clone --shared`."""
    origin = repo.folder.parent / "origin.git"
    repo.git("clone", "-q", "--bare", ".", os.fspath(origin))
    repo.write(".git/objects/info/alternates", f"{origin}/objects\n")
    for folder in (repo.folder / ".git" / "objects").glob("[0-9a-f][0-9a-f]"):
        shutil.rmtree(folder)
    assert "a.py" in repo.git("ls-tree", "--name-only", "HEAD")


def shallow(repo):
    """Of its history only the last commit is here."""
    for number in range(2):
        repo.write("a.py", f"{number}\n")
        repo.git("commit", "-qam", f"{number}")
    origin = repo.folder.parent / "origin.git"
    repo.git("clone", "-q", "--bare", ".", os.fspath(origin))
    repo.git("fetch", "-q", "--depth=1", origin.as_uri(), "main")
    assert repo.git("rev-list", "--count", "HEAD") == "1\n"


def alike_names(repo):
    """Names that a system that does not care for case or for composed letters, as the settings claim, takes for one."""
    repo.git("config", "core.ignorecase", "true")
    repo.git("config", "core.precomposeunicode", "true")
    for number, name in enumerate(("Read.py", "read.py", "sub/x.py", "Sub/y.py", "caf\u00e9.py", "cafe\u0301.py")):
        repo.write(name, f"{number}\n" * (number + 1))
    if len(list(repo.folder.glob("[Rr]ead.py"))) + len(list(repo.folder.glob("caf*.py"))) < 4:
        pytest.skip("here these are names of the same files")


def longer_ids(repo):
    """A repository whose ids are SHA-256."""
    shutil.rmtree(repo.folder / ".git")
    repo.git("init", "-q", "-b", "main", "--object-format=sha256")
    repo.git("add", "-A")
    repo.git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "begin")


def modes_not_trusted(repo):
    """The user's git is told to look at neither permissions nor links."""
    repo.write("tool.sh", "#!/bin/sh\n")
    (repo.folder / "tool.sh").chmod(0o755)
    (repo.folder / "link").symlink_to("a.py")
    repo.git("add", "-A")
    repo.git("commit", "-qm", "more")
    repo.git("config", "core.fileMode", "false")
    repo.git("config", "core.symlinks", "false")


def replaced(repo):
    """What git shows for an object is another one, by a reference of replacement."""
    ids = [repo.git("hash-object", "-w", "--", name).strip() for name in ("a.py", "b.py")]
    repo.git("replace", *ids)


def bisecting(repo):
    repo.write("a.py", "worse\n")
    repo.git("commit", "-qam", "worse")
    repo.git("bisect", "start", "HEAD", "HEAD~1")


STATES = [
    staged_and_unstaged, stashed, detached, merging, rebasing, hooks_and_signing, filters, odd_names,
    hidden_from_status, sparse, tracked_though_ignored, special_file, empty_folder, linked_folder, packed,
    owned_by_another, locked_by_another_git, monitored, alike_names, modes_not_trusted,
]  # fmt: skip

KINDS_OF_REPOSITORY = [objects_elsewhere, shallow, longer_ids, replaced, bisecting]
"""States in which only what git has is other than usual, and no file."""


def a_command(repo):
    """Do what a command does that goes wrong: change, delete and create files, some of them of the state under test."""
    for path, content in repo.files().items():
        file = repo.folder / path
        if path.endswith((".py", ".txt", ".bin", ".u16", ".id", ".log", "-rf", "new\nline", ".sh")):
            file.write_bytes(b"broken " + content[1] if len(content[1]) % 2 else content[1][::-1] + b"!")
    for name in ("*", "dangling", "empty"):
        if os.path.lexists(repo.folder / name):
            repo.remove(name)
    repo.write("made/by/command.txt", "artifact")
    repo.write("results/today/out.csv", "1,2\n")


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_nothing_of_the_user_is_touched_and_a_rollback_gives_all_of_it_back(repository, state):
    """Taking checkpoints changes no byte and no time; a rollback brings the work tree back, and its undoing undoes it."""
    repo = repository()
    state(repo)
    files, times, private = repo.files(), repo.files(times=True), repo.private()
    store = repo.store()
    start = repo.take(store)
    assert repo.files(times=True) == times
    assert repo.private() == private
    a_command(repo)
    broken = repo.files()
    assert broken != files
    repo.take(store, "command")
    done = roll_back(store, back_to(store, start))
    assert not done.late
    assert repo.files() == files
    assert repo.private() == private
    untouched = {path: value for path, value in times.items() if broken.get(path) == value[0]}
    now = repo.files(times=True)
    assert {path: now[path] for path in untouched} == untouched
    roll_back(store, before_rollback(store, done.outcome))
    assert repo.files() == broken
    assert repo.private() == private
    assert not (repo.folder / "hook-ran").exists()


@pytest.mark.parametrize("options", [{"commit": False}, {"git": False}], ids=["unborn", "without-git"])
def test_a_project_without_a_commit_or_without_git(repository, options):
    """A branch that was not born yet, and a folder in no repository, are as safe as any other."""
    repo = repository(**options)
    files, private = repo.files(), repo.private()
    store = repo.store()
    start = repo.take(store)
    a_command(repo)
    repo.take(store, "command")
    roll_back(store, back_to(store, start))
    assert repo.files() == files
    assert repo.private() == private
    assert ("orchestrator-runs" in os.fspath(store.folder)) is (options.get("git") is False)


def test_an_empty_folder_stays_and_a_new_one_goes(repository):
    """A folder that the user had made for results is there after a rollback; what a command made is gone."""
    repo = repository()
    empty_folder(repo)
    store = repo.store()
    start = repo.take(store)
    a_command(repo)
    repo.take(store, "command")
    roll_back(store, back_to(store, start))
    assert (repo.folder / "results" / "today").is_dir()
    assert not (repo.folder / "made").exists()


def test_ignored_files_are_restored_only_where_they_are_declared(repository):
    """An ignored output that is declared goes back; one that is not is nobody's business."""
    repo = repository()
    repo.write("outputs/model.bin", "1")
    repo.write("outputs/other.bin", "1")
    store = repo.store()
    start = repo.take(store, declared=["outputs/model.bin"])
    repo.write("outputs/model.bin", "2")
    repo.write("outputs/other.bin", "2")
    repo.take(store, "train", declared=["outputs/model.bin"], whole=False)
    assert set(tree_of(store.git, start.commit)) == {".gitignore", "a.py", "b.py", "d/c.py", "outputs/model.bin"}
    roll_back(store, back_to(store, start))
    assert (repo.read("outputs/model.bin"), repo.read("outputs/other.bin")) == (b"1", b"2")


def test_a_declared_folder_stands_for_all_that_is_in_it(repository):
    """Files of a declared folder that came, went and changed are all in the checkpoint, ignored ones too."""
    repo = repository()
    for name in ("one", "two"):
        repo.write(f"outputs/{name}.bin", "1")
    store = repo.store()
    start = repo.take(store, declared=["outputs"])
    repo.write("outputs/one.bin", "changed")
    repo.remove("outputs/two.bin")
    repo.write("outputs/deep/three.bin", "new")
    after = repo.take(store, "train", declared=["outputs"], whole=False)
    inside = {path for path in tree_of(store.git, after.commit) if path.startswith("outputs")}
    assert inside == {"outputs/one.bin", "outputs/deep/three.bin"}
    roll_back(store, back_to(store, start))
    found = {path: content[1] for path, content in repo.files().items() if path.startswith("outputs")}
    assert found == {"outputs/one.bin": b"1", "outputs/two.bin": b"1"}


def test_a_file_that_is_ignored_by_now_is_neither_lost_nor_deleted(repository):
    """That a file is no longer seen by git, since it is ignored by now, does not make it a deleted one."""
    repo = repository()
    repo.write("data.tmp", "precious")
    store = repo.store()
    start = repo.take(store)
    repo.write(".gitignore", "*.tmp\n")
    repo.write("a.py", "broken")
    repo.take(store, "command")
    store.index("run").unlink()
    roll_back(store, back_to(store, start))
    assert repo.read("data.tmp") == b"precious"
    assert repo.read("a.py") == b"a.py = 1\n"


def test_nested_repositories_and_submodules_are_left_alone_and_named(repository):
    """What is in a repository inside the project is never touched; the checkpoint says that it is not in it."""
    repo, inner, library = repository(), repository("project/vendored"), repository("library")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", os.fspath(library.folder), "module")
    repo.git("commit", "-qm", "module", "--", ".gitmodules", "module")
    store, private = repo.store(), repo.private()
    start = repo.take(store)
    assert {path for path, _ in start.skipped} == {"vendored", "module"}
    inner.write("a.py", "work inside")
    repo.write("module/a.py", "work inside")
    repo.write("a.py", "broken")
    repo.take(store, "command")
    roll_back(store, back_to(store, start))
    assert inner.read("a.py") == repo.read("module/a.py") == b"work inside"
    assert repo.read("a.py") == b"a.py = 1\n"
    assert repo.private() == private


def test_large_files_are_left_out_named_and_never_deleted(repository):
    """A file above the limit is in no checkpoint, which says so, and no rollback takes it for a new or deleted one."""
    repo = repository()
    large = b"x" * (2 << 20)
    repo.write("large.csv", large)
    repo.write("shrinks.csv", large)
    repo.write("grows.csv", "small")
    store = repo.store()
    start = repo.take(store)
    assert [path for path, why in start.skipped if "the limit is 1048576" in why] == ["large.csv", "shrinks.csv"]
    repo.write("new.csv", large)
    repo.write("shrinks.csv", "small now")
    repo.write("grows.csv", large)
    repo.write("a.py", "broken")
    repo.take(store, "command")
    done = roll_back(store, back_to(store, start), policy="keep-mine", limit=1 << 20)
    assert {conflict.path for conflict in done.plan.conflicts} == {"grows.csv", "shrinks.csv"}
    assert repo.read("large.csv") == repo.read("new.csv") == repo.read("grows.csv") == large
    assert repo.read("shrinks.csv") == b"small now"
    assert repo.read("a.py") == b"a.py = 1\n"


def test_a_folder_that_became_a_link_is_not_written_through(repository):
    """Files outside of the project stay as they are when a folder was replaced by a link to them."""
    repo = repository()
    outside = repo.folder.parent / "elsewhere"
    outside.mkdir()
    (outside / "c.py").write_text("theirs")
    store = repo.store()
    start = repo.take(store)
    shutil.rmtree(repo.folder / "d")
    (repo.folder / "d").symlink_to(outside)
    repo.take(store, "command")
    roll_back(store, back_to(store, start))
    assert (outside / "c.py").read_text() == "theirs"
    assert not (repo.folder / "d").is_symlink()
    assert repo.read("d/c.py") == b"d/c.py = 1\n"


def test_the_users_own_collection_and_cleaning_cost_no_checkpoint(repository):
    """After reset, clean, gc and an expired reflog every checkpoint can still be restored."""
    repo = repository()
    repo.write("untracked.txt", "mine")
    files, store = repo.files(), repo.store()
    start = repo.take(store)
    repo.write("untracked.txt", "broken")
    repo.take(store, "command")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    repo.git("reset", "-q", "--hard")
    repo.write("untracked.txt", "broken")
    roll_back(store, back_to(store, start))
    assert repo.files() == files
    repo.git("clean", "-xdffq")
    store = repo.store()
    assert repo.take(store, "command").number == 5


def test_a_work_tree_of_its_own_has_checkpoints_of_its_own(repository):
    """A linked work tree is kept apart from the main one, and its checkpoints outlive its removal."""
    repo = repository()
    linked = repo.folder.parent / "linked"
    repo.git("worktree", "add", "-q", os.fspath(linked), "-b", "topic")
    from orchestrator_nb.checkpoints.store import open_store

    here, there = repo.store(), open_store(linked, runs=linked / "orchestrator-runs")
    assert here.folder != there.folder
    assert repo.folder in there.folder.parents
    start = repo.take(there)
    assert start.branch == "refs/heads/topic"
    repo.git("worktree", "remove", "--force", os.fspath(linked))
    assert (there.folder / "refs").is_dir()


def test_variables_of_a_hook_lead_nowhere_else(repository, monkeypatch):
    """Inside a hook, git is told by variables which repository is meant; checkpoints go to their own all the same."""
    repo, other = repository(), repository("other")
    private = other.private()
    monkeypatch.setenv("GIT_DIR", os.fspath(other.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", os.fspath(other.folder / ".git" / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", os.fspath(other.folder / ".git" / "objects"))
    store = repo.store()
    start = repo.take(store)
    assert repo.folder in store.folder.parents
    assert "a.py" in tree_of(store.git, start.commit)
    assert other.private() == private
    monkeypatch.setenv("GIT_WORK_TREE", os.fspath(other.folder))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.autocrlf'='true' 'core.bare'='true'")
    files = other.files(times=True)
    run_and_go_back(repo)
    assert (other.private(), other.files(times=True)) == (private, files)


def test_what_a_git_that_was_killed_left_locked_in_the_store_holds_nobody_up(repository):
    """Locks of an index and of a reference, left by a death, are no reason to keep no more checkpoints."""
    repo = repository()
    store = repo.store()
    start = repo.take(store)
    for lock in (store.index("run"), store.folder / ref_of("run", 2)):
        lock.with_name(lock.name + ".lock").touch()
    repo.write("a.py", "broken")
    repo.take(store, "command")
    roll_back(store, back_to(store, start))
    assert repo.read("a.py") == b"a.py = 1\n"


def test_no_edit_of_the_same_size_is_missed(repository):
    """An edit that keeps the size, in the moment of the checkpoint before, is in the next one."""
    repo = repository()
    store = repo.store()
    repo.take(store)
    for number in range(12):
        repo.write("a.py", f"a.py = {number % 10}\n")
        tree = tree_of(store.git, repo.take(store, "command").commit)
        assert store.git.run("cat-file", "blob", tree["a.py"].blob) == repo.read("a.py"), number


def test_the_store_is_for_its_owner_only(repository):
    """Nobody else on the machine can look into the copies of files."""
    store = repository().store()
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_the_whole_of_git_finds_no_fault_with_the_store(repository):
    """git's own check passes on the store after checkpoints and rollbacks."""
    repo = repository()
    odd_names(repo)
    store = repo.store()
    start = repo.take(store)
    a_command(repo)
    repo.take(store, "command")
    roll_back(store, back_to(store, start))
    done = subprocess.run(["git", "--git-dir", store.folder, "fsck", "--full", "--strict"], capture_output=True)
    assert done.returncode == 0, done.stderr


def large_file_storage(repo):
    """Files of git-lfs: pointers in the index and in the commit, the bytes in the work tree, one of them edited."""
    repo.git("lfs", "install", "--local")
    repo.git("lfs", "track", "*.bin")
    repo.write("large.bin", os.urandom(5000))
    repo.write("edited.bin", b"as committed")
    repo.git("add", "-A")
    repo.git("commit", "-qm", "large files")
    repo.write("edited.bin", b"as edited, and not added")
    assert repo.git("show", "HEAD:large.bin").startswith("version https://git-lfs")


WITH_LFS = pytest.param(
    large_file_storage, marks=pytest.mark.skipif(shutil.which("git-lfs") is None, reason="there is no git-lfs here")
)


@pytest.mark.parametrize("state", [*STATES, *KINDS_OF_REPOSITORY, WITH_LFS], ids=lambda state: state.__name__)
def test_a_run_and_its_rollback_cost_the_user_nothing(repository, state):
    """A real run over a project in that state, and its rollback, leave every file and all that git has as they were."""
    repo = repository()
    state(repo)
    repo.write(".env", "SECRET=1")
    run_and_go_back(repo)


@pytest.mark.parametrize("options", [{"commit": False}, {"git": False}], ids=["unborn", "without-git"])
def test_a_run_without_a_commit_or_without_git_costs_the_user_nothing(repository, options):
    """A branch that was not born yet, and a folder in no repository, come out of a run and its rollback as they were."""
    run_and_go_back(repository(**options))


def test_a_run_beside_nested_repositories_and_submodules_leaves_them_alone(repository):
    """What is in a repository inside the project stays as the user has it by then, through a run and its rollback."""
    repo, inner, library = repository(), repository("project/vendored"), repository("library")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", os.fspath(library.folder), "module")
    repo.git("commit", "-qm", "module", "--", ".gitmodules", "module")
    inner.write("a.py", "work inside")
    repo.write("module/a.py", "work inside")
    run_and_go_back(repo, leave=("vendored", "module"))
    assert inner.read("a.py") == repo.read("module/a.py") == b"work inside"


def test_a_run_in_a_linked_work_tree_costs_the_other_one_nothing(repository):
    """A run in a work tree of its own and its rollback change neither the main one nor what both share."""
    repo, side = repository(), repository("aside", git=False)
    shutil.rmtree(side.folder)
    repo.git("worktree", "add", "-q", os.fspath(side.folder), "-b", "side")
    repo.write("a.py", "edited in the main one")
    files, private = repo.files(), repo.private()
    run_and_go_back(side)
    assert (repo.files(), repo.private()) == (files, private)


def test_a_run_inside_of_a_repositorys_own_folder_keeps_none_and_says_why(repository, tmp_path, monkeypatch):
    """In a bare repository and in ".git" a rollback would take history back: a clear line, and the run goes on."""
    repo, bare = repository(), tmp_path / "bare.git"
    repo.git("clone", "-q", "--bare", ".", os.fspath(bare))
    for folder in (bare, bare / "hooks", repo.folder / ".git", repo.folder / ".git" / "refs"):
        with pytest.raises(CheckpointError, match="has no work tree: put the workflow into a clone"):
            find_place(folder, runs=tmp_path / "runs")
    before = {path: path.read_bytes() for path in bare.rglob("*") if path.is_file()}
    flow = Workflow("w", folder=bare, durability="process")
    flow.command(lambda: (bare / "made.txt").write_text("made"), id="makes", writes=["made.txt"])
    run = flow.start(wait=False, store=tmp_path / "runs")
    assert run.wait().succeeded
    assert f'"{bare}" belongs to a bare git repository' in repr(run.checkpoints())
    (bare / "made.txt").unlink()
    assert {path: path.read_bytes() for path in bare.rglob("*") if path.is_file()} == before


def test_a_work_tree_that_the_repository_has_elsewhere_is_not_the_project(repository):
    """With `core.worktree` somewhere else, the files there are left alone, and those of the project are kept."""
    repo, other = repository(), repository("other", git=False)
    repo.git("config", "core.worktree", os.fspath(other.folder))
    files, private = other.files(times=True), repo.private()
    run_and_go_back(repo)
    assert repo.store().root == repo.folder
    assert other.files(times=True) == files
    assert repo.private() == private


def test_a_run_in_a_folder_of_a_larger_repository_leaves_the_rest_alone(repository):
    """Going back takes nothing back of what a person changes in other folders of the same repository meanwhile."""
    repo = repository()
    flow = Workflow("w", folder=repo.folder / "d", durability="process")
    flow.command(lambda: repo.write("d/c.py", "broken"), id="spoils", writes=["c.py"])
    run = flow.start(wait=False, store=repo.folder / "d" / "orchestrator-runs")
    run.wait()
    repo.write("a.py", "mine")
    repo.write("beside/new.txt", "mine")
    private = repo.private()
    run.rollback(to="start")
    assert (repo.read("d/c.py"), repo.read("a.py"), repo.read("beside/new.txt")) == (b"d/c.py = 1\n", b"mine", b"mine")
    assert repo.private() == private


@pytest.mark.parametrize("name", ["-rf", "new\nline", ":(top)x", "\u00fc *"])
def test_a_run_in_a_folder_of_an_odd_name_costs_the_user_nothing(repository, name):
    """Neither an option nor a pattern nor two lines: the name of the project's folder is a name."""
    run_and_go_back(repository(name))


def test_a_run_whose_checkpoints_are_taken_by_an_old_git_says_so(repository, tmp_path, monkeypatch):
    """A git that knows too little is named with its version and what to do; the run goes on without checkpoints."""
    repo = repository()
    old = tmp_path / "programs" / "git"
    old.parent.mkdir()
    old.write_text(
        f'#!/bin/sh\ncase "$1" in\nversion) echo git version 2.25.1;;\n'
        f'rev-parse) for part; do echo "$part"; done;;\n*) exec {shutil.which("git")} "$@";;\nesac\n'
    )
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}{os.pathsep}{os.environ['PATH']}")
    flow = Workflow("w", folder=repo.folder, durability="process")
    flow.command(lambda: repo.write("made.txt", "made"), id="makes", writes=["made.txt"])
    run = flow.start(wait=False, store=repo.folder / "orchestrator-runs")
    run.wait()
    assert 'checkpoints need git 2.31 or newer, and the one here says "git version 2.25.1"' in repr(run.checkpoints())
    skipped = [event for event in run.watch() if type(event).__name__ == "CheckpointSkipped"]
    assert [event.for_good for event in skipped] == [True]


def run_and_go_back(repo, *, leave=()):
    """Let a command spoil all files but those in the folders to `leave`, go back, undo that, and compare each time."""
    files, private = repo.files(), repo.private()
    flow = Workflow("w", folder=repo.folder, durability="process")
    paths = [path for path in files if path.isprintable() and not any(letter in path for letter in ":*?[\\")]
    paths = [path for path in paths if path.split(os.sep)[0] not in leave]
    flow.command(lambda: spoil(repo, paths), id="spoils", writes=[f"./{path}" for path in [*paths, "made/out.csv"]])
    run = flow.start(wait=False, store=repo.folder / "orchestrator-runs")
    run.wait()
    assert repo.private() == private
    assert repo.files() != files
    report = run.rollback(to="start")
    assert report.conflicts == {}
    assert repo.files() == files
    assert repo.private() == private
    run.rollback(undo=report.undo)
    assert repo.read("made/out.csv") == b"1,2\n"
    assert repo.private() == private
    assert not (repo.folder / "hook-ran").exists()


def spoil(repo, paths):
    """Change, delete and make files that are declared; nothing else, and no secret."""
    for number, path in enumerate(paths):
        file = repo.folder / path
        if path == ".env" or not file.is_file() or file.is_symlink():
            continue
        if number % 3:
            file.write_bytes(b"broken " + file.read_bytes())
        else:
            file.unlink()
    repo.write("made/out.csv", "1,2\n")
