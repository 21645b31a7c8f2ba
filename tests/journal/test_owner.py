"""Ownership: one process at a time, freed by its death, never inherited by children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator_nb.errors import RunRefused
from orchestrator_nb.journal.owner import Ownership, holder, is_owned, take_over

HOLD = """
import subprocess, sys
from pathlib import Path
from orchestrator_nb.journal.owner import Ownership
ownership = Ownership(Path(sys.argv[1]))
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_owner_is_refused_by_name(tmp_path: Path) -> None:
    """Whoever comes second is told who has the run, and gets it when the first has let go."""
    first = Ownership(tmp_path)
    assert is_owned(tmp_path)
    with pytest.raises(RunRefused, match="this process already"):
        Ownership(tmp_path)
    first.release()
    assert not is_owned(tmp_path)
    Ownership(tmp_path).release()


def test_another_process_is_named_and_its_death_frees_the_run(tmp_path: Path) -> None:
    """The lock dies with its process by kill -9, although a child of it lives on."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert is_owned(tmp_path)
    with pytest.raises(RunRefused, match=f"process {process.pid} on "):
        Ownership(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    Ownership(tmp_path).release()


def test_of_many_threads_one_gets_it(tmp_path: Path) -> None:
    """Threads of one process exclude each other too."""
    got: list[Ownership] = []
    barrier = threading.Barrier(8)

    def take() -> None:
        barrier.wait()
        try:
            got.append(Ownership(tmp_path))
        except RunRefused:
            return

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    got[0].release()


def test_a_holder_without_a_card_is_another_process(tmp_path: Path) -> None:
    """A torn card gives no false name."""
    (tmp_path / "owner.json").write_text("{")
    assert holder(tmp_path) == "another process"


def test_looking_does_not_get_in_the_way_of_owning(tmp_path: Path) -> None:
    """Any number may ask whether a run is owned: none of them is taken for the owner, and none holds one up."""
    Ownership(tmp_path).release()
    leaving = threading.Event()
    taken_for_owned: list[bool] = []

    def look() -> None:
        while not leaving.is_set():
            if not holding.is_set() and is_owned(tmp_path) and not holding.is_set():
                taken_for_owned.append(True)

    holding = threading.Event()
    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    leaving.wait(0.3)
    holding.set()
    for _ in range(20):
        Ownership(tmp_path).release()
    leaving.set()
    for thread in threads:
        thread.join()
    assert not taken_for_owned


def test_a_living_owner_is_ended_by_a_take_over(tmp_path: Path) -> None:
    """The run is this process's afterwards; one that this process owns itself is refused."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    ownership = take_over(tmp_path)
    process.communicate()
    assert process.returncode != 0
    with pytest.raises(RunRefused, match="this process already"):
        take_over(tmp_path)
    ownership.release()


def test_an_owner_of_another_host_is_not_taken_over(tmp_path: Path) -> None:
    """It is named, and keeps the run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    card = json.loads((tmp_path / "owner.json").read_text())
    (tmp_path / "owner.json").write_text(json.dumps({**card, "host": "elsewhere"}))
    with pytest.raises(RunRefused, match="on its own host only, which is elsewhere"):
        take_over(tmp_path)
    assert process.poll() is None
    process.kill()
    process.communicate()


FORKED = """
import os, pathlib, signal, sys
from orchestrator_nb.journal.owner import Ownership, is_owned

folder = pathlib.Path(sys.argv[1])
owner = Ownership(folder)
child = os.fork()
if not child:
    signal.pause()
    os._exit(0)
owner.release()
owner.release()
print(is_owned(folder))
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_that_was_forked_meanwhile_does_not_keep_a_run_that_was_let_go(tmp_path):
    """The lock is given up by its owner for all that have its file open, and once."""
    told = subprocess.run([sys.executable, "-c", FORKED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False"]
