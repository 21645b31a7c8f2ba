"""Bad input on the command line: exit code 2 (or as said), the mistake named with its place, nothing written.

- the file: missing, a folder, unreadable, a pipe, too long, empty, no mapping, bad syntax, tags, aliases, depth, twice
- commands: none, no type, two types, unknown keys, unknown or circular dependencies, two of one id, odd ids and values
- parameters: unknown, ill-typed, odd names, too large, values that are no JSON
- paths: missing, outside, odd characters, not expanded; outputs that two commands write
- callables and programs: modules and functions that are not there, that fail, signatures, programs
- the command line: verbs, options, stores that are none, runs that are not there or not in that state
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from orchestrator_nb import Workflow, attach
from orchestrator_nb.cli.main import run_command_line


@pytest.fixture
def typed(capfd):
    """Run a command line in this process; return its exit code, stdout and stderr."""

    def run(*arguments):
        code = run_command_line(arguments)
        return (code, *capfd.readouterr())

    return run


def _there(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts)


def _refused(project, typed, *arguments, said, code=2):
    """Run a command line that has to be refused, and leave nothing but its message."""
    before = _there(project.parent)
    found, out, err = typed(*arguments)
    assert (found, out) == (code, ""), err
    for part in (said,) if isinstance(said, str) else said:
        assert part in err, err
    assert "Traceback" not in err
    assert "\x1b" not in err
    assert "\0" not in err
    assert "\u202e" not in err
    assert _there(project.parent) == before
    return err


ONE = "workflow: w\ncommands:\n  a: "

FILES = {
    "empty": ("", "flow.yaml"),
    "comments": ("# nothing\n", "flow.yaml"),
    "text": ("hello\n", "flow.yaml"),
    "list": ("- a\n", "flow.yaml"),
    "syntax": ("workflow: w\ncommands: [\n", "flow.yaml:"),
    "tab": ("workflow: w\ncommands:\n\ta: {}\n", "flow.yaml:3"),
    "NUL": ("workflow: w\0\n", "flow.yaml:1"),
    "latin-1": (b"workflow: caf\xe9\n", "flow.yaml:1"),
    "tag": ("workflow: !!python/object/apply:os.system [touch hacked]\ncommands: {}\n", "flow.yaml:1"),
    "two documents": ("workflow: w\ncommands: {a: {call: 's:f'}}\n---\nworkflow: v\n", "flow.yaml:3"),
    "key twice": (f"{ONE}{{call: 's:f', call: 's:g'}}\n", "flow.yaml:3"),
    "deep": ("workflow: w\ncommands: " + "[" * 100_000, "flow.yaml:2"),
    "aliases": (
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
            for before, name in zip("abcdefgh", "bcdefghi", strict=True)
        )
        + "workflow: w\n",
        "alias",
    ),
    "no commands": ("workflow: w\n", "commands"),
    "commands nothing": ("workflow: w\ncommands:\n", "commands"),
    "a command that is no mapping": (f"{ONE}3\n", "flow.yaml:3"),
    "no type": (f"{ONE}{{after: []}}\n", "flow.yaml:3"),
    "two types": (f"{ONE}{{call: 's:f', shell: [git]}}\n", ("flow.yaml:3", "call", "shell")),
    "unknown key": (f"{ONE}{{shell: [git], dependson: []}}\n", 'did you mean "depends_on"?'),
    "unknown dependency": (f"{ONE}{{shell: [git], after: [b]}}\n  bb: {{shell: [git]}}\n", 'did you mean "bb"?'),
    "two cycles": (
        "workflow: w\ncommands:\n"
        + "".join(f"  {a}: {{shell: [git], after: [{b}]}}\n" for a, b in ("ab", "ba", "cd", "dc")),
        ("flow.yaml:3", "flow.yaml:5"),
    ),
    "equal but for case": (f"{ONE}{{shell: [git]}}\n  A: {{shell: [git]}}\n", "case"),
    "id with a path": ("workflow: w\ncommands:\n  ../../x: {shell: [git]}\n", "digits"),
    "id that looks like an option": ("workflow: w\ncommands:\n  -x: {shell: [git]}\n", "digits"),
    "id from right to left": ('workflow: w\ncommands:\n  "a\\u202Eb": {shell: [git]}\n', "\\u202e"),
    "id with an escape": ('workflow: w\ncommands:\n  "a\\e[31mb": {shell: [git]}\n', "\\x1b"),
    "id that YAML took for a number": ("workflow: w\ncommands:\n  012: {shell: [git]}\n", "12"),
    "timeout": (f"{ONE}{{shell: [git], timeout: -1}}\n", "timeout"),
    "retries": (f"{ONE}{{shell: [git], retries: 1.5}}\n", "from 0 to 1000"),
    "slots": ("workflow: w\nslots: 0\ncommands:\n  a: {shell: [git]}\n", "slots"),
    "a parameter that is code": (
        "workflow: w\nparameters: {'x=1;import os': 1}\ncommands: {a: {shell: [git]}}\n",
        "x=1",
    ),
    "not a number": ("workflow: w\nparameters: {x: .nan}\ncommands: {a: {shell: [git]}}\n", "nan"),
    "an endless number": ("workflow: w\nparameters: {x: 1e400}\ncommands: {a: {shell: [git]}}\n", "1e400"),
    "a reference that is code": (f"{ONE}{{shell: [git, '${{{{ a.__class__ }}}}']}}\n", "not a reference"),
    "a reference to nothing": (f"{ONE}{{shell: [git, '${{{{ parameters.x }}}}']}}\n", 'no parameter "x"'),
    "no notebook": (f"{ONE}{{notebook: none.ipynb}}\n", ("none.ipynb", "flow.yaml:3")),
    "a notebook of the web": (f"{ONE}{{notebook: 'http://localhost:1/x.ipynb'}}\n", "there is no notebook"),
    "a notebook in a bucket": (f"{ONE}{{notebook: 's3://bucket/x.ipynb'}}\n", "there is no notebook"),
    "a notebook with braces": (f"{ONE}{{notebook: 'x{{y}}.ipynb'}}\n", "x{y}.ipynb"),
    "a notebook at home": (f"{ONE}{{notebook: '~/$HOME/x.ipynb'}}\n", "~/$HOME/x.ipynb"),
    "a notebook with a long name": (f"{ONE}{{notebook: '{'x' * 300}.ipynb'}}\n", "xxx"),
    "a notebook that is a folder": (f"{ONE}{{notebook: folder.ipynb}}\n", "folder.ipynb"),
    "a notebook that is none": (f"{ONE}{{notebook: broken.ipynb}}\n", "broken.ipynb"),
    "two writers": (
        "workflow: w\ncommands:\n" + "".join(f"  {n}: {{shell: [git], writes: [out.csv]}}\n" for n in "ab"),
        ("out.csv", '"a"', '"b"'),
    ),
    "an input that is not there": (f"{ONE}{{shell: [git], reads: [none.csv]}}\n", "none.csv"),
    "no module": (f"{ONE}{{call: 'nowhere:f'}}\n", "nowhere"),
    "no function": (f"{ONE}{{call: 'steps:nothing'}}\n", "nothing"),
    "no callable": (f"{ONE}{{call: 'steps:VALUE'}}\n", "VALUE"),
    "an address that is none": (f"{ONE}{{call: 'steps'}}\n", "steps"),
    "a module that fails": (f"{ONE}{{call: 'failing:f'}}\n", "not for import"),
    "a module that exits": (f"{ONE}{{call: 'exiting:f'}}\n", "exiting"),
    "an unknown argument": (f"{ONE}{{call: 'steps:run', parameters: {{daay: 1, day: 1}}}}\n", 'did you mean "day"?'),
    "a missing argument": (f"{ONE}{{call: 'steps:run'}}\n", "day"),
    "an argument of another type": (f"{ONE}{{call: 'steps:run', parameters: {{day: x}}}}\n", "day"),
    "a command line in one text": (f"{ONE}{{shell: 'rm -rf /'}}\n", "clean.py"),
    "an empty command line": (f"{ONE}{{shell: []}}\n", "shell"),
    "no program": (f"{ONE}{{shell: [no-such-program]}}\n", "no-such-program"),
    "no directory": (f"{ONE}{{shell: [git], cwd: none}}\n", "none"),
    "a variable that is none": (f"{ONE}{{shell: [git], environment: {{'A=B': x}}}}\n", "A=B"),
    "an unknown pool": (f"{ONE}{{shell: [git], resources: {{gpu: 1}}}}\n", "gpu"),
    "more than there is": (f"{ONE}{{shell: [git], resources: {{cpu: 100000}}}}\n", "cpu"),
    "an unknown pattern": ("workflow: w\npattern: zigzag\ncommands:\n  a: {shell: [git]}\n", "zigzag"),
    "a name with a path": ("workflow: ../w\ncommands:\n  a: {shell: [git]}\n", "workflow"),
}


@pytest.fixture
def files(project):
    """A folder with modules and files that definitions may mean."""
    Path("steps.py").write_text("VALUE = 3\n\n\ndef run(day: int):\n    return day\n")
    Path("failing.py").write_text("raise RuntimeError('not for import')\n")
    Path("exiting.py").write_text("raise SystemExit(0)\n")
    Path("folder.ipynb").mkdir()
    Path("broken.ipynb").write_text('{"cells": [')
    return project


@pytest.mark.parametrize("verb", ["run", "plan"])
@pytest.mark.parametrize("name", FILES)
def test_a_definition_that_is_wrong_is_refused(files, typed, name, verb):
    """Each is named, with file and line where there is one; no run is opened, and no code of it has run."""
    text, said = FILES[name]
    Path("flow.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    _refused(files, typed, verb, "flow.yaml", said=said)
    assert not Path("hacked").exists()


def test_a_definition_of_json_is_refused_with_its_place(project, typed):
    """Commas too many, texts that break off, words that are no JSON, numbers without end, halves of characters."""
    for text, said in (
        ('{"workflow": "w", "commands": {},}', "flow.json:1"),
        ('{"workflow": "w", "comm', "flow.json:1"),
        ('{"workflow": "w", "parameters": {"x": NaN}, "commands": {"a": {"shell": ["git"]}}}', "NaN"),
        (
            '{"workflow": "w", "parameters": {"x": 1' + "0" * 5_000 + '}, "commands": {"a": {"shell": ["git"]}}}',
            "64 bits",
        ),
        ('{"workflow": "w", "parameters": {"x": "\\ud800"}, "commands": {"a": {"shell": ["git"]}}}', "surrogate"),
        ('{"workflow": "w", "workflow": "v", "commands": {"a": {"shell": ["git"]}}}', "flow.json:1"),
        ("[" * 100_000, "flow.json:1"),
    ):
        Path("flow.json").write_text(text)
        _refused(project, typed, "run", "flow.json", said=said)


@pytest.mark.skipif(os.name == "nt", reason="files of POSIX")
def test_what_is_no_file_is_refused_at_once(project, typed):
    """A pipe, a device, a loop of links, a file that is too large, one that may not be read."""
    os.mkfifo("pipe.yaml")
    _refused(project, typed, "run", "pipe.yaml", said="pipe.yaml")
    Path("loop.yaml").symlink_to("loop.yaml")
    _refused(project, typed, "run", "loop.yaml", said="loop.yaml")
    Path("device.yaml").symlink_to("/dev/zero")
    _refused(project, typed, "run", "device.yaml", said="device.yaml")
    with open("large.yaml", "wb") as file:
        file.truncate(200 * 2**20)
    _refused(project, typed, "run", "large.yaml", said="large.yaml")
    if os.geteuid():
        Path("closed.yaml").touch(mode=0)
        _refused(project, typed, "run", "closed.yaml", said="Permission denied")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "-p", "day", "x"], "day"),
        (["run", "-p", "dya", "1"], 'did you mean "day"?'),
        (["run", "-p", "day"], "takes two values"),
        (["run", "-p", "day", "1", "-p", "day", "2"], "given twice"),
        (["run", "-p", "", "1"], "-p"),
        (["run", "-y", "{day: [1"], "-y"),
        (["run", "-y", "[1]"], "-y"),
        (["run", "-f", "."], "-f"),
        (["run", "--slots", "-1"], "--slots"),
        (["run", "--slots", "1000000000000000000000000"], "slots"),
        (["run", "--overlap", "never"], "--overlap"),
        (["run", "--store"], "--store"),
        (["run", "--nothing"], "--nothing"),
        (["plan", "--svg", "."], "svg"),
        (["run", "--only", ""], "--only"),
        (["run", "--only", "+"], "names no command"),
        (["run", "--from", " , "], "--from"),
        (["plan", "--until", "++"], "--until"),
        (["run", "--only", "tag:"], "no command has the tag"),
        (["run", "--only", "b"], 'no command or agent "b"'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_and_parameters_that_are_wrong(project, typed, arguments, said):
    """The option or the parameter is named, with what is expected."""
    Path("flow.yaml").write_text("workflow: w\nparameters: {day: 1}\ncommands:\n  a: {shell: [git, --version]}\n")
    verb, *options = arguments
    _refused(project, typed, verb, "flow.yaml", *options, said=said)


def test_a_file_that_cannot_be_written_is_named(project, typed):
    """What was asked to be drawn or told into a file that cannot be: exit code 6, and no file is left."""
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [git, --version]}\n")
    Path("file").touch()
    assert typed("run", "flow.yaml", "--progress", "none")[0] == 0
    for arguments in (
        ["plan", "flow.yaml", "--svg", "file/x.svg"],
        ["save", "latest", "file/x.json"],
        ["report", "latest", "--out", "file/x.md"],
        ["trends", "seconds", "--html", "file/x.html"],
    ):
        code, out, err = typed(*arguments)
        assert (code, out) == (6, ""), err
        assert re.fullmatch(r'".*file/x\.\w+" cannot be written: Not a directory\n', err)


def test_a_command_that_is_not_there_is_a_mistake(project, typed):
    """Every verb about a command says which there are, with exit code 2."""
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [git, --version]}\n")
    assert typed("run", "flow.yaml", "--progress", "none")[0] == 0
    for verb in ("why", "logs", "accept"):
        code, out, err = typed(verb, "latest", "b")
        assert (code, out) == (2, ""), err
        assert 'has no command "b"; it has a' in err


def test_a_store_that_is_none(project, typed):
    """A file, a loop of links and a name without end: exit code 6 or 2, what it is, and nothing is changed."""
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [git, --version]}\n")
    Path("text").write_text("somebody's")
    _refused(project, typed, "run", "flow.yaml", "--store", "text", said="text", code=6)
    assert Path("text").read_text() == "somebody's"
    Path("loop").symlink_to("loop")
    _refused(project, typed, "run", "flow.yaml", "--store", "loop", said="loop", code=6)
    _refused(project, typed, "run", "flow.yaml", "--store", "x" * 300, said="xxx", code=6)
    for verb in ("status", "resume", "history"):
        code, out, err = typed(verb, "--store", "text")
        assert code in {0, 2, 6}
        assert "Traceback" not in out + err
    assert Path("text").read_text() == "somebody's"


def test_a_store_with_other_things_in_it(project, store, typed):
    """Folders and files of others are left alone and are no runs."""
    store.mkdir()
    (store / "notes.txt").write_text("mine")
    (store / "folder" / "deep").mkdir(parents=True)
    (store / "w-20260101-000000-abcd").mkdir()
    (store / "w-20260101-000000-abcd" / "journal.jsonl").mkdir()
    assert typed("status")[0] == 2
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    assert flow.run().succeeded
    assert typed("status")[0] == 0
    assert (store / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("verb", ["status", "resume", "metrics", "pause", "stop", "watch"])
@pytest.mark.parametrize("name", ["nobody", "../w", "/etc", "w-20", "x" * 5_000, "a b", "w\0", "-", "\u202e"])
def test_a_run_that_is_not_there(project, typed, verb, name):
    """The nearest ones are named, and a name never leads out of the store."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    flow.run()
    flow.run()
    _refused(project, typed, verb, name, said="w-" if name == "w-20" else "")


def test_a_run_in_another_state(project, typed):
    """Ended, paused, stopped, damaged: each verb says how it stands and what can be done."""
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [git, --no-such-option]}\n")
    assert typed("run", "flow.yaml", "--progress", "none")[0] == 1
    run = attach("latest")
    for verb in ("pause", "stop"):
        err = _refused(project, typed, verb, run.id, said="is not running", code=6)
        assert "orchestrator-nb resume" in err
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [git, --version]}\n")
    assert typed("resume", run.id, "--progress", "none")[0] == 0
    code, out, _ = typed("resume", run.id)
    assert (code, "nothing to resume" in out) == (0, True)
    Path("flow.yaml").unlink()
    assert typed("resume", run.id)[0] == 0
    path = run.folder / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"command":"a"', b'"command":"b"', 1))
    for verb in ("status", "resume", "metrics", "logs"):
        code, out, err = typed(verb, run.id, *(["a"] if verb == "logs" else []))
        assert (code, out) == (6, "")
        assert re.search(r'journal\.jsonl", line \d+: ', err)


def test_text_of_programs_does_not_reach_the_terminal_as_commands(project, typed):
    """What a program writes to rule the terminal is shown as text in status, why and the failure card."""
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    Path("evil.py").write_text(f"raise SystemExit({evil!r})\n", encoding="utf-8")
    Path("flow.yaml").write_text("workflow: w\ncommands:\n  a: {shell: [python, evil.py]}\n")
    code, out, err = typed("run", "flow.yaml", "--progress", "none")
    assert code == 1
    for verb in (["status"], ["why", "latest", "a"]):
        _, more, _ = typed(*verb)
        out += more
    assert "\\x1b]0;owned" in out
    assert "\x1b]0" not in out + err
    assert "\x1b[2J" not in out + err


def test_values_are_arguments_and_nothing_else(project, typed):
    """A parameter that looks like commands of a shell, options or patterns reaches the program as one argument."""
    Path("precious").touch()
    Path("show.py").write_text("import json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    Path("flow.yaml").write_text(
        "workflow: w\nparameters: {x: {type: string}}\n"
        "commands:\n  a: {shell: [python, show.py, '${{ parameters.x }}']}\n"
    )
    for value in ("; rm -f precious", "$(rm -f precious)", "`rm precious`", "a\nb", "--help", "*", "%s{x}", ""):
        code, out, err = typed("run", "flow.yaml", "--json", "--progress", "none", "-p", "x", value)
        assert code == 0, err
        assert json.loads(json.loads(out)["outputs"]["a"]["stdout"]) == [value]
    assert Path("precious").exists()


def test_python_says_no_as_the_command_line_does(project):
    """The same mistakes are the same errors for whoever calls from Python, at the call where they are made."""
    from orchestrator_nb.errors import DefinitionError, UsageError

    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    for wrong in ({"slots": 0}, {"slots": True}, {"slots": 1.5}, {"durability": "some"}, {"overlap": "never"}):
        with pytest.raises(UsageError):
            flow.run(**wrong)
    with pytest.raises(DefinitionError, match="no parameter"):
        flow.run(nonsense=1)
    with pytest.raises(DefinitionError, match="digits"):
        flow.command(lambda: 1, id="../x")
    with pytest.raises(UsageError, match="function"):
        flow.command(3)
    assert sys.getrecursionlimit() >= 1000
