"""Processes are known by more than their number, and ended only when they are the very one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from orchestrator_nb.errors import RunRefused
from orchestrator_nb.journal.identity import end, identity, is_here, is_suspended, lives, started


@pytest.fixture(name="sleeper")
def _sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def card_of(process):
    return {**identity(), "pid": process.pid, "started": started(process.pid)}


def test_this_process_lives_and_is_here():
    """Its card says so, and it cannot end itself."""
    card = identity()
    assert card["pid"] == os.getpid()
    assert lives(card)
    with pytest.raises(RunRefused, match="cannot end itself"):
        end(card)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_frozen_process_is_ended(sleeper):
    """It is seen to be suspended, and is gone when the call returns; a second call finds nothing to do."""
    card = card_of(sleeper)
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    assert is_suspended(sleeper.pid)
    end(card)
    assert not lives(card)
    end(card)
    assert sleeper.wait(10) == -signal.SIGKILL


def test_another_process_of_the_same_number_is_left_alone(sleeper):
    """A card whose start time differs is that of a process that is gone."""
    end({**card_of(sleeper), "started": "1"})
    assert sleeper.poll() is None


def test_a_process_of_another_host_or_boot_is_not_ended_from_here(sleeper):
    """The host is named."""
    for change in ({"host": "elsewhere"}, {"boot": "another"}):
        card = {**card_of(sleeper), **change}
        assert not is_here(card)
        with pytest.raises(RunRefused, match="on its own host only"):
            end(card)
    assert sleeper.poll() is None
