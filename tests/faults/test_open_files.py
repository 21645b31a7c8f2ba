"""A command of this process opens as many files as there may be: the run itself goes on, and knows what to wait for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """\
import json, os, resource, threading

least = len(os.listdir("/dev/fd")) + 120
resource.setrlimit(resource.RLIMIT_NOFILE, (least, least))

from orchestrator_nb import Workflow

kept, tries, full = [], [], threading.Event()


def leak():
    tries.append(1)
    try:
        while len(tries) == 1:
            kept.append(open(os.devnull))
    finally:
        full.set()
    return "done"


def looked(events, state):
    for event in events:
        if type(event).__name__ == "RetryScheduled" and event.put_off:
            told.append(event.reason)
            kept.clear()


told = []
flow = Workflow("w")
flow.command(leak, id="leak")
flow.command(lambda: full.wait(30), id="other")
flow.command(lambda: 1, id="third", after="other", when="other == True")
run = flow.start(wait=False, observers=[looked])
result = run.wait(check=False)
kept.clear()
print(json.dumps([result.state, len(tries), told, {name: record.state for name, record in result.commands.items()}]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of resources")
def test_a_run_outlives_a_command_that_has_opened_all_files(project):
    """What it imports only when something fails finds room; its retry waits until files may be opened again."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    state, tries, told, commands = json.loads(done.stdout)
    assert (state, tries) == ("completed", 2)
    assert commands == dict.fromkeys(["leak", "other", "third"], "succeeded")
    assert any("0 more files may be opened" in reason for reason in told)


FAILING = """\
import os, resource

least = len(os.listdir("/dev/fd")) + 60
resource.setrlimit(resource.RLIMIT_NOFILE, (least, least))

from orchestrator_nb import Workflow

kept = []


def leak():
    while True:
        kept.append(open(os.devnull))


flow = Workflow("w")
flow.command(leak, id="leak", retries=0)
state = flow.start(wait=False).wait(check=False).state
kept.clear()
print(state)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of resources")
def test_a_run_that_fails_so_has_its_result(project):
    """Its summary and its manifest cannot be written, which is said; what it came to is known all the same."""
    done = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "failed\n"), done.stderr
    assert "the run has come to its end without its manifest" in done.stderr
