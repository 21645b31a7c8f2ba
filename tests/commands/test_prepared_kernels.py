"""Kernels that were started ahead for one attempt: used by it alone, as fresh as any other, or by none."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

import psutil
import pytest
from msgspec.structs import replace

from orchestrator_nb.commands.notebooks import start as notebook_start
from orchestrator_nb.commands.notebooks.command import NotebookCommand
from orchestrator_nb.commands.notebooks.prepared_kernels import prepared_kernels
from orchestrator_nb.definition.models import KernelsDefinition
from orchestrator_nb.events import AttemptReturned, KernelStarted

pytestmark = pytest.mark.kernel

POOL = {"kernels": KernelsDefinition(start="pool")}
SAID = "the command says `kernels: pool`"
LOOK = """
import os
from orchestrator_nb import context
context.record("found", [os.getcwd(), os.environ.get("COLOUR"), os.environ["ORCHESTRATOR_NB_ATTEMPT"], os.getpid()])
context.record("workflow", context.workflow_id)
"""


@pytest.fixture(autouse=True)
def emptied():
    """Nothing of a test is left to the next one."""
    yield
    prepared_kernels.close()


def kernels():
    """Return the living processes below this one that are plain kernels."""
    found = set()
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "ipykernel_launcher" in " ".join(each.cmdline()):
                found.add(each.pid)
    return found


def start_of(trial):
    (started,) = trial.of(KernelStarted)
    return started.way, started.reason


def test_an_attempt_takes_the_kernel_that_was_started_for_it(Trial, tmp_path, until):
    """It has the directory, environment and marks of the attempt; what it may read of its run is told it later."""
    colour = {"environment": {"COLOUR": "${{ parameters.colour }}"}, "work": {"parameters": {"colour": "red"}}}
    trial = Trial(tmp_path, LOOK, **colour, **POOL)
    assert NotebookCommand().prepare(trial.work)
    (pid,) = until(kernels)
    assert isinstance(trial.run(), AttemptReturned)
    assert trial.values()["found"] == [str(tmp_path), "red", f"{trial.run_folder.name}/model/1", pid]
    assert trial.values()["workflow"] == "sales"
    assert start_of(trial) == ("pooled", SAID)
    assert not kernels()


def test_a_kernel_is_never_used_twice(Trial, tmp_path, until):
    """The next attempt has another process, and finds nothing of the one before."""
    found = []
    for attempt in (1, 2):
        count = "import sys; sys.mine = getattr(sys, 'mine', 0) + 1; print(sys.mine)"
        trial = Trial(tmp_path, count, **POOL)
        trial.work = trial.attempt.work = replace(trial.work, attempt=attempt)
        assert NotebookCommand().prepare(trial.work)
        (pid,) = until(kernels)
        found.append(pid)
        assert isinstance(trial.run(), AttemptReturned)
        assert trial.output().cells[0].outputs[0].text == "1\n"
    assert len(set(found)) == 2


def test_a_changed_variable_or_directory_gets_a_kernel_of_its_own(Trial, tmp_path, monkeypatch):
    """What was started with other variables, or in a directory that was made anew since, is ended and not used."""
    trial = Trial(tmp_path / "one", LOOK, **POOL)
    NotebookCommand().prepare(trial.work)
    monkeypatch.setenv("COLOUR", "blue")
    assert isinstance(trial.run(), AttemptReturned)
    assert trial.values()["found"][1] == "blue"
    assert start_of(trial) == ("plain", f"{SAID}; {notebook_start.NONE_READY}")

    (tmp_path / "place").mkdir()
    trial = Trial(tmp_path / "two", "open('here', 'w').close()", cwd=str(tmp_path / "place"), **POOL)
    NotebookCommand().prepare(trial.work)
    shutil.rmtree(tmp_path / "place")
    (tmp_path / "place").mkdir()
    assert isinstance(trial.run(), AttemptReturned)
    assert os.listdir(tmp_path / "place") == ["here"]
    assert not kernels()


def test_a_kernel_that_died_meanwhile_is_replaced(Trial, tmp_path, until):
    """The attempt does not notice, but for the way that is recorded."""
    trial = Trial(tmp_path, LOOK, **POOL)
    NotebookCommand().prepare(trial.work)
    (pid,) = until(kernels)
    psutil.Process(pid).kill()
    until(lambda: pid not in kernels())
    assert isinstance(trial.run(), AttemptReturned)
    assert trial.values()["found"][3] != pid
    assert start_of(trial)[0] == "plain"


def test_ending_what_is_not_needed_leaves_the_attempts_own_kernel_alone(Trial, tmp_path, until):
    """A kernel that was started ahead too late has the same marks as the one at work, and is ended all the same."""
    work = {"environment": {"COLOUR": "red"}}
    trial = Trial(tmp_path, "import os, time", "while not os.path.exists('go'): time.sleep(0.01)", **work, **POOL)
    NotebookCommand().prepare(trial.work)
    answer = trial.in_background()
    trial.wait_for(KernelStarted)
    NotebookCommand().prepare(trial.work)
    assert until(lambda: len(kernels())) == 1, "one that comes late is not started"
    prepared_kernels.keep(trial.run_folder, ())
    NotebookCommand().prepare(trial.work)
    until(lambda: len(kernels()) == 2)
    prepared_kernels.keep(trial.run_folder, ())
    until(lambda: len(kernels()) == 1)
    (tmp_path / "go").touch()
    assert isinstance(answer(), AttemptReturned)


@pytest.mark.parametrize("case", ["upstream", "memory", "fork", "plain"])
def test_nothing_is_started_ahead_where_it_cannot_be_of_use(Trial, tmp_path, monkeypatch, case):
    """Not where the environment is not known yet, memory is short, or kernels come in another way."""
    start = case if case in ("fork", "plain") else "pool"
    text = "${{ clean.colour }}" if case == "upstream" else "red"
    trial = Trial(tmp_path, LOOK, environment={"COLOUR": text}, kernels=KernelsDefinition(start=start))
    if case == "memory":
        monkeypatch.setattr(notebook_start, "memory_is_short", lambda: True)
    assert NotebookCommand().prepare(trial.work) is (case == "memory")
    assert not kernels()


def test_what_it_writes_before_anybody_listens_is_in_the_log(Trial, tmp_path, monkeypatch):
    """A warning at the start of the interpreter is not lost because the kernel was started ahead."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import os; os.write(2, b'early words\\n')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    trial = Trial(tmp_path, "1", **POOL)
    NotebookCommand().prepare(trial.work)
    assert isinstance(trial.run(), AttemptReturned)
    assert trial.log_has("early words")
