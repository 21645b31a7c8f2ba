"""What a checkpoint costs beside `git status` and a naive `git add -A && git commit`, in turn on the same project.

    python tests/benchmarks/bench_checkpoints.py [FILES] [ROUNDS] [CHECKPOINTS]

Each round edits three files and makes a new one. CPU in milliseconds, children included. The naive way works on a copy
of the project, since it is what changes it. Then CHECKPOINTS small ones follow each other: what the first hundred and
the last hundred cost, how large the store is after its own collection, how long listing all of them takes, and how many
four writers at once lose.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import table

from orchestrator_nb.checkpoints.record import Checkpoint
from orchestrator_nb.checkpoints.retention import collect
from orchestrator_nb.checkpoints.snapshot import take
from orchestrator_nb.checkpoints.store import CheckpointStore, open_store
from orchestrator_nb.errors import CheckpointError


def git(folder: Path, *arguments: str) -> int:
    """Run git there; return its exit code."""
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True).returncode


def project(folder: Path, files: int) -> Path:
    """Make a repository with this many files, all committed."""
    for number in range(files):
        path = folder / f"d{number // 100}" / f"f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"value = {number}\n" * 30)
    git(folder, "init", "-q")
    git(folder, "config", "user.email", "someone@example.org")
    git(folder, "config", "user.name", "someone")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "begin")
    return folder


def cpu(work: Callable[[], object]) -> float:
    """Return the seconds of CPU of this process and its children."""
    before = _used()
    work()
    return _used() - before


def _used() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def edit(folder: Path, number: int, *, new: int | None = None) -> list[str]:
    """Change three files and make one, or write one anew; return their paths."""
    paths = [f"d0/f{(number + step) % 50}.py" for step in range(3)]
    paths.append(f"new/n{number if new is None else new}.txt")
    for path in paths:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(f"edited {number}\n" * 20)
    return paths


def snapshot(store: CheckpointStore, run: str, declared: list[str] | None = None) -> Checkpoint:
    """Take one of declared paths, or of the whole work tree."""
    return take(
        store, run=run, kind="command", workflow="w", subject="c", whole=declared is None, declared=declared or ()
    )


def compare(folder: Path, store: CheckpointStore, rounds: int) -> str:
    """Return the table of all ways, round by round in turn; a first round warms the caches and does not count."""
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    found: dict[str, list[float]] = {name: [] for name in ("git status", "whole", "declared", "naive commit")}
    for number in range(rounds + 1):
        edit(folder, 3 * number)
        seconds = {"git status": cpu(lambda: git(folder, "status", "--porcelain"))}
        seconds["whole"] = cpu(lambda: snapshot(store, "run"))
        paths = edit(folder, 3 * number + 1)
        seconds["declared"] = cpu(lambda paths=paths: snapshot(store, "run", paths))
        edit(copy, 3 * number)
        seconds["naive commit"] = cpu(lambda: (git(copy, "add", "-A"), git(copy, "commit", "-qm", "step")))
        for name, value in seconds.items() if number else ():
            found[name].append(value)
    return table(found, beside="git status", unit=1000, unit_name="ms")


def follow(folder: Path, store: CheckpointStore, count: int) -> str:
    """Return how many small ones after each other fare."""
    costs = []
    for number in range(count):
        paths = edit(folder, number, new=number % 20)  # the project does not grow, or that would be measured, too
        costs.append(cpu(lambda paths=paths: snapshot(store, "many", paths)) * 1000)
    hundred = max(1, min(100, count // 3))
    before = size_of(store.folder)
    collecting = cpu(lambda: collect(store))
    listing = statistics.median(cpu(lambda: store.checkpoints("many")) * 1000 for _ in range(9))
    return (
        f"{count} of declared paths: the first {hundred} {statistics.median(costs[:hundred]):.1f} ms each, "
        f"the last {hundred} {statistics.median(costs[-hundred:]):.1f} ms\n"
        f"store {before / 1e6:.1f} MB, after its collection ({collecting:.2f} s of CPU) "
        f"{size_of(store.folder) / 1e6:.1f} MB; listing {count}: {listing:.1f} ms"
    )


def at_once(folder: Path, store: CheckpointStore, each: int = 15) -> str:
    """Return how many four writers at once lose, in runs of their own and naively in one repository."""

    def ours(writer: int) -> int:
        done = 0
        for number in range(each):
            (folder / f"w{writer}.txt").write_text(f"{number}")
            try:
                done += bool(snapshot(store, f"writer{writer}"))
            except CheckpointError as error:
                print(error)
        return done

    def naive(writer: int) -> int:
        done = 0
        for number in range(each):
            (folder.with_name("copy") / f"w{writer}.txt").write_text(f"{number}")
            added = git(folder.with_name("copy"), "add", "-A")
            done += not added and not git(folder.with_name("copy"), "commit", "-qm", f"{writer} {number}")
        return done

    with ThreadPoolExecutor(4) as pool:
        ours_done, naive_done = sum(pool.map(ours, range(4))), sum(pool.map(naive, range(4)))
    return f"four at once: {ours_done} of {4 * each} taken, naively {naive_done} of {4 * each}"


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder, its index files left out."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.parent.name != "indexes")


def main(files: int, rounds: int, count: int) -> None:
    """Print the comparison."""
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name) / "project", files)
        store = open_store(folder, runs=Path(name) / "runs")
        started = time.perf_counter()
        print(
            f"{files} files; the first checkpoint: {cpu(lambda: snapshot(store, 'run')) * 1000:.0f} ms of CPU, ", end=""
        )
        print(f"{time.perf_counter() - started:.1f} s by the clock")
        print(compare(folder, store, rounds))
        small = project(Path(name) / "small", 50)
        print(follow(small, open_store(small, runs=Path(name) / "runs"), count))
        print(at_once(folder, store))


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given + [10_000, 15, 1000][len(given) :]))
