from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from orchestrator_nb.commands.callable import needs_process
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.events import (
    ArtifactRecorded,
    AttemptFailed,
    AttemptReturned,
    MetricRecorded,
    OutputRecorded,
    Stored,
)

# Functions of this file reach the child by value: it cannot import a test by name.


def is_gone(pid: int) -> bool:
    with suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def wait_until_gone(*pids: int, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if not is_gone(pid)]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)


def wait_for_file(path: Path, seconds: float = 20.0) -> str:
    """Return the text of a file that another process writes, whole lines of it."""
    deadline = time.monotonic() + seconds
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.01)
    return path.read_text()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"timeout": 5}, True),
        ({"timeout": "none"}, False),
        ({"cwd": "x"}, True),
        ({"environment": {"A": "1"}}, True),
        ({"isolation": "process"}, True),
        ({"isolation": "thread", "timeout": 5}, False),
    ],
)
def test_who_gets_a_process(fields, expected):
    """A callable gets a process when it says so, or has a timeout, directory or environment of its own."""
    assert needs_process(CommandDefinition(id="step", call="m:f", **fields)) is expected


def test_a_callable_in_a_process_of_its_own(bench):
    """Its result, its outputs, its metrics, its files, its progress and its changes come back as from a thread."""

    def step(clean):
        from orchestrator_nb import context

        context.record("rows", clean * 2)
        context.metric("rmse", 1.5)
        context.progress(0.5, "half")
        Path("plot.txt").write_text("x")
        context.artifact("plot.txt")
        context.shared["best"] = context.shared["count"] + 1
        print("printed")
        return {"pid": os.getpid(), "cwd": os.getcwd()}

    bench.call(step, isolation="process", inputs={"clean": Stored(form="json", value=21)}, shared={"count": 1})
    answer = bench.wait()
    assert isinstance(answer, AttemptReturned), answer
    assert answer.result.value["pid"] != os.getpid()
    assert answer.result.value["cwd"] == str(bench.folder)
    assert answer.shared == {"best": 2}
    assert [type(event) for event in bench.events[:3]] == [OutputRecorded, MetricRecorded, ArtifactRecorded]
    assert bench.events[0].value == Stored(form="json", value=42)
    assert bench.said == [("step", 1, 0.5, "half")]
    assert bench.log(answer) == "printed\n"


def test_directory_and_environment_of_the_command_apply(bench):
    """The process is in the command's directory and has its variables, the marks of the attempt among them."""
    (bench.folder / "inner").mkdir()

    def step():
        return [os.getcwd(), os.environ["COLOUR"], os.environ["ORCHESTRATOR_NB_ATTEMPT"]]

    bench.call(step, cwd="inner", environment={"COLOUR": "${{ parameters.colour }}"}, values={"colour": "red"})
    assert bench.wait().result.value == [str(bench.folder / "inner"), "red", f"{bench.run_folder.name}/step/1"]


def test_a_missing_directory_is_said_before_anything_starts(bench):
    """A directory that is not there is a failure that names it."""
    bench.call(int, cwd="nowhere")
    failure = bench.wait().failure
    assert failure.kind == "not_started"
    assert "nowhere" in failure.message


def test_a_named_function_is_imported_by_the_child_alone(bench):
    """A function of a module beside the definition is imported in its process and nowhere else."""
    (bench.folder / "only_in_the_child.py").write_text("def step(day):\n    return [day, __name__]\n")
    definition = {"id": "step", "call": "only_in_the_child:step", "isolation": "process"}
    bench.submit(definition, values={"day": "monday"})
    assert bench.wait().result.value == ["monday", "only_in_the_child"]
    assert "only_in_the_child" not in sys.modules


def test_a_table_comes_back_as_an_artifact(bench):
    """The child stores its result itself; the owner sees the stored form only."""

    def step():
        import pandas

        return pandas.DataFrame({"x": [1, 2, 3]})

    bench.call(step, isolation="process")
    result = bench.wait().result
    assert result.form == "parquet"
    assert list((bench.run_folder / "artifacts").rglob(f"{result.artifact}*"))


def test_an_async_function_in_a_process(bench):
    """Async functions run in a process as on a thread."""
    import asyncio

    async def step():
        await asyncio.sleep(0)
        return "done"

    bench.call(step, isolation="process")
    assert bench.wait().result.value == "done"


def raises():
    raise ConnectionError("no such host")


def exits():
    sys.exit(3)


def leaves():
    os._exit(0)


def leaves_with_status():
    os._exit(7)


def crashes():
    import ctypes

    ctypes.string_at(0)


def aborts():
    os.abort()


def interrupts():
    raise KeyboardInterrupt


def returns_a_lock():
    return threading.Lock()


def closes_all():
    os.closerange(0, 100)
    return 1


@pytest.mark.parametrize(
    ("function", "kind", "number", "crashed"),
    [
        (raises, "exception", None, False),
        (exits, "exception", 3, False),
        (interrupts, "exception", None, False),
        (leaves, "early_exit", 0, False),
        (leaves_with_status, "exit_code", 7, False),
        (crashes, "signal", signal.SIGSEGV, True),
        (aborts, "signal", signal.SIGABRT, True),
        (returns_a_lock, "result_refused", None, False),
    ],
)
def test_however_it_ends_it_is_told(bench, function, kind, number, crashed):
    """Exceptions, exits with any status, crashes and results without a stored form: each is a failure of its kind."""
    bench.call(function, isolation="process")
    answer = bench.wait()
    assert isinstance(answer, AttemptFailed), answer
    failure = answer.failure
    assert (failure.kind, answer.crashed) == (kind, crashed), failure
    if kind == "signal":
        assert failure.signal == number
        assert signal.Signals(number).name in failure.message
        assert "Fatal Python error" in bench.log(answer)
    else:
        assert failure.exit_code == number


def test_what_it_raised_is_known_by_name(bench):
    """Types, message and traceback of the user's code come over; nothing is unpickled for it."""
    bench.call(raises, isolation="process")
    failure = bench.wait().failure
    assert failure.types == ("ConnectionError", "OSError", "Exception")
    assert failure.message == "no such host"
    assert failure.traceback.count("File ") == 1
    assert 'raise ConnectionError("no such host")' in failure.traceback


def test_only_its_own_process_is_harmed(bench):
    """A callable that closes every file of its process fails, and the next one runs."""
    bench.call(closes_all, isolation="process")
    assert isinstance(bench.wait(), AttemptFailed)
    bench.call(lambda: 1, isolation="process", attempt=2)
    assert bench.wait(attempt=2).result.value == 1


def test_what_cannot_be_sent_is_said(bench):
    """A function that holds on to a lock cannot go to another process: a failure that says what to do."""
    lock = threading.Lock()
    bench.call(lambda: lock, isolation="process")
    failure = bench.wait().failure
    assert failure.kind == "not_started"
    assert "isolation: thread" in failure.message


class Bomb:
    """Raises when it is loaded."""

    def __reduce__(self):
        return (eval, ("1 / 0",))


def test_what_cannot_be_loaded_is_said(bench):
    """A function that the child cannot load is a failure with its reason."""
    bomb = Bomb()
    bench.call(lambda: bomb, isolation="process")
    answer = bench.wait()
    assert answer.failure.kind == "not_started"
    assert answer.failure.types[0] == "ZeroDivisionError"
    assert answer.failure.stage


def test_a_loop_without_end_runs_into_its_timeout(bench):
    """A timeout of its own ends a callable that never returns, and is told as a timeout."""

    def step():
        while True:
            pass

    begun = time.monotonic()
    bench.call(step, timeout=1.0)
    answer = bench.wait()
    assert 1.0 <= time.monotonic() - begun < 21
    assert answer.failure.kind == "timeout"
    assert "1 s" in answer.failure.message


def test_what_was_interrupted_says_where_it_was(bench):
    """The answer of an attempt that was ended has the traceback of the interrupt, in the user's code."""
    told = bench.folder / "ready"

    def step():
        told.write_text("ready\n")
        time.sleep(600)

    bench.call(step, isolation="process")
    wait_for_file(told)
    bench.executor.end("step", 1, "cancelled", 20.0)
    failure = bench.wait().failure
    assert (failure.kind, failure.types) == ("cancelled", ())
    assert "time.sleep(600)" in failure.traceback


def test_nobody_withstands_the_end(bench, monkeypatch):
    """Who ignores SIGINT and SIGTERM, with a child that does too, is killed with it."""
    monkeypatch.setattr("orchestrator_nb.commands.processes.TERMINATE_GRACE", 0.3)
    told = bench.folder / "pids"

    def step():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        told.write_text(f"{os.getpid()} {inner.pid}\n")
        while True:
            time.sleep(600)

    bench.call(step, isolation="process")
    pids = [int(pid) for pid in wait_for_file(told).split()]
    begun = time.monotonic()
    bench.executor.end("step", 1, "cancelled", 0.2)
    answer = bench.wait()
    assert time.monotonic() - begun < 10
    assert answer.failure.kind == "cancelled"
    assert all(map(is_gone, pids))


def test_asked_twice_it_is_killed_sooner(bench):
    """A second request to end cuts the grace of the first short."""
    told = bench.folder / "ready"

    def step():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        told.write_text("ready\n")
        time.sleep(600)

    bench.call(step, isolation="process")
    wait_for_file(told)
    begun = time.monotonic()
    bench.executor.end("step", 1, "cancelled", 60.0)
    bench.executor.end("step", 1, "cancelled", 0.0)
    assert bench.wait().failure.kind == "cancelled"
    assert time.monotonic() - begun < 10


def test_closing_ends_the_processes(bench):
    """Leaving ends what runs in processes, and reports nothing."""
    told = bench.folder / "pid"

    def step():
        told.write_text(f"{os.getpid()}\n")
        time.sleep(600)

    bench.call(step, isolation="process")
    pid = int(wait_for_file(told))
    bench.executor.close()
    wait_until_gone(pid)
    assert bench.events == []


def test_what_any_descendant_prints_is_in_the_log(bench):
    """Text of Python, of C code and of programs that it starts goes to the attempt's log."""

    def step():
        print("python")
        os.write(1, b"descriptor\n")
        os.write(2, b"error \xff\n")
        subprocess.run([sys.executable, "-c", "print('program')"], check=True)

    bench.call(step, isolation="process")
    assert bench.log(bench.wait()) == "python\ndescriptor\nerror \ufffd\nprogram\n"


def test_standard_input_is_empty(bench):
    """A callable that asks for input gets its end, not the owner's messages."""

    def step():
        return sys.stdin.read()

    bench.call(step, isolation="process")
    assert bench.wait().result.value == ""


def test_a_flood_does_not_fill_the_owner(bench):
    """Of a gigabyte printed head and tail are kept, the owner's memory does not grow with it, the result stands."""

    def step():
        block = b"x" * 99 + b"\n"
        block *= 10_000
        for _ in range(1074):
            os.write(1, block)
        return "done"

    own = psutil.Process()
    before, most = own.memory_info().rss, 0
    bench.call(step, isolation="process")
    while not bench.events:
        most = max(most, own.memory_info().rss)
        time.sleep(0.02)
    answer = bench.wait()
    assert answer.result.value == "done"
    assert most - before < 64 * 2**20
    size = (bench.run_folder / answer.log).stat().st_size
    assert size < 11 * 2**20
    assert "bytes left out" in bench.log(answer)


def test_a_result_does_not_wait_for_who_stays_behind(bench):
    """A program left running keeps its end of the output; the result is there all the same, and it is left alone."""

    def step():
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid

    begun = time.monotonic()
    bench.call(step, isolation="process")
    pid = bench.wait().result.value
    assert time.monotonic() - begun < 10
    assert not is_gone(pid)


def test_an_exit_that_hangs_does_not_hold_the_result(bench, monkeypatch):
    """A thread that keeps the process from exiting is ended with it after a while, and the log says so."""
    monkeypatch.setattr("orchestrator_nb.executors.process.EXIT_PATIENCE", 0.5)

    def step():
        threading.Thread(target=time.sleep, args=(600,)).start()
        return 1

    bench.call(step, isolation="process")
    answer = bench.wait()
    assert answer.result.value == 1
    assert "0.5 s after the result" in bench.log(answer)


OWNER = """
import os, subprocess, sys, threading, time
from pathlib import Path
from orchestrator_nb.commands.callable import CallableCommand
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.executors.local import LocalExecutor
from orchestrator_nb.ports import Work

folder = Path(sys.argv[1])

def sleeps():
    inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path("pids.part").write_text(f"{os.getpid()} {inner.pid}\\n")
    os.rename("pids.part", "pids")
    time.sleep(600)

def holds_the_lock():
    import re
    inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path("pids.part").write_text(f"{os.getpid()} {inner.pid}\\n")
    os.rename("pids.part", "pids")
    re.match("(a+)+$", "a" * 60 + "b")

def answers():
    return {"module": __name__, "function": answers.__name__}

def main():
    executor = LocalExecutor(
        commands={"call": CallableCommand({"step": globals()[sys.argv[2]]})}, run_folder=folder / "run", live=LiveResults()
    )
    done = threading.Event()
    executor.start(lambda event: (print(event, flush=True), done.set()))
    definition = CommandDefinition(id="step", call="session:step", isolation="process")
    executor.submit(Work(run="r" + folder.name, workflow="f", command="step", attempt=1, generation=1,
                         definition=definition, folder=folder, run_folder=folder / "run"))
    done.wait(60)
    executor.close()

main()
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
@pytest.mark.parametrize("function", ["sleeps", "holds_the_lock"])
def test_children_die_with_their_owner(tmp_path, function):
    """After kill -9 of the owner the callable and what it started are gone, also where it holds Python's lock."""
    if function == "holds_the_lock" and sys.platform != "linux":
        pytest.skip("only Linux ends a process that holds the interpreter's lock")
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path), function], stdout=subprocess.DEVNULL)
    try:
        pids = [int(pid) for pid in wait_for_file(tmp_path / "pids").split()]
        assert not any(map(is_gone, pids))
    finally:
        owner.kill()
        owner.wait(10)
    wait_until_gone(*pids, seconds=5.0)


def test_a_function_of_main_runs_in_a_process(tmp_path):
    """A function defined in a script or in a notebook's cell, with what it refers to, goes to the process by value."""
    done = subprocess.run(
        [sys.executable, "-c", OWNER, str(tmp_path), "answers"], capture_output=True, text=True, timeout=60
    )
    assert "AttemptReturned" in done.stdout, done.stderr
    assert "'function': 'answers'" in done.stdout
