"""What was ended for want of memory is known by the system's own account: processes that are really out of memory."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator_nb.executors.oom import OutOfMemory

LIMIT = 600 * 2**20

OWNER = """\
import json, os, sys
from pathlib import Path

Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))

from orchestrator_nb import Workflow

commands = {
    name: {"call": f"hungry:{name}", "isolation": "process", "retries": 0, "optional": True} for name in sys.argv[2:]
}
result = Workflow.load({"workflow": "hungry", "commands": commands}).run(check=False, slots=1)
print(json.dumps({
    name: [record.error.kind, record.error.evidence[0], record.failure.evidence.get("oom", "")]
    for name, record in result.commands.items()
}))
"""

HUNGRY = """\
import os
import time


def endless():
    kept = []
    for _ in range(100):  # far more than there is
        kept.append(bytearray(os.urandom(4096)) * 4096)


def large_and_killed():
    kept = bytearray(b"x") * (380 * 2**20)
    time.sleep(1.5)
    os.kill(os.getpid(), 9)


def killed():
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group with little memory, where these may be made."""
    for root, limit, swap in (
        (Path("/sys/fs/cgroup"), "memory.max", "memory.swap.max"),
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    ):
        if not (root / "cgroup.procs").exists():
            continue
        folder = root / f"orchestrator-nb-{uuid.uuid4().hex[:8]}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            with open(folder / limit, "r+") as file:
                file.write(str(LIMIT))
        except OSError:
            folder.rmdir()
            continue
        with contextlib.suppress(OSError), open(folder / swap, "r+") as file:
            file.write(str(LIMIT if "memsw" in swap else 0))
        yield folder
        end = time.monotonic() + 20
        while time.monotonic() < end:  # what was in it may still be going
            with contextlib.suppress(OSError):
                folder.rmdir()
                return
            time.sleep(0.05)
        return
    pytest.skip("no control group for memory can be made here")


def test_what_the_system_ended_for_want_of_memory_is_told_so(project: Path, group: Path) -> None:
    """By the count of its control group; by the memory that it had, where somebody else ends the large; and what was
    just killed is not taken for it."""
    (project / "hungry.py").write_text(HUNGRY)
    path = os.pathsep.join(place for place in (str(project), *sys.path) if place)
    done = subprocess.run(
        [sys.executable, "-c", OWNER, str(group), "endless", "killed", "large_and_killed"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    kind, evidence, account = told["endless"]
    assert (kind, evidence) == ("context_overflow", account)
    assert group.name in account
    assert "1 more process" in account
    kind, evidence, account = told["large_and_killed"]
    assert (kind, account) == ("context_overflow", "")
    assert "of 600 MiB" in evidence
    kind, evidence, account = told["killed"]
    assert (kind, account) == ("command_failure", "")
    assert "counts no process ended for want of memory" in evidence


def test_several_that_were_ended_at_once_are_told_each_once(tmp_path: Path) -> None:
    """Who asks second does not find that there is nothing new; and nobody is told more than there is."""
    counts = tmp_path / "memory.events"
    counts.write_text("oom 3\noom_kill 4\n")
    account = OutOfMemory((tmp_path / "none", counts))
    assert account.account == str(counts)
    assert account.news() is None
    counts.write_text("oom 5\noom_kill 6\n")
    assert "2 more" in str(account.news())
    assert "2 more" in str(account.news())
    assert account.news() is None
    assert OutOfMemory((tmp_path / "none",)).account is None
