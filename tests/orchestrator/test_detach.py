"""A detached run: driven by a process of its own, which outlives the one that began it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_nb import Workflow, attach
from orchestrator_nb.errors import RunRefused, UsageError

pytestmark = [
    pytest.mark.usefixtures("ended_runs"),
    pytest.mark.skipif(os.name == "nt", reason="sessions and signals of POSIX"),
]


def test_start_detached_returns_at_once_and_the_run_is_another_processs(flow, until):
    """The first turn is recorded by then; the run is looked at and steered like any other."""
    run = Workflow.load("flow.yaml").start(detach=True, durability="process", slots=1)
    state = run.state
    assert state.run.owner["pid"] != os.getpid()
    assert (state.run.slots, state.run.durability) == (1, "process")
    assert os.getsid(state.run.owner["pid"]) == state.run.owner["pid"]
    until(lambda: run.state.commands["slow"].state == "running")
    Path("go").touch()
    assert run.wait(30).outputs["last"] == 3


def test_it_survives_the_death_of_who_began_it_and_a_hang_up(flow, until):
    """The starter is killed together with its session; the run goes on to its end."""
    code = "from orchestrator_nb import Workflow; import time; Workflow.load('flow.yaml').start(detach=True); time.sleep(600)"
    starter = subprocess.Popen(
        [sys.executable, "-c", code],
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    until(lambda: Path("began").exists() or starter.poll() is not None)
    os.killpg(starter.pid, signal.SIGHUP)
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait(30)
    run = attach("latest")
    assert run.is_running
    Path("go").touch()
    assert run.wait(30).outputs["last"] == 3
    assert run.folder.joinpath("logs", "owner.log").read_text() == ""


def test_a_signal_pauses_it_durably(flow, until):
    """SIGTERM to its owner leaves a run that can be resumed."""
    run = Workflow.load("flow.yaml").start(detach=True)
    until(lambda: run.state.commands["slow"].state == "running")
    os.kill(run.state.run.owner["pid"], signal.SIGTERM)
    result = run.wait(30, check=False)
    assert (result.state, result.reason) == ("paused", "interrupted")
    Path("go").touch()
    run.resume()
    assert run.wait(30).outputs["last"] == 3


def test_functions_of_the_session_are_refused_by_name(project, store):
    """What another process cannot import is said before anything is opened."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="mine")
    with pytest.raises(UsageError, match='"mine": defined in this session'):
        flow.start(detach=True)
    assert not store.exists()


def test_a_workflow_built_in_python_of_importable_functions_is_detached(flow, monkeypatch):
    """The functions are found where this process finds them."""
    Path("go").touch()
    monkeypatch.syspath_prepend(str(flow))
    import steps

    built = Workflow("built", folder=flow)
    built.command(steps.first)
    built.command(steps.slow)
    assert built.start(detach=True, wait=True).result.outputs["slow"] == 2


def test_an_owner_that_cannot_begin_says_why_and_leaves_nothing(flow, store, monkeypatch):
    """What it wrote is in the error, and there is no half of a run."""
    loaded = Workflow.load("flow.yaml")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RunRefused, match="could not begin"):
        loaded.start(detach=True)
    assert list(store.glob("w-*")) == []
