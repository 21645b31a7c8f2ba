"""What processes take of their machine: real ones that work, remember and write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_nb.commands import usage
from orchestrator_nb.commands.usage import Meter, collected, machine_network, own_usage, with_memory
from orchestrator_nb.events import Used

WORK = """\
import sys, time
kept = bytearray(60_000_000)
until = time.process_time() + 0.3
while time.process_time() < until:
    pass
print("worked", flush=True)
sys.stdin.read()
"""
PARENT = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {WORK!r}]))"


def _start(code: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"worked\n"
    return process


def test_a_meter_counts_the_whole_tree() -> None:
    """What a child of the process takes is a part of what the process takes."""
    process = _start(PARENT)
    meter = Meter(process.pid)
    meter.look()
    process.communicate()
    used = meter.used()
    assert used is not None
    assert used.cpu is not None
    assert used.cpu >= 0.3
    assert used.memory is not None
    assert used.memory > 60_000_000


def test_a_meter_of_a_process_that_is_gone_has_nothing() -> None:
    """What cannot be had is missing, not nought."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    meter = Meter(process.pid)
    meter.look()
    assert meter.used() is None


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system tells nobody")
def test_who_collects_a_child_learns_what_it_took() -> None:
    """Its processor time, exactly, however short it was; the exit code is its own."""
    process = _start(WORK + "raise SystemExit(3)")
    assert process.stdin is not None
    process.stdin.close()
    code, used = collected(process)
    assert code == process.returncode == 3
    assert used is not None
    assert used.cpu is not None
    assert used.cpu >= 0.3
    assert process.stdout is not None
    process.stdout.close()


def test_a_child_that_somebody_else_collected_keeps_its_exit_code() -> None:
    """Then nobody knows what it took."""
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(4)"])
    process.wait()
    assert collected(process) == (4, None)


def test_a_process_knows_what_it_took() -> None:
    """Its own time and memory."""
    used = own_usage()
    assert used.cpu is not None
    assert used.cpu > 0


def test_the_memory_of_the_tree_counts_where_it_is_more() -> None:
    """A process knows its own memory, the meter that of all together."""
    assert with_memory(Used(cpu=1.0, memory=5), Used(cpu=0.5, memory=9)) == Used(cpu=1.0, memory=9)
    assert with_memory(None, Used(cpu=0.5)) == Used(cpu=0.5)
    assert with_memory(Used(cpu=1.0), None) == Used(cpu=1.0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_network_is_that_of_the_machine_and_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interfaces to other machines, summed; a reading is used again for a moment."""
    text = "head\nhead\n    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0: 100 0 0 0 0 0 0 0 40 0\n  eth1:11 0 0 0 0 0 0 0 2 0\n"
    monkeypatch.setattr(usage, "_text", lambda path: text.encode())
    monkeypatch.setattr(usage, "_network", (float("-inf"), None))
    assert machine_network(7.0) == (111, 42)
    monkeypatch.setattr(usage, "_text", lambda path: b"")
    assert machine_network(7.0 + usage.FRESH / 2) == (111, 42)
    assert machine_network(7.0 + 2 * usage.FRESH) == (0, 0)


def test_a_meter_looks_by_itself(tmp_path: Path) -> None:
    """Started, it samples until it is asked."""
    process = _start(WORK)
    meter = Meter(process.pid).start()
    deadline = 600
    while meter._peak == 0 and deadline:
        meter._over.wait(0.05)
        deadline -= 1
    process.communicate()
    used = meter.used()
    assert used is not None
    assert used.memory is not None
    assert used.memory > 60_000_000
