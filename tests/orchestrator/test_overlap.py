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


def _killed_beside_another(owner):
    """Return a run whose owner was killed, and another of the same workflow that is under way."""
    process, dead = owner()
    process.kill()
    process.wait(30)
    _, other = owner()
    return dead, other


def test_a_resume_is_refused_or_left_out_beside_another_run(owner, store):
    """As a start is, by the call or by the definition; nothing is written to the run that would have gone on."""
    dead, other = _killed_beside_another(owner)
    flow = Workflow.load("flow.yaml")
    before = (dead.folder / "journal.jsonl").read_bytes()
    with pytest.raises(RunRefused, match=f'"{other.id}" of the workflow "w" is under way'):
        flow.resume(dead.id, overlap="refuse")
    with pytest.raises(RunSkipped, match=f'skipped: "{other.id}"'):
        attach(dead.id).resume(overlap="skip")
    declared = Workflow.load({**flow.to_dict(), "overlap": "skip"})
    with pytest.raises(RunSkipped):
        declared.resume(dead.id, store=store)
    with pytest.raises(UsageError, match="refuse, wait, skip, allow; found 'later'"):
        flow.resume(dead.id, overlap="later")
    assert (dead.folder / "journal.jsonl").read_bytes() == before
    Path("go").touch()
    assert flow.resume(dead.id, overlap="allow").result.state == "completed"


def test_a_resume_waits_for_the_end_of_another_run(owner):
    """The run goes on after the end of the other, and does not wait for itself: its owner is dead."""
    dead, other = _killed_beside_another(owner)
    flow = Workflow.load("flow.yaml")
    resumed = []
    thread = threading.Thread(target=lambda: resumed.append(flow.resume(dead.id, overlap="wait")))
    thread.start()
    thread.join(0.5)
    assert not resumed
    Path("go").touch()
    thread.join(30)
    assert resumed[0].result.state == "completed"
    again = [record for record in resumed[0].state.commands.values() if record.attempt > 1]
    assert again
    assert all(record.started >= other.state.run.ended for record in again)


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
