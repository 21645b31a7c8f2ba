"""Time limits of notebooks and kernels that die or stand still: ended, named and told apart, with true states."""

from __future__ import annotations

import sys

import psutil
import pytest

from orchestrator_nb.commands.notebooks import watch as notebook_watch
from orchestrator_nb.events import AttemptFailed, CellFinished, NoticeGiven, OutputRecorded

pytestmark = pytest.mark.kernel
on_unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

SLEEP = "import time\ntime.sleep(600)"
DEAF = """
import ctypes, os, signal
from orchestrator_nb import context
context.record("pid", os.getpid())
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
ctypes.PyDLL(None).sleep(600)
"""
SWALLOWING = """
import time
try:
    time.sleep(600)
except KeyboardInterrupt:
    print("never mind")
"""

SAYING = """
import os, pathlib, time
print("so far", flush=True)
pathlib.Path("pid.draft").write_text(str(os.getpid()))
os.rename("pid.draft", "pid")
time.sleep(600)
"""


def assert_ran_out(trial, answer, limit, *, cell=1):
    assert isinstance(answer, AttemptFailed), answer
    assert answer.failure.kind == "timeout", answer.failure
    assert limit in answer.failure.message
    assert answer.failure.cell == cell
    assert not answer.crashed
    assert [event.status for event in trial.of(CellFinished)] == ["completed", "failed"]
    assert trial.states() == ["completed", "failed", "pending"]
    assert trial.output().metadata.papermill.exception is True


def test_a_cell_that_takes_too_long_is_interrupted(Trial, tmp_path):
    """The cell fails, those before it are completed, those after it were never run."""
    trial = Trial(tmp_path, "x = 1", SLEEP, "y = 1", cell_timeout=3)
    answer = trial.run()
    assert_ran_out(trial, answer, "cell_timeout of 3 s")
    assert "KeyboardInterrupt" in str(trial.output().cells)


def test_a_cell_that_swallows_the_interrupt_has_failed_all_the_same(Trial, tmp_path):
    """What a cell does with its interrupt makes no success of it, and nothing runs after it."""
    trial = Trial(tmp_path, "x = 1", SWALLOWING, "y = 1", cell_timeout=3)
    answer = trial.run()
    assert_ran_out(trial, answer, "cell_timeout of 3 s")
    assert "never mind" in str(trial.output().cells)


@on_unix
def test_a_cell_that_hears_no_signal_is_killed(Trial, tmp_path, monkeypatch):
    """A cell stuck in C with all signals blocked is ended with its kernel once the grace is over."""
    monkeypatch.setattr(notebook_watch, "INTERRUPT_GRACE", 0.5)
    trial = Trial(tmp_path, "x = 1", DEAF, "y = 1", cell_timeout=3)
    answer = trial.run()
    assert_ran_out(trial, answer, "cell_timeout of 3 s")
    assert not psutil.pid_exists(trial.values()["pid"])


def test_a_cell_without_output_is_ended_and_one_that_talks_is_not(Trial, tmp_path):
    """The time without output counts from the last output of the cell."""
    talking = "import time\nfor second in range(8):\n    print(second, flush=True)\n    time.sleep(0.5)"
    trial = Trial(tmp_path, talking, SLEEP, "y = 1", idle_timeout=3)
    answer = trial.run()
    assert_ran_out(trial, answer, "3 s without output (idle_timeout)")


def test_the_timeout_of_the_notebook_counts_from_its_kernel(Trial, tmp_path):
    """The timeout of a command is the notebook's own business, and says where it was when it was over."""
    trial = Trial(tmp_path, "x = 1", SLEEP, "y = 1", work={"timeout": 4.0})
    answer = trial.run()
    assert_ran_out(trial, answer, "its timeout of 4 s, while its cell 1 ran")


@on_unix
def test_a_kernel_that_does_not_answer_is_given_up(Trial, tmp_path, monkeypatch):
    """A kernel that starts and says nothing is ended after the start timeout."""
    spec = tmp_path / "jupyter" / "kernels" / "mute"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        '{"argv": ["/bin/sh", "-c", "sleep 600"], "language": "python", "display_name": "m"}', encoding="utf-8"
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    trial = Trial(tmp_path, "x = 1", kernel="mute", start_timeout=1)
    answer = trial.run()
    assert answer.failure.kind == "not_started"
    assert "start_timeout of 1 s" in answer.failure.message
    assert answer.crashed
    assert trial.states() == ["pending"]


@on_unix
def test_a_kernel_that_is_stopped_is_a_crash(Trial, tmp_path, monkeypatch):
    """A kernel that was stopped by SIGSTOP is noticed without any time limit, told of, and ended."""
    monkeypatch.setattr(notebook_watch, "STOPPED_LIMIT", 0.5)
    stop = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"
    trial = Trial(tmp_path, "x = 1", stop, "y = 1")
    answer = trial.run()
    assert answer.failure.kind == "kernel_died"
    assert "SIGSTOP" in answer.failure.message
    assert answer.crashed
    assert any("SIGSTOP" in event.text for event in trial.of(NoticeGiven))
    assert trial.states() == ["completed", "failed", "pending"]


@on_unix
def test_a_kernel_that_is_killed_is_a_crash_and_keeps_its_output(Trial, tmp_path):
    """After a SIGKILL, as of a system out of memory, the signal is named and what was printed before is there."""
    trial = Trial(tmp_path, "x = 1", SAYING)
    answer_of = trial.in_background()
    pid = tmp_path / "pid"
    trial.wait_until(lambda: pid.exists() and trial.log_has("so far"))
    psutil.Process(int(pid.read_text())).kill()
    answer = answer_of()
    assert (answer.failure.kind, answer.failure.signal, answer.failure.cell) == ("kernel_died", 9, 1)
    assert "SIGKILL" in answer.failure.message
    assert "MiB" in answer.failure.message
    assert answer.crashed
    assert trial.states() == ["completed", "failed"]
    assert trial.output().cells[1].outputs[0].text == "so far\n"
    assert trial.of(OutputRecorded) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it of each process")
def test_cells_tell_how_much_memory_the_kernel_had(Trial, tmp_path):
    """The peak grows with what a cell takes, and stays when it is let go."""
    trial = Trial(tmp_path, "x = 1", 'block = b"x" * (200 * 2**20)', "del block")
    trial.run()
    first, second, third = (event.peak_memory for event in trial.of(CellFinished))
    assert second - first > 150 * 2**20
    assert third >= second
