"""The verbs that look at runs and steer them from another process: what they print, and their exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from orchestrator_nb.cli.app import app
from orchestrator_nb.cli.main import run_command_line

COMMAND = [sys.executable, "-c", "from orchestrator_nb.cli.main import main; main()"]

STEPS = """\
import time
from pathlib import Path


def first():
    print("hello from first")
    return 1


def slow(first):
    Path("began").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    return 2
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def flow(project):
    """A workflow whose last command waits for a file `go`; whatever still runs at the end of the test is stopped."""
    (project / "steps.py").write_text(STEPS)
    text = "workflow: w\ncommands:\n  first: {call: 'steps:first'}\n  slow: {call: 'steps:slow', after: [first]}\n"
    (project / "flow.yaml").write_text(text)
    yield project
    typed("stop", "latest", "--grace", "0")


def typed(*arguments):
    """Run a command line in this process, to its end."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run_command_line(arguments)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def detached(*arguments):
    """Start a detached run, and return its id and its owner's pid when its slow command is under way."""
    done = typed("run", "flow.yaml", "--detach", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    begun = json.loads(done.stdout)
    until(Path("began").exists)
    return begun["run"], begun["owner"]["pid"]


def until(holds, seconds=30):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_life_of_a_detached_run(flow):
    """Begun, paused with a reason, told about, resumed where it lives, watched to its end."""
    run, pid = detached()
    paused = typed("pause", run, "--reason", "look at it")
    assert (paused.returncode, paused.stderr) == (0, "")
    assert f"{run} is paused" in paused.stdout
    story = typed("why", run, "slow")
    assert '"slow" is running' in story.stdout
    assert "look at it" in story.stdout
    assert typed("status", run).stdout.startswith(f"{run}: paused (look at it)")
    resumed = typed("resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert "in the process that owns it" in resumed.stdout
    watching = subprocess.Popen([*COMMAND, "watch", run], stdout=subprocess.PIPE, text=True)
    Path("go").touch()
    out, _ = watching.communicate(timeout=30)
    assert watching.returncode == 0
    assert re.search(r"^\d\d:\d\d:\d\d paused: look at it$", out, re.MULTILINE)
    assert out.rstrip().endswith("completed")
    assert typed("logs", run, "first").stdout == "hello from first\n"
    assert json.loads(typed("metrics", run, "--json").stdout)["attempts"] == 2
    listed = typed("history").stdout
    assert re.search(rf"^{run}  w +completed ", listed, re.MULTILINE)
    assert pid > 0


def test_stop_and_what_is_not_running(flow):
    """Stop returns when nothing of the run is left; then there is nothing to pause or to stop: exit code 6."""
    run, pid = detached()
    stopped = typed("stop", run, "--reason", "enough", "--grace", "0.2")
    assert stopped.returncode == 0, stopped.stderr
    assert f"{run} is stopped" in stopped.stdout
    for verb in ("pause", "stop"):
        refused = typed(verb, run)
        assert refused.returncode == 6
        assert "is not running: it is stopped" in refused.stderr
    assert typed("watch", run).returncode == 5
    assert json.loads(typed("history", "--json").stdout)["runs"][0]["reason"] == "enough"
    assert pid > 0


def test_a_frozen_owner_is_taken_over(flow):
    """Resume is refused naming the owner; with --take-over it is ended, and the run goes on here."""
    run, pid = detached()
    os.kill(pid, signal.SIGSTOP)
    refused = typed("resume", run)
    assert refused.returncode == 6
    assert f"process {pid} on " in refused.stderr
    assert "--take-over" in refused.stderr
    Path("go").touch()
    taken = typed("resume", run, "--take-over", "--progress", "none")
    assert taken.returncode == 0, taken.stderr


def test_overlap_on_the_command_line(flow):
    """Refused with exit code 6, skipped with 0 and a word about it; both name the run."""
    run, _ = detached()
    refused = typed("run", "flow.yaml", "--overlap", "refuse")
    assert refused.returncode == 6
    assert run in refused.stderr
    skipped = typed("run", "flow.yaml", "--overlap", "skip")
    assert skipped.returncode == 0
    assert f'skipped: "{run}"' in skipped.stderr
    assert run in json.loads(typed("run", "flow.yaml", "--overlap", "skip", "--json").stdout)["skipped"]
    assert len(json.loads(typed("history", "--json").stdout)["runs"]) == 1


def test_overlap_of_a_resume_on_the_command_line(flow):
    """A run whose owner was killed does not go on beside another one, where that is asked for."""
    dead, pid = detached()
    os.kill(pid, signal.SIGKILL)
    Path("began").unlink()
    other, _ = detached()
    refused = typed("resume", dead, "--overlap", "refuse")
    assert refused.returncode == 6
    assert other in refused.stderr
    skipped = typed("resume", dead, "--overlap", "skip", "--json")
    assert skipped.returncode == 0
    assert other in json.loads(skipped.stdout)["skipped"]
    Path("go").touch()
    assert typed("resume", dead, "--overlap", "wait", "--progress", "none").returncode == 0


def test_save_restore_and_audit(flow, store):
    """A state goes to a file and back; the audit says 0 for what is as it was recorded and 1 where it is not."""
    Path("go").touch()
    assert typed("run", "flow.yaml", "--progress", "none").returncode == 0
    run = next(store.glob("w-*"))
    assert typed("save", "latest", "state.json").returncode == 0
    put_back = typed("restore", "latest", "state.json")
    assert put_back.returncode == 0, put_back.stderr
    assert "nothing has to run again" in put_back.stdout
    assert typed("resume", "--progress", "none").returncode == 0
    audited = typed("audit", "--all")
    assert audited.returncode == 0
    first, cost = audited.stdout.splitlines()
    assert first == f"{run.name}: as it was recorded"
    assert re.fullmatch(r"1 run in [0-9.]+ s, [0-9.]+ MB on the disk, of which [0-9.]+ MB are journals", cost)
    log = next((run / "logs").iterdir())
    log.write_text("changed")
    audited = typed("audit")
    assert audited.returncode == 1
    assert str(log) in audited.stdout
    assert json.loads(typed("audit", "--json").stdout)[run.name][0]["place"] == str(log)


def test_watching_into_a_closed_pipe_is_no_failure(flow):
    """A reader that goes away ends the watching, not the run."""
    run, pid = detached()
    reader, writer = os.pipe()
    os.close(reader)
    watching = subprocess.run([*COMMAND, "watch", run], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert (watching.returncode, watching.stderr) == (0, b"")
    os.kill(pid, 0)


@pytest.mark.kernel
def test_init_makes_a_project_that_runs(project):
    """The files are named, the workflow has the folder's name, and what is there is never written over."""
    made = typed("init", "First steps")
    assert made.returncode == 0, made.stderr
    assert {path.name for path in Path("First steps").iterdir()} == {"workflow.yaml", "count.ipynb", "steps.py"}
    ran = typed("run", "First steps/workflow.yaml", "-p", "words", "4", "--json", "--progress", "none")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result = json.loads(ran.stdout)
    assert result["workflow"] == "first-steps"
    assert result["outputs"]["report"] == {"lines": 5}
    assert Path("First steps/report.txt").read_text().startswith(f"{result['outputs']['count']['total']} words\n")
    again = typed("init", "First steps")
    assert again.returncode == 2
    assert "there already; nothing was written" in again.stderr


def test_without_a_run_it_is_the_latest(flow):
    """why and logs take a command alone, or a run and a command; other numbers of words are a mistake in the call."""
    (flow / "go").touch()
    assert typed("run", "flow.yaml", "--progress", "none").returncode == 0
    assert typed("logs", "first").stdout == typed("logs", "latest", "first").stdout == "hello from first\n"
    assert '"slow" is succeeded' in typed("why", "slow").stdout
    accepted = typed("accept", "slow")
    assert 'the result of "slow"' in accepted.stdout
    for words in (("why",), ("why", "a", "b", "c"), ("decide", "1"), ("decide", "first", "retry")):
        refused = typed(*words)
        assert refused.returncode == 2
        assert "[RUN]" in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("verb", sorted(verb.callback.__name__ for verb in app.registered_commands))
def test_the_usage_of_every_verb_has_no_needless_brackets(verb):
    """What is wanted stands in capitals, what may be left out in one pair of brackets."""
    shown = typed(verb, "--help")
    assert shown.returncode == 0
    usage = shown.stdout.splitlines()[0]
    assert re.fullmatch(rf"Usage: orchestrator-nb {verb}( \[?[A-Za-z]+\]?)*", usage)
