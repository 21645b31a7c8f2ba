"""A look at the machine before a retry: real files, sockets and limits."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.executors.machine import free_disk, free_files, free_memory, why_unreachable
from orchestrator_nb.executors.probing import probe
from orchestrator_nb.ports import Step, Work
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.step_facts import PROBE


@pytest.fixture
def listening():
    """A socket that takes connections; and its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, f"127.0.0.1:{server.getsockname()[1]}"


def test_a_host_is_reached_or_it_is_said_why_not(listening):
    """A connection is all that is asked for; nothing is sent."""
    server, address = listening
    assert why_unreachable(address, timeout=5.0) == ""
    server.close()
    assert "refused" in why_unreachable(address, timeout=5.0).lower()
    assert why_unreachable("nothing", timeout=5.0)
    assert why_unreachable("a.host.that.is.invalid:80", timeout=5.0)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_files_that_are_open_are_missing_from_those_that_may_be_opened():
    """As the system counts them."""
    before = free_files()
    with ExitStack() as opened:
        for _ in range(50):
            opened.enter_context(open(os.devnull))
        after = free_files()
    assert before is not None
    assert after is not None
    assert after <= before - 25  # others may have closed some meanwhile


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_one_that_is(tmp_path):
    """Room is asked for where the folder would be made; each place once."""
    found = free_disk([tmp_path / "new" / "deep", tmp_path])
    assert list(found) == [str(tmp_path)]
    free, size = found[str(tmp_path)]
    assert abs(free - shutil.disk_usage(tmp_path).free) < 2**30
    assert size == shutil.disk_usage(tmp_path).total


def test_memory_that_can_be_had_is_part_of_all():
    """Of the machine, or of the control group that this process is in."""
    found = free_memory()
    assert found is not None
    available, total = found
    assert 0 < available <= total


def _step(folder: Path, *checks: str, **definition: object) -> Step:
    command = CommandDefinition(id="a", shell=("true",), **definition)  # type: ignore[arg-type]
    work = Work(
        run="r", workflow="w", command="a", attempt=2, generation=1, definition=command, folder=folder,
        run_folder=folder / "run",
    )  # fmt: skip
    record = CommandRecord(state="waiting", attempt=2, ended=time.time() - 60.0, checks=checks)
    return Step(name=PROBE, moment="command", command="a", attempt=2, work=work, record=record)


def test_what_was_asked_for_is_looked_at(tmp_path, listening, monkeypatch):
    """The folders that it writes to, memory, files, and the hosts by name; nothing else."""
    monkeypatch.setattr("urllib.request.getproxies", dict)
    _, address = listening
    (tmp_path / "out").mkdir()
    found = probe(
        _step(
            tmp_path, "disk", "memory", "files", f"host {address}", "host 127.0.0.1:1", writes=("out/x.csv", "y.csv")
        ),
        clock=lambda: 7.0,
    )
    assert (found.at, found.command, found.attempt) == (7.0, "a", 2)
    assert {str(tmp_path), str(tmp_path / "out")} <= set(found.disk) == set(found.disk_sizes)
    assert found.memory
    assert found.hosts[address] == ""
    assert found.hosts["127.0.0.1:1"]
    assert found.seconds >= 0.0
    nothing = probe(_step(tmp_path), clock=lambda: 7.0)
    assert (nothing.disk, nothing.memory, nothing.files, nothing.hosts) == ({}, None, None, {})


def test_behind_a_proxy_no_host_is_asked_directly(tmp_path, monkeypatch):
    """What the command reaches through it, no connection of our own may get to."""
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    assert probe(_step(tmp_path, "host 127.0.0.1:1"), clock=lambda: 7.0).hosts == {}


def test_what_changed_since_the_failure_is_told(tmp_path):
    """What it reads, when somebody has written to it since."""
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("1")
    new.write_text("2")
    os.utime(old, (1.0, 1.0))
    os.utime(new, (time.time() + 5.0,) * 2)
    found = probe(_step(tmp_path, reads=("old.csv", "new.csv", "gone.csv")), clock=lambda: 7.0)
    assert [text for text in found.changed if "csv" in text] == ['"new.csv", which it reads, changed since']


def test_another_host_is_a_change(tmp_path):
    """The run was taken up on another machine than the one on which the attempt failed; where it failed may be unknown."""
    step, here = _step(tmp_path), socket.gethostname()

    def told(host: str) -> list[str]:
        moved = msgspec.structs.replace(step, record=msgspec.structs.replace(step.record, host=host))
        return [text for text in probe(moved, clock=lambda: 7.0).changed if "host" in text]

    assert told("another") == [f'the host changed since: "another" then, "{here}" now']
    assert told(here) == told("") == []
