from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from orchestrator_nb.commands.processes import end_leftovers
from orchestrator_nb.commands.shell import ShellCommand
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.stored import load, store
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.errors import CommandError, UsageError
from orchestrator_nb.events import Stored
from orchestrator_nb.ports import Work

ECHO = ("python", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))")


class Attempt:
    """What a command has in hand, without an executor around it."""

    def __init__(self, folder, fields, *, inputs=None, values=None):
        definition = CommandDefinition(id="step", **fields)
        self.work = Work(
            run=f"shell-{folder.name}-{os.getpid()}", workflow="flow", command="step", attempt=1, generation=1,
            definition=definition, parameters=values or {}, inputs=inputs or {}, folder=folder,
            run_folder=folder / "run",
        )  # fmt: skip
        self.notebook = None
        self.ending = None
        self.measures = True
        self.used = None
        self.log = ""
        self.ender = None
        self._artifacts = Artifacts(folder / "artifacts", durable=False)
        self._lock = threading.Lock()

    def report(self, event):
        raise AssertionError(event)

    def load(self, stored):
        return load(stored, artifacts=self._artifacts, live=None)

    def store(self, value, *, at="value"):
        return store(value, artifacts=self._artifacts, live=None, at=at)

    def write_log(self, text):
        with self._lock:
            self.log += text

    def on_end(self, ending):
        self.ender = ending


def run(folder, *argv, inputs=None, values=None, **fields):
    """Run a program; return its result and its attempt."""
    attempt = Attempt(folder, {"shell": argv, **fields}, inputs=inputs, values=values)
    return ShellCommand().run(attempt), attempt


def fail(folder, *argv, **fields):
    """Run a program that fails; return the error and the attempt's log."""
    attempt = Attempt(folder, {"shell": argv, **fields})
    with pytest.raises(CommandError) as caught:
        ShellCommand().run(attempt)
    return caught.value, attempt.log


def mistakes(folder, *argv, **fields):
    definition = CommandDefinition(id="step", shell=argv, **fields)
    return ShellCommand().check(definition, folder=folder, upstream={})


def test_a_program_runs_in_the_definitions_folder(tmp_path):
    """Its result is its exit code and its output, without the newline at the end; all it prints is in the log."""
    code = "import os, sys; print(os.getcwd()); print('aside', file=sys.stderr)"
    result, attempt = run(tmp_path, "python", "-c", code)
    assert result == {"exit_code": 0, "stdout": str(tmp_path)}
    assert sorted(attempt.log.split()) == sorted([str(tmp_path), "aside"])


def test_lines_of_the_two_streams_stay_whole_in_the_log(tmp_path):
    """A line that comes in pieces is logged whole, although the other stream wrote between them; the last line needs
    no end."""
    code = """if True:
    import sys
    for _ in range(50):
        for piece in ("le", "ft", "\\n"):
            sys.stdout.write(piece); sys.stdout.flush()
            sys.stderr.write("right\\n"); sys.stderr.flush()
    sys.stdout.write("end"); sys.stdout.flush()
    """
    result, attempt = run(tmp_path, "python", "-c", code)
    assert sorted(attempt.log.splitlines()) == ["end"] + ["left"] * 50 + ["right"] * 150
    assert result["stdout"].endswith("end")


@pytest.mark.parametrize(
    "value",
    [
        "; rm -rf ~",
        "$(touch pwned)",
        "`touch pwned`",
        "a b  c",
        '"quoted"',
        "'",
        "*",
        "&& touch pwned",
        "--flag",
        "",
        "\n",
        "ünï",
    ],
)
def test_a_value_is_always_exactly_one_argument(tmp_path, value):
    """No shell looks at what a reference brings: it stays one argument, whatever is in it."""
    result, _ = run(tmp_path, *ECHO, "${{ parameters.day }}", "x=${{ parameters.day }}", values={"day": value})
    assert __import__("json").loads(result["stdout"]) == [value, f"x={value}"]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (1.5, "1.5"), (True, "true"), ([1, "a"], '[1, "a"]'), ({"k": None}, '{"k": null}')],
)
def test_what_values_look_like_as_arguments(tmp_path, value, text):
    """Numbers and booleans are written plainly, lists and mappings as JSON."""
    result, _ = run(tmp_path, *ECHO, "${{ parameters.day }}", values={"day": value})
    assert __import__("json").loads(result["stdout"]) == [text]


def test_a_file_is_the_path_of_its_content(tmp_path):
    """A result that is a file comes as the path of what is stored."""
    (tmp_path / "data.txt").write_text("content")
    stored = Attempt(tmp_path, {"shell": ["x"]}).store(tmp_path / "data.txt")
    code = "import sys; print(open(sys.argv[1]).read())"
    result, _ = run(tmp_path, "python", "-c", code, "${{ clean }}", inputs={"clean": stored})
    assert result["stdout"] == "content"


@pytest.mark.parametrize("value", [None, b"bytes", "nul\0inside"])
def test_what_cannot_be_an_argument_is_refused(tmp_path, value):
    """Nothing, bytes and a NUL character are refused, naming the place."""
    inputs = {"clean": Attempt(tmp_path, {"shell": ["x"]}).store(value)}
    with pytest.raises(UsageError, match=r'"step" /shell/3'):
        run(tmp_path, *ECHO, "${{ clean }}", inputs=inputs)


def test_an_upstream_output_can_be_an_argument(tmp_path):
    """The output of one program is an argument of the next."""
    inputs = {"count": Stored(form="json", value={"exit_code": 0, "stdout": "42"})}
    result, _ = run(tmp_path, *ECHO, "${{ count.stdout }}", inputs=inputs)
    assert result["stdout"] == '["42"]'


def test_directory_environment_and_marks(tmp_path, monkeypatch):
    """It has this process's environment, its own variables with what they refer to, and the marks of its attempt."""
    monkeypatch.setenv("FROM_OUTSIDE", "yes")
    (tmp_path / "inner").mkdir()
    names = ["FROM_OUTSIDE", "COLOUR", "ORCHESTRATOR_NB_COMMAND", "ORCHESTRATOR_NB_ATTEMPT"]
    code = f"import os; print(os.path.basename(os.getcwd()), *(os.environ[name] for name in {names}))"
    result, attempt = run(
        tmp_path, "python", "-c", code, cwd="inner", environment={"COLOUR": "${{ parameters.c }}"}, values={"c": "red"}
    )
    assert result["stdout"].split() == ["inner", "yes", "red", "step", f"{attempt.work.run_folder.name}/step/1"]


def test_another_exit_code_is_a_failure(tmp_path):
    """The failure has the exit code, and the last lines of what it said about it."""
    code = "import sys; print('working'); print('no such table', file=sys.stderr); sys.exit(3)"
    error, log = fail(tmp_path, "python", "-c", code)
    assert error.failure == {"kind": "exit_code", "exit_code": 3}
    assert str(error) == '"python" exited with status 3: no such table'
    assert "working" in log


def test_an_exit_code_that_is_allowed_is_a_success(tmp_path):
    """Codes that the definition allows are successes, and told."""
    result, _ = run(tmp_path, "python", "-c", "import sys; sys.exit(3)", allow_failure_codes=[3])
    assert result == {"exit_code": 3, "stdout": ""}


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_death_by_signal_is_a_failure(tmp_path):
    """The failure names the signal."""
    error, _ = fail(tmp_path, "python", "-c", "import os; os.kill(os.getpid(), 9)")
    assert error.failure == {"kind": "signal", "signal": 9}
    assert "SIGKILL" in str(error)


def test_a_long_output_is_cut_in_its_middle(tmp_path):
    """Of a long output the result has head and tail, and says how much is missing between them."""
    code = "print('first'); print('x' * 10_000_000); print('last')"
    result, attempt = run(tmp_path, "python", "-c", code)
    text = result["stdout"]
    assert len(text) < 66_000
    assert text.startswith("first\n")
    assert text.endswith("xx\nlast")
    assert "characters left out" in text
    assert len(attempt.log) == 10_000_012


def test_a_program_that_is_left_running_does_not_hold_the_result(tmp_path):
    """What a program leaves behind keeps the pipe open: the result does not wait for it."""
    code = f"import subprocess, sys; subprocess.Popen([{sys.executable!r}, '-c', 'import time; time.sleep(600)']); print(1)"
    result, attempt = run(tmp_path, "python", "-c", code)
    assert result["stdout"] == "1"
    assert len(end_leftovers(attempt.work.run_folder)) == 1


def test_a_program_can_be_ended(tmp_path):
    """The attempt is given the way to end it, with all that it has started."""
    attempt = Attempt(tmp_path, {"shell": ["python", "-c", "import time; print('on', flush=True); time.sleep(600)"]})
    failures = []

    def work():
        try:
            ShellCommand().run(attempt)
        except CommandError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not attempt.log:
        assert thread.is_alive()
        thread.join(0.01)
    attempt.ender(10.0)
    thread.join(10)
    assert failures[0].failure["kind"] in ("signal", "exit_code")


def test_a_program_that_is_not_there_is_a_mistake(tmp_path):
    """A program is looked for on the PATH; the nearest name is told."""
    [mistake] = mistakes(tmp_path, "pyton3x")
    assert mistake.path == "/shell/0"
    assert '"pyton3x"' in mistake.message
    [mistake] = mistakes(tmp_path, "ech", "x")
    assert mistake.nearest == "echo"
    assert mistakes(tmp_path, "echo", "x") == []
    assert mistakes(tmp_path, "python", "x") == []


def test_a_file_beside_the_definition_is_named_as_such(tmp_path):
    """A file in the folder is a program when it is written as a path and may be executed."""
    script = tmp_path / "count.sh"
    script.write_text("#!/bin/sh\necho 42\n")
    assert mistakes(tmp_path, "count.sh")[0].nearest == "./count.sh"
    assert "chmod +x" in mistakes(tmp_path, "./count.sh")[0].message
    script.chmod(0o755)
    assert mistakes(tmp_path, "./count.sh") == []
    assert run(tmp_path, "./count.sh")[0]["stdout"] == "42"


def test_a_command_line_in_one_word_is_a_mistake(tmp_path):
    """A whole line where a list belongs is a mistake that shows the list."""
    [mistake] = mistakes(tmp_path, "grep -c x data.csv")
    assert mistake.expected == '["grep", "-c", "x", "data.csv"]'


def test_what_no_program_can_be_given_is_a_mistake(tmp_path):
    """NUL characters, impossible variables and directories that are not there are found before the run."""
    found = mistakes(tmp_path, "echo", "a\0b", environment={"A=B": "1"}, cwd="nowhere")
    assert [mistake.path for mistake in found] == ["/cwd", "/shell/1", "/environment/A=B"]


def test_a_program_that_is_named_by_a_reference_is_looked_for_at_the_start(tmp_path):
    """What a reference stands for is not known before the run, and said when it is not there."""
    assert mistakes(tmp_path, "${{ parameters.tool }}") == []
    attempt = Attempt(tmp_path, {"shell": ["${{ parameters.tool }}"]}, values={"tool": "no-such-tool"})
    with pytest.raises(CommandError, match="no-such-tool") as caught:
        ShellCommand().run(attempt)
    assert caught.value.failure["kind"] == "not_started"


def test_the_source_is_the_arguments_and_the_scripts(tmp_path):
    """A change of an argument or of a script among them is a change of the command; data are not."""
    (tmp_path / "count.py").write_text("print(1)")
    (tmp_path / "data.csv").write_text("a")

    def source(*argv):
        return ShellCommand().source(CommandDefinition(id="step", shell=argv), folder=tmp_path)

    first = source("python", "count.py", "data.csv")
    assert first == source("python", "count.py", "data.csv")
    assert first != source("python", "count.py", "other.csv")
    (tmp_path / "data.csv").write_text("b")
    assert first == source("python", "count.py", "data.csv")
    Path(tmp_path, "count.py").write_text("print(2)")
    assert first != source("python", "count.py", "data.csv")
