"""What attempts take is in their answers: of threads, process callables, shell commands, and of nobody who does not want it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.executors.measuring import Measure
from orchestrator_nb.orchestrator.workflow import Workflow

STEPS = """\
import time

def busy():
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    return 1

def large():
    kept = bytearray(80_000_000)
    return len(kept) + busy()

def nothing():
    return 1
"""


def _used(project: Path, **options) -> dict[str, e.Used | None]:
    (project / "steps.py").write_text(STEPS)
    shell = [sys.executable, "-c", "import steps; steps.large()"]
    flow = Workflow.load(
        {
            "workflow": "w",
            "durability": "process",
            "slots": 2,
            "commands": {
                "thread": {"call": "steps:busy"},
                "short": {"call": "steps:nothing"},
                "process": {"call": "steps:large", "isolation": "process"},
                "shell": {"shell": shell},
            },
            **options,
        }
    )
    run = flow.start(wait=False)
    run.wait()
    return {event.command: event.used for event in run.watch() if isinstance(event, e.AttemptReturned)}


def test_every_way_of_running_is_measured(project: Path) -> None:
    """Processor time of all; memory and disks of processes, which a thread shares with others."""
    used = _used(project)
    thread, process, shell = used["thread"], used["process"], used["shell"]
    assert thread is not None
    assert thread.cpu is not None
    assert thread.cpu >= 0.05
    assert (thread.memory, thread.read) == (None, None)
    for apart in (process, shell):
        assert apart is not None
        assert apart.cpu is not None
        assert apart.cpu >= 0.05
    assert process is not None
    assert process.memory is not None
    assert process.memory > 80_000_000


def test_measuring_can_be_switched_off(project: Path) -> None:
    """`monitoring: {resources: false}` leaves nothing in the journal."""
    assert set(_used(project, monitoring={"resources": False}).values()) == {None}


def test_what_takes_no_time_is_not_worth_a_line() -> None:
    """A journal of commands that do nothing does not grow by it."""
    begun = Measure(time.thread_time(), None)
    assert begun.used(None, seconds=0.0005) is None
    assert begun.used(e.Used(cpu=1.0), seconds=0.0005) == e.Used(cpu=1.0)
    used = begun.used(None, seconds=0.1)
    assert used is not None
    assert used.received is None


def test_a_longer_attempt_has_the_network_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went over all interfaces from its begin to its end."""
    monkeypatch.setattr("orchestrator_nb.executors.measuring.machine_network", lambda now: (4_000, 60))
    used = Measure(0.0, (1_000, 50)).used(e.Used(cpu=1.0, memory=2), seconds=1.0)
    assert used == e.Used(cpu=1.0, memory=2, received=3_000, sent=10)


@pytest.mark.kernel
def test_a_notebook_is_measured_with_what_it_starts(project: Path) -> None:
    """Its kernel and the processes of its cells."""
    import nbformat

    started = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import steps; steps.large()'], check=True)"
    )
    cells = [nbformat.v4.new_code_cell(text) for text in (started, "kept = bytearray(70_000_000)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), project / "work.ipynb")
    (project / "steps.py").write_text(STEPS)
    run = Workflow.load({"workflow": "w", "commands": {"work": {"notebook": "work.ipynb"}}}).start(wait=False)
    run.wait()
    (used,) = [event.used for event in run.watch() if isinstance(event, e.AttemptReturned)]
    assert used is not None
    assert used.memory is not None
    assert used.memory > 70_000_000
    assert used.cpu is not None
    assert used.cpu >= 0.05
