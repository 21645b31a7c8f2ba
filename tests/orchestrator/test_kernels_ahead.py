"""Kernels that are started ahead while a run goes on: whose they are, and that none outlives run or owner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import nbformat
import psutil
import pytest

from orchestrator_nb import Workflow

pytestmark = pytest.mark.kernel

WAIT = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.01)"

OWNER = """
import sys
from orchestrator_nb import Workflow

Workflow.load(sys.argv[1]).run()
"""


def written(folder, cells, **options):
    """Return a workflow of these notebooks, one after the other, of which each has this one cell."""
    flow = Workflow("pooled", folder=folder, slots=1, **options)
    before = None
    for name, cell in cells.items():
        made = [nbformat.v4.new_code_cell(cell)]
        nbformat.write(nbformat.v4.new_notebook(cells=made), folder / f"{name}.ipynb")
        before = flow.notebook(f"{name}.ipynb", **({"after": before} if before else {}))
    return flow


def kernels(pid=None):
    """Return the living processes below that one, or this one, that are plain kernels."""
    found = set()
    for each in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            if "ipykernel_launcher" in " ".join(each.cmdline()):
                found.add(each.pid)
    return found


def ways(run):
    """Return how the kernel of each command was started, as it is recorded."""
    lines = (run.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    told = [event for event in map(json.loads, lines) if event["kind"] == "KernelStarted"]
    return {event["command"]: event["way"] for event in told}


def test_the_next_notebook_has_its_kernel_when_its_turn_comes(project, until):
    """While one runs the kernel of the next one is started, and no more than run at a time; in the end none is left."""
    flow = written(project, {"a": WAIT, "b": "1", "c": "1"}, kernels="pool")
    run = flow.start(wait=False)
    until(lambda: len(kernels()) == 2)
    (project / "go").touch()
    run.wait(60)
    assert run.result.succeeded
    found = ways(run)
    assert (found["a"], found["b"]) == ("plain", "pooled")
    assert not kernels()


def test_what_was_started_ahead_ends_with_a_run_that_fails(project, until):
    """The notebook that it was for is not run any more."""
    flow = written(project, {"a": f"{WAIT}\nraise ValueError", "b": "1"}, kernels="pool", recovery="none")
    run = flow.start(wait=False)
    until(lambda: len(kernels()) == 2)
    (project / "go").touch()
    assert not run.wait(60, check=False).succeeded
    assert not kernels()


def test_a_paused_run_holds_no_kernels_that_it_does_not_use(project, until):
    """A pause may last: what was started ahead is ended, and started again when the run goes on."""
    flow = written(project, {"a": WAIT, "b": "1"}, kernels="pool")
    run = flow.start(wait=False)
    until(lambda: len(kernels()) == 2)
    run.pause()
    until(lambda: len(kernels()) == 1)
    run.resume()
    until(lambda: len(kernels()) == 2)
    (project / "go").touch()
    run.wait(60)
    assert ways(run) == {"a": "plain", "b": "pooled"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 on Windows")
@pytest.mark.parametrize("cell", [WAIT, "import re; re.match('(a*)*b', 'a' * 40)"])
def test_no_plain_kernel_outlives_a_killed_owner(project, until, cell):
    """After kill -9 of the owner the kernel at work, busy in C or not, the one that was started ahead, and what looks
    after them are gone."""
    (project / "flow.yaml").write_text(written(project, {"a": cell, "b": "1"}, kernels="pool").to_yaml())
    owner = subprocess.Popen([sys.executable, "-c", OWNER, "flow.yaml"], cwd=project, start_new_session=True)
    try:
        until(lambda: len(kernels(owner.pid)) == 2)
        all_of_it = [each.pid for each in psutil.Process(owner.pid).children(recursive=True)]
        assert len(all_of_it) == 3
    finally:
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    until(lambda: not any(map(is_running, all_of_it)), seconds=1.0)


def is_running(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
