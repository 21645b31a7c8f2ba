"""Runs from the command line, in processes of their own: exit codes, output, signals, resuming."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from orchestrator_nb.cli.main import main; main()"]

STEPS = """\
import os
import time
from pathlib import Path

from orchestrator_nb import context


def greet(word="hello"):
    return word.upper()


def say(greet):
    return {"said": greet, "twice": [greet, greet]}


def fail():
    raise ValueError("not today")


def slow():
    Path("began").write_text(str(os.getpid()))
    if Path("quick").exists():
        return "done"
    while True:
        time.sleep(0.05)
        context.metric("beat", time.time())
"""

FLOWS = {
    "good": "greet: {call: 'steps:greet', parameters: {word: '${{ parameters.word }}'}}\n  say: {call: 'steps:say'}",
    "bad": "greet: {call: 'steps:greet'}\n  fail: {call: 'steps:fail', retries: 0}\n  say: {call: 'steps:say', after: [fail]}",
    "lame": "greet: {call: 'steps:greet'}\n  fail: {call: 'steps:fail', retries: 0, optional: true}",
    "slow": "greet: {call: 'steps:greet'}\n  slow: {call: 'steps:slow', after: [greet]}",
}


@pytest.fixture
def flows(project):
    """A folder with a small workflow for each ending."""
    (project / "steps.py").write_text(STEPS, encoding="utf-8")
    for name, commands in FLOWS.items():
        parameters = "parameters: {word: hello}\n" if name == "good" else ""
        text = f"workflow: {name}\n{parameters}commands:\n  {commands}\n"
        (project / f"{name}.yaml").write_text(text, encoding="utf-8")
    return project


def typed(*arguments, **options):
    """Run a command line to its end."""
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, **options)


def begun(*arguments):
    """Start a command line whose workflow waits, and return when its slow command has begun."""
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: Path("began").exists() and Path("began").read_text(encoding="utf-8"), process)
    return process


def until(holds, process, seconds=30):
    """Wait until something holds; fail with the output of a process that ended before."""
    end = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def resume_command(text):
    """Return the arguments of the command that was printed for resuming."""
    found = re.search(r"orchestrator-nb (resume \S+)", text)
    assert found, text
    return found[1].split()


def test_a_run_in_a_pipe_tells_plain_lines(flows):
    """Exit code 0, a line a change, and the summary at the end."""
    done = typed("run", "good.yaml", "-p", "word", "bye")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert re.search(r"\d\d:\d\d:\d\d greet  started", done.stdout)
    assert re.search(r"✔  say +succeeded +1 .*BYE", done.stdout)
    assert re.search(r"^good completed after ", done.stdout, re.MULTILINE)


def test_json_is_one_object_and_nothing_else(flows):
    """With --json stdout is the result as JSON; progress goes to stderr, and --progress none silences it."""
    done = typed("run", "good.yaml", "--json", "--progress", "none")
    assert done.stderr == ""
    result = json.loads(done.stdout)
    assert result["exit_code"] == done.returncode == 0
    assert result["outputs"]["say"] == {"said": "HELLO", "twice": ["HELLO", "HELLO"]}


def test_a_failed_run_shows_the_card(flows):
    """Exit code 1, the command, its exception, what was held back, and the command that resumes."""
    done = typed("run", "bad.yaml", "--progress", "none")
    assert done.returncode == 1, done.stderr
    assert "ValueError: not today" in done.stdout
    assert 'raise ValueError("not today")' in done.stdout
    assert "upstream failed" in done.stdout
    again = typed(*resume_command(done.stdout), "--progress", "none")
    assert again.returncode == 1
    (flows / "steps.py").write_text(STEPS.replace('raise ValueError("not today")', "return 1"), encoding="utf-8")
    mended = typed(*resume_command(done.stdout), "--json", "--progress", "none")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert json.loads(mended.stdout)["commands"]["greet"]["attempts"] == 1


def test_an_optional_failure_is_a_deviation(flows):
    """A run whose optional command failed is completed with deviations: exit code 3, and it says which."""
    done = typed("run", "lame.yaml", "--progress", "none")
    assert done.returncode == 3, done.stderr
    assert "completed with deviations" in done.stdout
    assert re.search(r"deviation +fail", done.stdout)


def test_status_and_resume_of_what_is_complete(flows):
    """Status shows the rows, also as JSON; resuming a completed run says so and exits 0."""
    assert typed("run", "good.yaml", "--progress", "none").returncode == 0
    shown = typed("status")
    assert shown.returncode == 0
    assert re.search(r"say +succeeded", shown.stdout)
    assert json.loads(typed("status", "latest", "--json").stdout)["state"] == "completed"
    resumed = typed("resume", "latest")
    assert resumed.returncode == 0
    assert "nothing to resume" in resumed.stdout


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (getattr(signal, "SIGHUP", 1), 129)]
)
def test_a_signal_pauses_the_run(flows, number, code):
    """The first signal pauses the run durably, the exit code names it, and the printed command goes on."""
    process = begun("run", "slow.yaml", "--progress", "plain")
    process.send_signal(number)
    out, err = process.communicate(timeout=90)
    assert process.returncode == code, out + err
    assert re.search(r"^slow paused after ", out, re.MULTILINE)
    (flows / "quick").touch()
    resumed = typed(*resume_command(out), "--json", "--progress", "none")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    result = json.loads(resumed.stdout)
    assert result["outputs"]["slow"] == "done"
    assert result["commands"]["greet"]["attempts"] == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_kill_9_and_resume_by_the_printed_command(flows):
    """A run killed outright goes on by the command that it printed at its beginning; what succeeded is not run again."""
    out = flows / "out.txt"
    with out.open("w", encoding="utf-8") as file:
        process = subprocess.Popen([*COMMAND, "run", "slow.yaml"], stdout=file, stderr=file)
        until(lambda: Path("began").exists() and "resume" in out.read_text(encoding="utf-8"), process)
        process.kill()
        process.wait(30)
    (flows / "quick").touch()
    resumed = typed(*resume_command(out.read_text(encoding="utf-8")), "--json", "--progress", "none")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    commands = json.loads(resumed.stdout)["commands"]
    assert (commands["greet"]["attempts"], commands["slow"]["attempts"]) == (1, 2)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_run_that_is_owned_is_refused(flows):
    """A second process cannot resume a run that lives: exit code 6, and the owner is named."""
    process = begun("run", "slow.yaml")
    refused = typed("resume", "latest")
    assert refused.returncode == 6, refused.stdout + refused.stderr
    assert str(process.pid) in refused.stderr
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=90)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("progress", ["plain", "rich"])
def test_a_full_stdout_never_kills_a_run(flows, progress):
    """A stdout that takes nothing changes neither the run nor the exit code."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [*COMMAND, "run", "good.yaml", "--progress", progress], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(typed("status", "--json").stdout)["state"] == "completed"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("verb", [["schema"], ["--help"], ["plan", "good.yaml"], ["history"]], ids=" ".join)
def test_what_is_asked_for_and_finds_no_room_is_said(flows, verb, unbuffered):
    """Who only looks has seen nothing: one line says why, and the exit code is not 0."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [*COMMAND, *verb],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert (done.returncode, done.stderr) == (1, b"stdout could not be written: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_run_whose_result_finds_no_room_has_its_own_exit_code(flows, unbuffered):
    """Of a run that completed, and of one that has begun in a process of its own: then stderr says which."""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    for more, code, said in ((["--json", "--progress", "none"], 0, b""), (["--detach"], 0, b"has begun in process")):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run(
                [*COMMAND, "run", "good.yaml", *more], stdout=full, stderr=subprocess.PIPE, timeout=60, env=environment
            )
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert b"could not be written" not in done.stderr
    watched = typed("watch")
    assert watched.returncode == 0, watched.stdout + watched.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_closed_stdout_never_kills_a_run(flows):
    """A reader that goes away takes nothing with it."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, "run", "good.yaml"], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(os.name == "nt", reason="bytes of POSIX")
def test_an_argument_that_is_no_text_is_no_crash(flows):
    """Bytes that are not UTF-8 in an argument are shown as escapes."""
    done = subprocess.run([*map(os.fsencode, COMMAND), b"run", b"caf\xe9.yaml"], capture_output=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert b"caf\\udce9.yaml" in done.stderr
    assert b"Traceback" not in done.stderr
