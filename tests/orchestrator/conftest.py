"""Runs that other processes own: real owners, begun when a command of theirs is under way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_nb import attach
from orchestrator_nb.errors import RunNotFound

STEPS = """\
import time
from pathlib import Path

from orchestrator_nb import context


def first():
    return 1


def slow(first):
    with open("began", "a") as file:
        file.write(f"{context.attempt}\\n")
    print("looking for a file")
    while not Path("go").exists():
        context.progress(0.25, "a quarter")
        time.sleep(0.02)
    return first + 1


def last(slow):
    return slow + 1
"""

FLOW = """\
workflow: w
commands:
  first: {call: 'steps:first'}
  slow: {call: 'steps:slow', after: [first]}
  last: {call: 'steps:last', after: [slow]}
"""

OWNER = "import sys; from orchestrator_nb import Workflow; Workflow.load('flow.yaml').start({}).wait(check=False)"


@pytest.fixture
def flow(project):
    """The folder of a workflow whose middle command goes on until there is a file `go`."""
    (project / "steps.py").write_text(STEPS)
    (project / "flow.yaml").write_text(FLOW)
    return project


@pytest.fixture
def owner(flow, until):
    """Start a process that owns a run of the workflow, and return it and the run when `slow` is under way."""
    begun: list[subprocess.Popen[str]] = []

    def begin(code=OWNER, options="wait=False"):
        attempts = _begun()
        process = subprocess.Popen(
            [sys.executable, "-c", code.format(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        begun.append(process)
        until(lambda: _begun() > attempts or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        return process, attach("latest")

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def _begun():
    path = Path("began")
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def ended_runs(store):
    """Have every detached owner of the test's store gone at its end."""
    yield
    try:
        run = attach("latest")
    except RunNotFound:
        return
    if run.is_running:
        run.stop("the test is over", grace=0.0)
        run.wait(timeout=30, check=False)
