"""What a run promises about time, processes and limits of the machine.

- the clock set back or forward by years     nothing waits for it or ends by it; facts stand in the order of their times
- the clock set back between two owners      a retry waits no longer than it was told to
- everything stopped for a while             what was due meanwhile gets some seconds after the wake
- no open files left, no process to be had   no try of a command is used up; the limit is named; it goes on
- retries over several owners                they are counted on, and their time is kept
- many owners at once                        one has the run, the others are refused naming it
- a command that harms its process           only its own process is harmed, the next command finds all as it was
- a source edited after the start            what runs is what was there at the start
- a closed stdin, stdout and stderr          the run goes on
- thousands of commands in a chain           planned, run and read again without recursion
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

from orchestrator_nb import Workflow, attach, context
from orchestrator_nb import events as e
from orchestrator_nb.executors import timer
from orchestrator_nb.executors.timer import Timer
from orchestrator_nb.journal.file import read
from orchestrator_nb.orchestrator.clock import steady_clock
from orchestrator_nb.orchestrator.store.audit import audit_run

COMMAND = [sys.executable, "-c", "from orchestrator_nb.cli.main import main; main()"]
YEARS = 10 * 365 * 86400.0


def _events(run, kind):
    return [event for event in read(run.folder / "journal.jsonl") if isinstance(event, kind)]


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jump", [-YEARS, -3600.0, 3600.0, YEARS])
def test_a_clock_that_is_set_changes_nothing_in_a_run(project, monkeypatch, jump):
    """Retries come after their delay, a pause ends what runs after its grace, and times never go back."""
    real = time.time
    flow = Workflow("w")

    @flow.command(retries=3, retry_delay=0.05)
    def first():
        if context.attempt == 1:
            monkeypatch.setattr(time, "time", lambda: real() + jump)
        if context.attempt < 3:
            raise ValueError("again")

    flow.command(lambda: 1, id="second", after="first")
    run = flow.start(wait=False)
    result = run.wait(timeout=30)
    assert result.succeeded
    times = [event.at for event in read(run.folder / "journal.jsonl")]
    assert times == sorted(times)
    assert times[-1] - times[0] < 60
    assert all(event.seconds < 30 for event in _events(run, e.AttemptReturned))


def test_the_grace_of_an_interrupt_is_no_matter_of_the_clock(project, monkeypatch, until):
    """Set back by years, the clock does not keep what runs from being ended when its time is over."""
    real = time.time
    begun = threading.Event()
    flow = Workflow("w")

    @flow.command
    def endless():
        begun.set()
        while True:
            context.progress(0.5)
            time.sleep(0.01)

    run = flow.start(wait=False)
    assert begun.wait(30)
    monkeypatch.setattr(time, "time", lambda: real() - YEARS)
    run.interrupt("enough", grace=0.05)
    assert run.wait(timeout=30, check=False).state == "paused"


def test_a_retry_waits_no_longer_although_the_clock_was_set_back(project, monkeypatch):
    """Between two owners the clock went back by an hour: the retry is not an hour away."""
    real = time.time
    flow = Workflow("w")

    @flow.command(retries=1, retry_delay=2.0)
    def first():
        if context.attempt == 1:
            raise ValueError("again")

    def leave(events, state):
        if any(isinstance(event, e.RetryScheduled) for event in events):
            run.interrupt("leaving while it waits", grace=0.0)

    begun = threading.Event()
    run = None

    def when_ready(events, state):
        assert begun.wait(30)
        leave(events, state)

    run = flow.start(wait=False, observers=[when_ready])
    begun.set()
    result = run.wait(check=False)
    if result.state == "paused":  # else the draw of its delay was next to nothing
        monkeypatch.setattr(time, "time", lambda: real() - 3600.0)
        result = flow.resume(wait=False).wait(timeout=30)
    assert result.succeeded
    assert len(_events(run, e.RetryScheduled)) == 1


def test_the_steady_clock_is_the_time_of_day_to_begin_with(monkeypatch):
    """It starts at the system's time and goes on from there by itself."""
    before = time.time()
    clock = steady_clock()
    assert before - 1 <= clock() <= time.time() + 1
    monkeypatch.setattr(time, "time", lambda: 0.0)
    first = clock()
    assert before - 1 <= first <= clock()


def test_what_was_due_while_nothing_ran_gets_some_seconds(monkeypatch):
    """A call that comes far too late is put off once: the process was stopped, and nobody could have been in time."""
    monkeypatch.setattr(timer, "LATE", 0.05)
    monkeypatch.setattr(timer, "WAKE_GRACE", 0.3)
    clock, called, asleep = Timer(), [], threading.Event()
    slept = []

    def sleep():
        begun = time.monotonic()
        asleep.wait(10)
        slept.append(time.monotonic() - begun)

    done = threading.Event()
    clock.after(0.0, sleep)
    clock.after(0.01, lambda: (called.append(time.monotonic()), done.set()))
    threading.Event().wait(0.2)  # the timer's thread is held up for this long
    woke = time.monotonic()
    asleep.set()
    assert done.wait(10)
    clock.close()
    assert called[0] - woke >= 0.25


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_stopping_everything_for_a_while_ends_nothing(project, begin, until):
    """An owner and its program that are suspended past the program's timeout go on when they wake."""
    import signal

    code = (
        "from orchestrator_nb import Workflow\n"
        "from orchestrator_nb.executors import timer\n"
        "timer.LATE = 0.5\n"
        "flow = Workflow('w')\n"
        'flow.shell([\'python\', \'-c\', \'import pathlib, time\\nopen("pid", "w").write(str(__import__("os").getpid()))\\n'
        "while not pathlib.Path(\"go\").exists(): time.sleep(0.02)'], id='slow', timeout=1.0)\n"
        "print(flow.run(check=False).state)\n"
    )
    owner = begin(code=code)
    pid = int(until(lambda: Path("pid").exists() and Path("pid").read_text()))
    os.kill(owner.pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGSTOP)
    until(lambda: _stopped(owner.pid) and _stopped(pid))
    begun = time.monotonic()
    until(lambda: time.monotonic() - begun > 2.0)
    Path("go").touch()
    os.kill(pid, signal.SIGCONT)
    os.kill(owner.pid, signal.SIGCONT)
    out, err = owner.communicate(timeout=60)
    assert out == "completed\n", err


def _stopped(pid):
    import psutil

    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


# ── limits of the machine ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
@pytest.mark.parametrize("kind", ["shell", "process"])
def test_without_open_files_no_try_is_used_up(project, kind):
    """A program that cannot be started for want of open files is tried again unasked, and the limit is named."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    refused = threading.Event()
    before = Workflow("before")  # what is imported for a process is there by now: it needs open files, too
    before.command(lambda: "here", id="tool", isolation="process")
    before.run()
    flow = Workflow("w")

    @flow.command
    def hog():
        files = []
        try:
            while True:
                files.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            full.set()
            refused.wait(30)
        finally:
            for file in files:
                os.close(file)

    full = threading.Event()
    flow.command(lambda: full.wait(30) and None, id="then")
    if kind == "shell":
        flow.shell(["python", "-c", "print('here')"], id="tool", after="then", retries=0, idempotent=False)
    else:
        flow.command(lambda: "here", id="tool", after="then", retries=0, isolation="process")

    def watch(events, state):
        if any(isinstance(event, e.RetryScheduled) for event in events):
            refused.set()

    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        run = flow.start(observers=[watch], slots=2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert run.result.succeeded
    (first, *_) = _events(run, e.RetryScheduled)
    assert "Too many open files" in first.reason
    assert "RLIMIT_NOFILE is 256" in first.reason


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("strace") is None, reason="strace is not installed")
def test_a_fork_that_fails_is_tried_again(project, begin):
    """The system gives no process at first: no try of the command is used up by that."""
    code = (
        "from orchestrator_nb import Workflow\n"
        "flow = Workflow('w')\n"
        "flow.shell(['git', '--version'], id='tool', retries=0, retry_delay=0.01)\n"
        "print(flow.run(check=False).commands['tool'].state)\n"
    )
    inject = "inject=vfork,fork,clone:error=EAGAIN:when=1"  # where vfork fails, Python tries fork
    process = begin(code=code, before=["strace", "-f", "-qqq", "-o", "/dev/null", "-e", inject])
    out, err = process.communicate(timeout=60)
    if "Operation not permitted" in err or "can't start new thread" in err:
        pytest.skip(f"strace is not allowed here, or threads are made in the same way: {err}")
    assert out == "succeeded\n", err
    run = attach("latest")
    assert "RLIMIT_NPROC is" in _events(run, e.RetryScheduled)[0].reason


def test_retries_are_counted_over_owners(project):
    """Left while it waits for its retry, a command has as many retries left as before."""
    flow = Workflow("w")

    @flow.command(retries=2, retry_delay=0.2)
    def first():
        raise ValueError("again")

    left = []

    def leave(events, state):
        if not left and any(isinstance(event, e.RetryScheduled) for event in events):
            left.append(True)
            run_of_now[0].interrupt("leaving", grace=0.0)

    run_of_now = []
    ready = threading.Event()

    def observer(events, state):
        assert ready.wait(30)
        leave(events, state)

    run_of_now.append(flow.start(wait=False, observers=[observer]))
    ready.set()
    run = run_of_now[0]
    result = run.wait(check=False)
    while result.state == "paused":
        result = flow.resume(run.id, wait=False).wait(check=False)
    assert result.state == "failed"
    assert len(_events(run, e.AttemptStarted)) == 3
    assert [event.retry for event in _events(run, e.RetryScheduled)] == [1, 2]


def test_many_owners_at_once(project, begin, until):
    """Of several processes that resume a run at the same moment one does; the others are refused naming a process."""
    Path("flow.yaml").write_text(
        "workflow: w\ncommands:\n  a: {shell: [python, -c, \"import os, time\\nopen('ran', 'a').write('x')\\n"
        "while not os.path.exists('go'): time.sleep(0.02)\"]}\n"
    )
    dead = begin("run", "flow.yaml", "--progress", "none")
    until(lambda: Path("ran").exists() and Path("ran").read_text())
    dead.kill()
    dead.communicate()
    run = attach("latest")
    rivals = [begin("resume", run.id, "--progress", "none") for _ in range(3)]
    refused = 0
    while refused < len(rivals) - 1:
        refused = sum(rival.poll() is not None for rival in rivals)
        time.sleep(0.02)
    Path("go").touch()
    outcomes = sorted((rival.communicate(timeout=60)[1], rival.returncode) for rival in rivals)
    assert sorted(code for _, code in outcomes) == [0, 6, 6], outcomes
    assert all("is owned by" in err for err, code in outcomes if code == 6)
    assert len(Path("ran").read_text()) == 2


# ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_command_in_its_own_process_harms_nobody_else(project):
    """Directory, mask, signals, modules and built-ins are changed in its own process only."""
    flow = Workflow("w")

    @flow.command(isolation="process")
    def vandal():
        import builtins
        import os
        import signal
        import sys

        os.chdir("/")
        os.umask(0o777)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.path.clear()
        builtins.len = None
        return 1

    def look():
        import os
        import signal
        import sys

        mask = os.umask(0o022)
        os.umask(mask)
        default = signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
        return {"cwd": os.getcwd(), "mask": mask, "default": default, "path": bool(sys.path), "len": len("abc")}

    flow.command(look, id="thread", after="vandal")
    flow.command(look, id="process", after="vandal", isolation="process")
    outputs = flow.run().outputs
    mask = os.umask(0o022)
    os.umask(mask)
    for name in ("thread", "process"):
        assert outputs[name] == {"cwd": str(project), "mask": mask, "default": True, "path": True, "len": 3}


VANDALS = {
    "closes every file": "import os\nfor number in range(3, 256):\n    try: os.close(number)\n    except OSError: pass",
    "closes what is printed to": "import sys\nsys.stdout.close()",
    "closes the descriptors": "import os\nos.close(1)\nos.close(2)",
    "takes the streams away": "import sys\nsys.stdout = sys.stderr = None",
    "puts another stream there": "import io, sys\nsys.stdout = io.StringIO()",
    "leaves threads": "import threading\nfor _ in range(50): threading.Thread(target=threading.Event().wait).start()",
    "goes elsewhere": "import os\nos.chdir('/')",
    "lets nobody read": "import os\nos.umask(0o777)",
}
"""What callables do to a process that is not theirs alone."""


@pytest.mark.skipif(os.name == "nt", reason="descriptors of POSIX")
@pytest.mark.parametrize("does", VANDALS)
def test_a_callable_on_a_thread_does_not_spoil_the_run(project, begin, does):
    """What belongs to the whole process is harmed, as a thread may; the run comes to its end, and its exit code is it."""
    body = "\n".join(f"    {line}" for line in VANDALS[does].splitlines())
    Path("steps.py").write_text(f"def a():\n{body}\n    return 1\n\n\ndef b(a):\n    print('said')\n    return a + 1\n")
    Path("flow.yaml").write_text(
        "workflow: w\ncommands:\n  a: {call: 'steps:a'}\n  b: {call: 'steps:b', after: [a]}\n"
        "  c: {shell: [git, --version], after: [b]}\n"
    )
    process = begin("run", "flow.yaml")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "Traceback" not in err
    run = attach("latest")
    assert run.state.run.state == "completed"
    assert run.result.outputs["b"] == 2
    assert audit_run(run.folder) == []


@pytest.mark.kernel
def test_a_notebook_edited_after_the_start_runs_as_it_was(project):
    """What was checked is what runs: an edit or a deletion after the start makes no difference to this run."""
    import nbformat

    v4 = nbformat.v4
    for name, text in (("edited", "edited"), ("deleted", "deleted")):
        node = v4.new_notebook(
            cells=[v4.new_code_cell(f"from orchestrator_nb import context\ncontext.record('said', '{text}')")]
        )
        nbformat.write(node, f"{name}.ipynb")
    go = threading.Event()
    flow = Workflow("w")
    flow.command(lambda: go.wait(60) and None, id="first")
    flow.notebook("edited.ipynb", after="first")
    flow.notebook("deleted.ipynb", after="first")
    run = flow.start(wait=False)
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("raise ValueError('edited')")]), "edited.ipynb")
    Path("deleted.ipynb").unlink()
    go.set()
    result = run.wait()
    assert result.outputs["edited"] == {"said": "edited"}
    assert result.outputs["deleted"] == {"said": "deleted"}


@pytest.mark.skipif(os.name == "nt", reason="descriptors of POSIX")
def test_a_run_without_standard_streams(project, begin):
    """As a daemon may start it: stdin, stdout and stderr closed. The run goes on, and so do its programs."""
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [git, --version]}\n  b: {call: 'steps:b'}\n")
    Path("steps.py").write_text("def b():\n    print('said')\n    return 1\n")
    code = "import subprocess, sys; sys.exit(subprocess.call(['sh', '-c', 'exec 0<&- 1>&- 2>&-; exec \"$@\"', 'sh', *sys.argv[1:]]))"
    process = begin(*COMMAND, "run", "flow.yaml", code=code)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    run = attach("latest")
    assert run.state.run.state == "completed"
    assert run.logs("b") == "said\n"
    assert "git version" in run.logs("a")


def test_thousands_of_commands_in_a_chain(project):
    """Planned, run and read again without recursion."""
    flow = Workflow("w")
    many = 3_000
    flow.command(lambda: 0, id="c0")
    for number in range(1, many):
        flow.command(lambda: None, id=f"c{number}", after=f"c{number - 1}")
    run = flow.start(durability="process")
    assert run.result.succeeded
    assert attach("latest").state.counts["succeeded"] == many
    lines = (run.folder / "journal.jsonl").read_bytes().splitlines()
    assert json.loads(lines[-1])["kind"] == "RunEnded"


def test_memory_that_is_refused_fails_the_command_only(project):
    """A MemoryError is an error of the command; the run and what is independent go on."""
    flow = Workflow("w")
    flow.command(lambda: bytearray(1 << 62), id="greedy")
    flow.command(lambda: 1, id="other")
    result = flow.run(check=False)
    assert result.state == "failed"
    assert result.commands["greedy"].failure.types[0] == "MemoryError"
    assert result.outputs["other"] == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_process_that_the_system_kills_is_told_as_such(project):
    """Killed from outside, as the system does when memory is short: a crash with its signal and a hint, retried."""
    flow = Workflow("w")

    @flow.command(isolation="process", retries=1, retry_delay=0.01)
    def killed():
        import os
        import signal

        from orchestrator_nb import context

        if context.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return context.attempt

    run = flow.start()
    assert run.result.outputs["killed"] == 2
    assert "no memory left" in _events(run, e.RetryScheduled)[0].reason


def test_an_idempotency_key_names_every_attempt(project):
    """Each attempt has a name of its own for ever, in the environment of its processes."""
    flow = Workflow("w")
    show = "import os, sys; print(os.environ['ORCHESTRATOR_NB_ATTEMPT']); sys.exit(1)"
    flow.shell(["python", "-c", show], id="tool", retries=1, retry_delay=0.01)
    run = flow.start(check=False)
    logs = [(run.folder / "logs" / f"tool.{number}.log").read_text().strip() for number in (1, 2)]
    assert logs == [f"{run.id}/tool/1", f"{run.id}/tool/2"]


def test_stop_returns_when_no_process_is_left(project, until):
    """After a stop nothing that the run has started is alive, grandchildren included."""
    import psutil

    child = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    )
    child += "open('pids', 'w').write(f'{p.pid} '); time.sleep(600)"
    flow = Workflow("w")
    flow.shell(["python", "-c", child], id="tool")
    run = flow.start(wait=False)
    pid = int(until(lambda: Path("pids").exists() and Path("pids").read_text().strip()))
    run.stop("enough", grace=0.1)
    assert run.wait(timeout=60, check=False).state == "stopped"
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
