"""Signals to the command line, once, twice and three times.

- once     nothing new starts, what runs has its time, the run is paused; it is tested beside the verbs
- twice    what runs is ended now, whatever it ignores; the run is paused and can be resumed
- thrice   the process leaves at once; what it leaves behind is ended by the resume before anything starts
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from orchestrator_nb import attach
from orchestrator_nb import events as e
from orchestrator_nb.journal.file import read

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

STUBBORN = """\
import os, pathlib, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open("pids", "a") as file:
    file.write(f"{os.getpid()}\\n")
while not pathlib.Path("go").exists():
    time.sleep(0.02)
"""


def _paused(run):
    return sum(isinstance(event, e.RunPaused) for event in read(run.folder / "journal.jsonl"))


def _lives(pid):
    try:
        return (
            psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        )  # whose parent is gone waits for another to collect it
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 2), (signal.SIGTERM, 3)])
def test_a_signal_that_is_repeated(project, begin, until, number, times):
    """The exit code is that of the signal, the run can be resumed, and nothing of the first attempt is left by then."""
    Path("stubborn.py").write_text(STUBBORN)
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [python, stubborn.py]}\n")
    process = begin("run", "flow.yaml", "--progress", "none")
    pid = int(until(lambda: Path("pids").exists() and Path("pids").read_text()))
    run = attach("latest")
    for sent in range(1, times + 1):
        process.send_signal(number)
        if sent < 3:
            until(lambda sent=sent: _paused(run) >= sent or process.poll() is not None)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, out + err
    if times == 2:
        assert not _lives(pid)
        assert run.state.run.state == "paused"
    Path("go").touch()
    again = begin("resume", "latest", "--progress", "none")
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, out + err
    assert len(Path("pids").read_text().split()) == 2
    assert not _lives(pid)
