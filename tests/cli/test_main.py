"""What the user types wrongly, and what is said and returned."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from orchestrator_nb.cli.main import run_command_line

GOOD = """\
workflow: small
parameters: {word: hello}
commands:
  first: {shell: [git, --version]}
  second: {shell: [git, --version], after: [first]}
"""


@pytest.fixture
def typed(capfd):
    """Run a command line in this process; return its exit code, stdout and stderr."""

    def run(*arguments):
        code = run_command_line(arguments)
        return (code, *capfd.readouterr())

    return run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["run"], "Missing argument"),
        (["run", "flow.yaml", "--nope"], "No such option: --nope"),
        (["run", "flow.yaml", "--slots", "0"], "--slots"),
        (["run", "flow.yaml", "--slots", "many"], "--slots"),
        (["run", "flow.yaml", "--progress", "loud"], "'none', 'plain', 'rich'"),
        (["run", "flow.yaml", "--durability", "some"], "'full', 'process'"),
        (["run", "flow.yaml", "-p", "word"], '"-p" takes two values'),
        (["run", "flow.yaml", "-p", "word=x"], "type: -p word x"),
        (["run", "flow.yaml", "-p", "word", "a", "-p", "word", "b"], '"-p word" is given twice'),
        (["run", "flow.yaml", "-f", "none.yaml"], '"none.yaml" given with -f cannot be read'),
        (["run", "flow.yaml", "-y", "[1"], "given with -y cannot be read"),
        (["run", "flow.yaml", "-p", "wrod", "x"], 'did you mean "word"?'),
        (["run", "flwo.yaml"], 'did you mean "flow.yaml"?'),
        (["run", "notes.txt"], "a file that ends in .yaml, .yml or .json"),
        (["run", "x" * 200_000], "cannot be looked at"),
        (["plan", "flow.yaml", "-p", "wrod", "x"], 'did you mean "word"?'),
        (["status", "nobody"], "no runs in"),
        (["status", "../../etc"], "no runs in"),
        (["resume"], "no runs in"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_is_typed_wrongly_is_said(project, typed, arguments, said):
    """Exit code 2, a message that names the argument, nothing on stdout, no traceback, no run."""
    Path("flow.yaml").write_text(GOOD, encoding="utf-8")
    Path("notes.txt").write_text("x", encoding="utf-8")
    code, out, err = typed(*arguments)
    assert code == 2, err
    assert said in err
    assert out == ""
    assert "Traceback" not in err
    assert not (project.parent / "store").exists()


def test_nothing_typed_shows_the_verbs(typed):
    """Without a verb the help is shown, as a mistake."""
    code, out, err = typed()
    assert code == 2
    assert "demo" in out + err


def test_every_mistake_of_a_definition_is_said_at_once(project, typed):
    """All mistakes come together, a line each with file and line number."""
    Path("bad.yaml").write_text(
        "workflow: bad\ncommands:\n  one: {notebook: none.ipynb}\n  two: {shell: [no-such-program-here]}\n",
        encoding="utf-8",
    )
    code, out, err = typed("run", "bad.yaml")
    assert code == 2
    assert out == ""
    assert re.search(r"bad\.yaml:3.*none\.ipynb", err)
    assert re.search(r"bad\.yaml:4.*no-such-program-here", err)


def test_help_tells_the_exit_codes(typed):
    """The help says what the exit codes mean."""
    code, out, _ = typed("--help")
    assert code == 0
    assert "70 a bug" in " ".join(out.split())


def test_the_schema_accepts_what_can_be_run(typed):
    """The schema is valid itself, takes a good definition and refuses a bad one."""
    code, out, _ = typed("schema")
    assert code == 0
    schema = json.loads(out)
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    good = {"workflow": "w", "commands": {"a": {"shell": ["git"], "retries": 2}}}
    assert list(validator(schema).iter_errors(good)) == []
    assert list(validator(schema).iter_errors({**good, "comands": {}}))


def test_a_plan_is_shown_without_running(project, typed):
    """The plan names commands in order with what they wait for, as text and as JSON; no run is opened."""
    Path("flow.yaml").write_text(GOOD, encoding="utf-8")
    code, out, _ = typed("plan", "flow.yaml", "-p", "word", "bye")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "small: 2 commands, 1 edge"
    assert lines[1] == 'parameters: word = "bye"'
    assert lines[3].split() == ["1", "first", "shell", "git", "--version"]
    assert lines[4].split() == ["2", "second", "shell", "git", "--version", "after", "first"]
    code, out, _ = typed("plan", "flow.yaml", "--json")
    assert json.loads(out)["commands"]["second"] == {"kind": "shell", "runs": "git --version", "upstream": ["first"]}
    assert not (project.parent / "store").exists()


def test_a_bug_of_ours_leaves_its_traceback_in_a_file(project, typed, monkeypatch):
    """What nobody foresaw gives exit code 70, one line that says so, and the traceback in a file."""
    Path("flow.yaml").write_text(GOOD, encoding="utf-8")

    def broken(*_args, **_more):
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr("orchestrator_nb.orchestrator.workflow.Workflow.load", broken)
    code, out, err = typed("run", "flow.yaml")
    assert code == 70
    assert out == ""
    assert "this is a bug of orchestrator-nb: ZeroDivisionError: nobody thought of this" in err
    assert "Traceback" not in err
    file = re.search(r"in (\S+\.txt)", err)
    assert file
    assert "Traceback" in Path(file[1]).read_text(encoding="utf-8")
    Path(file[1]).unlink()
