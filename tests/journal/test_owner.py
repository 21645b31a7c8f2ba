"""Ownership: one process at a time, freed by its death, never inherited by children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator_nb.errors import RunRefused
from orchestrator_nb.journal.owner import Ownership, holder, is_owned

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
