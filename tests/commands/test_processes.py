from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from orchestrator_nb.commands.processes import ATTEMPT, MARK, Tree, end_leftovers, kill_attempt, marks, start

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the ladder of signals is POSIX")

STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""

FAMILY = """
import subprocess, sys, time
apart = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
near = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(apart.pid, near.pid, flush=True)
{rest}
"""


def environment(run: Path) -> dict[str, str]:
    return {**os.environ, **marks(run, "step", 1)}


def is_alive(pid: int) -> bool:
    with suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def wait_until_gone(*pids: int, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path):
    """The folder of a run; what carries its mark is killed in the end."""
    folder = tmp_path / "run"
    yield folder
    end_leftovers(folder)


def launch(run: Path, code: str) -> tuple[subprocess.Popen[bytes], Tree, list[str]]:
    process = start([sys.executable, "-c", code], env=environment(run))
    tree = Tree(process.pid, mark=marks(run, "step", 1)[MARK])
    return process, tree, process.stdout.readline().decode().split()


def test_marks_name_one_attempt():
    """They say run, command and attempt, and all of them at once; runs of one id in two stores are told apart."""
    found = marks(Path("/store/r1"), "clean", 3)
    assert list(found.values())[:3] == ["r1", "clean", "r1/clean/3"]
    assert found[ATTEMPT] == "r1/clean/3"
    assert found[MARK] != marks(Path("/other/r1"), "clean", 3)[MARK]


def test_a_process_is_in_a_session_of_its_own(run):
    """An interrupt typed at the owner's terminal does not reach what it started."""
    process, tree, _ = launch(run, "import os; print(os.getsid(0), flush=True)")
    assert process.wait(10) == 0
    assert os.getsid(0) != process.pid
    tree.kill()
    process.stdout.close()
    process.stderr.close()


def test_an_interrupt_is_enough_for_who_listens(run):
    """A program that ends at SIGINT is given that chance, and nothing harder is sent."""
    process, tree, _ = launch(run, "import time; print('ready', flush=True); time.sleep(600)")
    tree.end(10.0)
    assert process.wait(5) == -signal.SIGINT
    assert b"KeyboardInterrupt" in process.stderr.read()
    process.stdout.close()
    process.stderr.close()


def test_the_ladder_goes_on_to_sigterm(run):
    """Who ignores the interrupt gets SIGTERM after the grace."""
    process, tree, _ = launch(
        run,
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, flush=True); time.sleep(600)",
    )
    begun = time.monotonic()
    tree.end(0.2)
    assert process.wait(5) == -signal.SIGTERM
    assert 0.2 <= time.monotonic() - begun < 4
    process.stdout.close()
    process.stderr.close()


@pytest.mark.parametrize("stop", [False, True])
def test_nobody_survives_the_ladder(run, monkeypatch, stop):
    """Who ignores SIGINT and SIGTERM, or is stopped, is killed."""
    monkeypatch.setattr("orchestrator_nb.commands.processes.TERMINATE_GRACE", 0.3)
    process, tree, _ = launch(run, STUBBORN)
    if stop:
        os.kill(process.pid, signal.SIGSTOP)
    tree.end(0.1)
    assert process.wait(5) == -signal.SIGKILL
    process.stdout.close()
    process.stderr.close()


def test_the_whole_tree_is_ended(run):
    """Descendants end with it, those that left its session too."""
    process, tree, words = launch(run, FAMILY.format(rest="time.sleep(600)"))
    tree.end(5.0)
    process.wait(5)
    wait_until_gone(*map(int, words))
    process.stdout.close()
    process.stderr.close()


def test_orphans_are_found_by_their_mark(run):
    """What stays behind when the first process has exited is found by the mark of the attempt."""
    process, tree, words = launch(run, FAMILY.format(rest=""))
    assert process.wait(5) == 0
    assert all(map(is_alive, map(int, words)))
    tree.kill()
    wait_until_gone(*map(int, words))
    process.stdout.close()
    process.stderr.close()


def test_leftovers_of_a_run_are_ended_and_named(run):
    """All processes of that run end, whoever ignores SIGTERM as well, and no others."""
    process, _, words = launch(run, FAMILY.format(rest=""))
    process.wait(5)
    stubborn, _, _ = launch(run, STUBBORN)
    other, other_tree, _ = launch(run.with_name("run-other"), STUBBORN)
    ended = end_leftovers(run)
    assert ended == sorted([*map(int, words), stubborn.pid])
    assert stubborn.wait(5) == -signal.SIGKILL
    wait_until_gone(*map(int, words))
    assert other.poll() is None
    assert end_leftovers(run) == []
    other_tree.kill()
    other.wait(5)
    for each in (process, stubborn, other):
        each.stdout.close()
        each.stderr.close()


def test_the_asker_and_its_ancestors_are_spared(run):
    """Who ends the leftovers of a run from inside of it ends neither itself nor who waits for it."""
    code = f"""
import subprocess, sys
from pathlib import Path
from orchestrator_nb.commands.processes import end_leftovers
sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(end_leftovers(Path({str(run)!r})) == [sleeper.pid])
"""
    done = subprocess.run(
        [sys.executable, "-c", f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {code!r}]))"],
        env=environment(run), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_one_attempt_is_killed_and_the_next_is_not(run):
    """Processes are killed by attempt: another attempt of the same command goes on."""
    first, _, _ = launch(run, STUBBORN)
    second = start([sys.executable, "-c", STUBBORN], env={**os.environ, **marks(run, "step", 2)})
    second.stdout.readline()
    kill_attempt(marks(run, "step", 1)[MARK])
    assert first.wait(5) == -signal.SIGKILL
    assert second.poll() is None
    kill_attempt(marks(run, "step", 2)[MARK])
    assert second.wait(5) == -signal.SIGKILL
    for each in (first, second):
        each.stdout.close()
        each.stderr.close()


def test_a_pid_that_is_someone_elses_now_is_left_alone(run):
    """A process is known by pid and start time: one that took over a pid is not touched."""
    first, tree, _ = launch(run, "print(1)")
    first.wait(5)
    stranger, _, _ = launch(run.with_name("stranger"), STUBBORN)
    tree._pid = stranger.pid  # as if the number had been given anew
    tree.kill()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait(5)
    for each in (first, stranger):
        each.stdout.close()
        each.stderr.close()
