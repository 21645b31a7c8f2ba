"""Commands that fork: of two processes with the run in hand, one only goes on with it.

- a copy that returns, raises or exits     ends as a program ends; the attempt is what the original makes of it
- a copy that tells the context something  is refused with what to do; nothing of it reaches the journal
- a copy that gets a signal                ends by it, as without the command line's handlers
- a copy that appends to the journal       is refused, and may have one of its own
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from orchestrator_nb import attach
from orchestrator_nb import events as e
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.file import JournalFile, read

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork of POSIX")

STEPS = """\
import multiprocessing
import os
import signal
import sys
import threading

from orchestrator_nb import context


def returns():
    child = os.fork()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else "of the copy"


def raises():
    child = os.fork()
    if not child:
        raise ValueError("of the copy")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def exits():
    child = os.fork()
    if not child:
        sys.exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def signalled():
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        os.write(tell, b".")
        threading.Event().wait(60)
        os._exit(9)
    os.read(ready, 1)
    os.kill(child, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def tells():
    child = os.fork()
    if not child:
        try:
            context.metric("of_the_copy", 1)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}".encode())
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def work(number):
    context.metric("of_a_worker", number)
    return number


def pool():
    with multiprocessing.get_context("fork").Pool(2) as workers:
        return workers.map(work, range(4))
"""


def _ran(begin, *calls, isolation="thread"):
    Path("steps.py").write_text(STEPS)
    lines = [f"  {call}: {{call: 'steps:{call}', isolation: {isolation}, retries: 0}}" for call in calls]
    lines.append(f"  after: {{shell: [git, --version], after: [{', '.join(calls)}], trigger_rule: all_done}}")
    Path("flow.yaml").write_text("\n".join(["workflow: w", "commands:", *lines]))
    process = begin("run", "flow.yaml", "--progress", "none")
    out, err = process.communicate(timeout=60)
    run = attach("latest")
    facts = list(read(run.folder / "journal.jsonl"))  # whole, and nothing twice
    ends = [fact.command for fact in facts if isinstance(fact, e.CommandSucceeded | e.CommandFailed)]
    assert sorted(ends) == sorted([*calls, "after"]), out + err
    assert isinstance(facts[-1], e.RunEnded)
    return run, process.returncode, err


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_copy_that_comes_back_ends_as_a_program_does(project, begin, isolation):
    """Its status tells how, and nothing but what the original returns is the command's."""
    run, code, err = _ran(begin, "returns", "raises", "exits", isolation=isolation)
    assert code == 0, err
    assert [run.result.outputs[call] for call in ("returns", "raises", "exits")] == [0, 1, 7]
    assert "ValueError: of the copy" in (err if isolation == "thread" else run.logs("raises"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_copy_ends_by_a_signal(project, begin):
    """The command line's handlers are for its own process: else a pool that ends its workers would wait for ever."""
    run, code, err = _ran(begin, "signalled")
    assert code == 0, err
    assert run.result.outputs["signalled"] == -signal.SIGTERM


def test_what_a_copy_tells_does_not_reach_the_journal(project, begin):
    """Another writer would spoil it: the call in the copy raises, the run goes on."""
    run, code, err = _ran(begin, "tells")
    assert code == 0, err
    assert run.result.outputs["tells"] == 3
    assert "UsageError: this is a process that the command has forked" in err
    assert not [fact for fact in read(run.folder / "journal.jsonl") if isinstance(fact, e.MetricRecorded)]


def test_a_pool_that_records_from_its_workers_fails_its_command(project, begin):
    """The failure says what to do instead; what comes after goes on, and the journal is whole."""
    run, code, err = _ran(begin, "pool")
    assert code == 1, err
    failure = run.result.commands["pool"].failure
    assert "return it to the command and record it there" in failure.message


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_copy_may_not_append_to_the_journal(tmp_path):
    """Whoever was forked from the owner has the file open, and yet is not its writer."""
    journal = JournalFile(tmp_path / "journal.jsonl", clock=lambda: 0.0)
    journal.append([e.RetryDue(at=1.0, command="a")])
    child = os.fork()
    if not child:
        try:
            journal.append([e.RetryDue(at=2.0, command="b")])
        except StoreError:
            os._exit(6)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
    journal.append([e.RetryDue(at=3.0, command="c")])
    assert [event.command for event in journal.read()] == ["a", "c"]


def test_a_copy_may_have_a_journal_of_its_own(tmp_path):
    """Who was forked may begin a run: what it has made itself is its own, also in a copy of a copy."""
    child = os.fork()
    if not child:
        try:
            journal = JournalFile(tmp_path / "journal.jsonl", clock=lambda: 0.0)
            journal.append([e.RetryDue(at=1.0, command="a")])
            grandchild = os.fork()
            if not grandchild:
                JournalFile(tmp_path / "other.jsonl", clock=lambda: 0.0).append([e.RetryDue(at=1.0, command="b")])
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    written = (tmp_path / "journal.jsonl", tmp_path / "other.jsonl")
    assert [event.command for path in written for event in read(path)] == ["a", "b"]
