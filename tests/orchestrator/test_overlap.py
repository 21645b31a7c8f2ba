"""Two starts of one workflow: refuse, wait, skip or allow, without a race between them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator_nb import Workflow, attach
from orchestrator_nb.errors import DefinitionError, RunRefused, RunSkipped, UsageError
from orchestrator_nb.journal.store import list_runs


def test_refuse_and_skip_name_the_run_that_is_under_way(owner, store):
    """Nothing is opened; other workflows of the store do not count, whatever their names begin with."""
    process, run = owner()
    flow = Workflow.load("flow.yaml")
    with pytest.raises(
        RunRefused, match=f'"{run.id}" of the workflow "w" is under way, owned by process {process.pid}'
    ):
        flow.start(overlap="refuse")
    with pytest.raises(RunSkipped, match=f'skipped: "{run.id}"'):
        flow.start(overlap="skip")
    assert len(list_runs(store)) == 1
    other = Workflow("w-20260101-000000-abcd")
    other.command(lambda: 1, id="a")
    assert other.start(overlap="refuse").result.state == "completed"


def test_wait_starts_when_the_other_has_ended(owner, store):
    """The second run begins after the end of the first."""
    _, run = owner()
    flow = Workflow.load("flow.yaml")
    second = []
    thread = threading.Thread(target=lambda: second.append(flow.start(overlap="wait")))
    thread.start()
    thread.join(0.5)
    assert not second
    Path("go").touch()
    thread.join(30)
    assert second[0].state.run.started >= run.state.run.ended
    assert len(list_runs(store)) == 2


def test_the_workflow_declares_it_and_a_dead_owner_does_not_count(owner, flow):
    """What is in the definition holds when nothing else is said; a run that was killed is not under way."""
    text = (flow / "flow.yaml").read_text()
    (flow / "flow.yaml").write_text(text.replace("workflow: w\n", "workflow: w\noverlap: skip\n"))
    process, _ = owner()
    loaded = Workflow.load("flow.yaml")
    with pytest.raises(RunSkipped):
        loaded.start()
    process.kill()
    process.wait(30)
    Path("go").touch()
    assert loaded.start().result.state == "completed"


def test_of_many_starts_at_once_one_gets_in(flow, store, until):
    """Six processes that start at the same moment with `refuse`: one run is opened."""
    code = (
        "import sys\nfrom orchestrator_nb import Workflow\nfrom orchestrator_nb.errors import RunRefused\n"
        "flow = Workflow.load('flow.yaml')\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        "try:\n    run = flow.start(wait=False, overlap='refuse')\n"
        "except RunRefused:\n    print('refused', flush=True)\n"
        "else:\n    print('started', flush=True)\n    run.wait()\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
    processes = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(6)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = sorted(process.stdout.readline().strip() for process in processes)
        assert answers == ["refused"] * 5 + ["started"]
        assert len(list_runs(store)) == 1
        Path("go").touch()
        assert attach("latest").wait(30).state == "completed"
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_word_that_is_none_of_them_is_refused(flow):
    """In the definition as in the call."""
    loaded = Workflow.load("flow.yaml")
    with pytest.raises(UsageError, match="refuse, wait, skip, allow; found 'later'"):
        loaded.start(overlap="later")
    with pytest.raises(DefinitionError, match="refuse, wait, skip or allow"):
        Workflow.load({"workflow": "w", "overlap": "later", "commands": {"a": {"shell": ["true"]}}})
