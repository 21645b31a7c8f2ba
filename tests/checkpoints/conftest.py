"""Real repositories in the states in which people have them, and everything in them, byte by byte."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from orchestrator_nb.checkpoints.record import Checkpoint
from orchestrator_nb.checkpoints.snapshot import take
from orchestrator_nb.checkpoints.store import CheckpointStore, open_store


class Repository:
    """A work tree with some files, in a repository of its own unless `git` is false."""

    def __init__(self, folder: Path, *, commit: bool = True, git: bool = True) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.write(".gitignore", "outputs/\n*.log\n")
        for name in ("a.py", "b.py", "d/c.py"):
            self.write(name, f"{name} = 1\n")
        if git:
            self.git("init", "-q", "-b", "main")
            self.git("config", "user.email", "someone@example.org")
            self.git("config", "user.name", "someone")
        if git and commit:
            self.git("add", "-A")
            self.git("commit", "-qm", "begin")

    def git(self, *arguments: str, fine: bool = True) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(["git", *arguments], cwd=self.folder, capture_output=True, env=environment)
        assert not fine or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(errors="surrogateescape")

    def write(self, path: str, content: str | bytes) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def remove(self, path: str) -> None:
        (self.folder / path).unlink()

    def files(self, *, times: bool = False) -> dict[str, object]:
        """Everything in the work tree: links with their target, files with permissions and bytes."""
        return {
            path: content
            for path, content in contents(self.folder, times=times).items()
            if path.split(os.sep)[0] not in {".git", "orchestrator-runs"}
        }

    def private(self) -> dict[str, object]:
        """Everything that git has: index, references, reflogs, stash, objects, configuration; our store left out."""
        found = contents(self.folder / ".git", times=False) if (self.folder / ".git").is_dir() else {}
        return {path: content for path, content in found.items() if not path.startswith("orchestrator-nb")}

    def store(self) -> CheckpointStore:
        return open_store(self.folder, runs=self.folder / "orchestrator-runs", durable=False)

    def take(self, store: CheckpointStore, command: str | None = None, **options: object) -> Checkpoint:
        """Take one of the start, or of a command."""
        options = {"run": "run", "workflow": "w", "limit": 1 << 20, **options}
        kind = options.pop("kind", "start" if command is None else "command")
        return take(store, kind=kind, subject=command, **options)


def contents(folder: Path, *, times: bool) -> dict[str, object]:
    found: dict[str, object] = {}
    for where, folders, files in os.walk(folder):
        for name in (*files, *(name for name in folders if os.path.islink(os.path.join(where, name)))):
            path = os.path.join(where, name)
            about = os.lstat(path)
            if stat.S_ISLNK(about.st_mode):
                what: object = os.readlink(path)
            elif stat.S_ISREG(about.st_mode):
                what = (stat.S_IMODE(about.st_mode), Path(path).read_bytes())
            else:
                what = stat.S_IFMT(about.st_mode)
            found[os.path.relpath(path, folder)] = (what, about.st_mtime_ns) if times else what
    return found


@pytest.fixture
def repository(tmp_path: Path):
    """Make repositories of the test's own."""

    def make(name: str = "project", **options: bool) -> Repository:
        return Repository(tmp_path / name, **options)

    return make
