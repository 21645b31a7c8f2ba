"""Secrets in real runs: they reach the code that asks for them, and nothing that is written."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

import nbformat
import pytest

from orchestrator_nb import DefinitionError, RunFailed, Workflow, attach
from orchestrator_nb.data import secret_values
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.data.secret_values import PREFIX

pytestmark = pytest.mark.usefixtures("project", "_nothing_known")

SECRET = 'hun"ter/22+pä$$'
OTHER = "another-value-4711"

STEPS = '''\
import base64, json, os, sys, urllib.parse
from pathlib import Path
from orchestrator_nb import context

def spread(token, where):
    """Put the secret wherever something can be put."""
    coded = base64.b64encode(token.encode()).decode()
    for text in (token, coded, json.dumps(token), repr(token), urllib.parse.quote(token), token.encode().hex()):
        print("printed", where, text)
        print("on stderr", text, file=sys.stderr)
    sys.stdout.write(token[:5]); sys.stdout.flush()
    sys.stdout.write(token[5:] + "\\n"); sys.stdout.flush()
    print(dict(os.environ))
    context.progress(0.5, f"with {token}")
    context.record("recorded", {"a": [token, json.dumps({"b": token})], token: 1})
    context.record("large", ["x" * 100_000, token])
    context.metric("m" + token.encode().hex(), 1.0)
    context.shared["shared"] = f"Bearer {token}"
    return {"token": token, "url": f"https://me:{urllib.parse.quote(token, safe='')}@host", "length": len(token)}

def thread(token): return spread(token, "thread")
def process():
    token = os.environ["TOKEN"]
    assert "ORCHESTRATOR_NB_SECRET_OTHER" not in os.environ
    return spread(token, "process")
def fails(token):
    def inner(value): raise ValueError(f"cannot log in with {value!r} " + "y" * 20_000 + value)
    inner(token)
def keeps(token):
    Path("report.txt").write_text(token)
    context.artifact("report.txt")
def after(thread): return thread["token"]
'''

FLOW = """\
workflow: w
commands:
  thread: {call: 'steps:thread', parameters: {token: '${{ secrets.TOKEN }}'}}
  process:
    call: 'steps:process'
    environment: {TOKEN: '${{ secrets.TOKEN }}'}
  shell:
    shell: [python, -c, 'import os, sys; print(os.environ["TOKEN"]); sys.stdout.flush(); os.write(2, os.environ["TOKEN"].encode()[:6]); os.write(2, os.environ["TOKEN"].encode()[6:]); print(dict(os.environ)); sys.exit(len(os.environ["TOKEN"]))']
    environment: {TOKEN: '${{ secrets.TOKEN }}'}
    retries: 0
  fails: {call: 'steps:fails', parameters: {token: '${{ secrets.TOKEN }}'}, retries: 0}
  fails-apart: {call: 'steps:fails', isolation: process, parameters: {token: '${{ secrets.TOKEN }}'}, retries: 0}
  keeps: {call: 'steps:keeps', parameters: {token: '${{ secrets.TOKEN }}'}, retries: 0}
  keeps-apart: {call: 'steps:keeps', isolation: process, parameters: {token: '${{ secrets.TOKEN }}'}, retries: 0}
  after: {call: 'steps:after'}
"""


@pytest.fixture
def _nothing_known(monkeypatch):
    monkeypatch.setattr(REDACTOR, "_known", ())
    # What there is outside of the test is not asked: no keyring, and no variable that happens to have such a name.
    monkeypatch.setattr(secret_values, "find_spec", lambda _: None)
    for name in [name for name in os.environ if name.startswith(PREFIX)] + ["TOKE", "TOKEN"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ORCHESTRATOR_NB_SECRET_TOKEN", SECRET)
    monkeypatch.setenv("ORCHESTRATOR_NB_SECRET_OTHER", OTHER)


def encodings(value: str) -> list[str]:
    coded = [base64.b64encode(b"x" * before + value.encode()).decode() for before in range(3)]
    return [
        value, json.dumps(value)[1:-1], json.dumps(json.dumps(value)[1:-1])[1:-1], repr(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1], urllib.parse.quote(value), urllib.parse.quote(value, safe=""),
        value.encode().hex(), coded[0].rstrip("=")[:-1], coded[1][2:].rstrip("=")[:-1], coded[2][3:].rstrip("=")[:-1],
    ]  # fmt: skip


def leaks(store: Path) -> list[str]:
    """Return where below the store one of the secrets is, in any of its encodings."""
    wanted = {text.encode() for value in (SECRET, OTHER) for text in encodings(value)}
    files = [path for path in store.rglob("*") if path.is_file()]
    assert len(files) > 3
    return [f"{path}: {text!r}" for path in files for text in wanted if text in path.read_bytes()]


def test_no_secret_is_in_anything_that_a_run_leaves(project, store, capsys) -> None:
    """Callables, their own processes and programs print, return, raise and record it: no byte of the store has it."""
    (project / "steps.py").write_text(STEPS, encoding="utf-8")
    (project / "flow.yaml").write_text(FLOW, encoding="utf-8")
    flow = Workflow.load("flow.yaml")
    with pytest.raises(RunFailed) as caught:
        flow.run()
    result = caught.value.result
    assert leaks(store) == []
    assert SECRET not in f"{caught.value} {result!r}{capsys.readouterr()}"

    assert sorted(result.errors) == ["fails", "fails-apart", "keeps", "keeps-apart", "shell"], result.errors
    assert result.outputs["thread"]["token"] == "[secret TOKEN]"
    assert result.outputs["thread"]["length"] == len(SECRET)
    assert result.outputs["process"] == result.outputs["thread"]
    assert result.outputs["after"] == "[secret TOKEN]"
    assert result.errors["shell"].exit_code == len(SECRET.encode()) - 1  # the program got the real value
    assert "[secret TOKEN]" in result.errors["shell"].message
    for name in ("fails", "fails-apart"):
        assert "cannot log in with '[secret TOKEN]'" in result.errors[name].message
    for name in ("keeps", "keeps-apart"):
        assert 'the artifact "report.txt" holds the value of the secret "TOKEN"' in result.errors[name].message
    log = (result.folder / "logs" / "process.1.log").read_text(encoding="utf-8")
    assert log.count("[secret TOKEN]") >= 13
    assert json.loads((result.folder / "definition.json").read_text())  # the reference is there, not the value
    assert "secrets.TOKEN" in (result.folder / "definition.json").read_text()


def test_a_cut_leaves_no_half_of_a_secret(project) -> None:
    """Of a long output the middle is left out after the secrets, so that no piece of one stays at the cut."""
    flow = Workflow("w")
    code = "import os; print('x' * (32 * 1024 - 5) + os.environ['KEY'] + 'y' * 100_000)"
    flow.shell(["python", "-c", code], id="long", environment={"KEY": "${{ secrets.TOKEN }}"})
    printed = flow.run().outputs["long"]["stdout"]
    assert "left out" in printed
    assert f"x{SECRET[:2]}" not in printed


@pytest.mark.kernel
def test_no_secret_is_in_an_output_notebook(project, store) -> None:
    """The kernel gets the real value; neither the cell of parameters, outputs, tracebacks nor metadata keep it."""
    v4 = nbformat.v4
    cells = [
        v4.new_code_cell("token = ''", metadata={"tags": ["parameters"]}),
        v4.new_code_cell("import os, steps\nassert os.environ['KEY'] == f'key {token}'\nsteps.spread(token, 'kernel')"),
        v4.new_code_cell("import pandas as pd\npd.DataFrame({'a': [token]})"),
        v4.new_code_cell(
            "from orchestrator_nb import context\n"
            "try:\n    context.record('table', pd.DataFrame({'a': [token]}))\n"
            "except Exception as error:\n    print('refused:', error)"
        ),
        v4.new_code_cell(f"assert len(token) == {len(SECRET)}\nraise ValueError(f'cannot log in with {{token}}')"),
    ]
    nbformat.write(v4.new_notebook(cells=cells), project / "model.ipynb")
    (project / "steps.py").write_text(STEPS, encoding="utf-8")
    flow = Workflow("w")
    flow.notebook(
        "model.ipynb",
        parameters={"token": "${{ secrets.TOKEN }}"},
        environment={"KEY": "key ${{ secrets.TOKEN }}"},
        retries=0,
    )
    with pytest.raises(RunFailed) as caught:
        flow.run()
    assert leaks(store) == []
    failure = caught.value.result.errors["model"]
    assert failure.message == "cannot log in with [secret TOKEN]"
    output = nbformat.read(caught.value.result.folder / "notebooks" / "model.ipynb", as_version=4)
    nbformat.validate(output)
    text = nbformat.writes(output)
    assert output.metadata.papermill["parameters"] == {"token": "[secret TOKEN]"}
    assert 'token = "[secret TOKEN]"' in text.replace('\\"', '"')
    assert 'refused: table: the column "a" holds the value of the secret' in text.replace('\\"', '"')


def test_a_missing_secret_is_a_mistake_of_the_plan(project) -> None:
    """It is found before anything runs, with its place, what was looked for, and the nearest one that is there."""
    (project / "flow.yaml").write_text(
        "workflow: w\ncommands:\n  a:\n    shell: [python, -V]\n    environment:\n      KEY: ${{ secrets.TOKE }}\n"
    )
    with pytest.raises(DefinitionError) as caught:
        Workflow.load("flow.yaml").plan()
    (mistake,) = caught.value.mistakes
    assert mistake.line == 6
    assert mistake.nearest == "TOKEN"
    assert "ORCHESTRATOR_NB_SECRET_TOKE" in str(mistake)


def test_the_plan_lists_names_only(project) -> None:
    """Who looks at the plan sees which secrets are needed, for people and as JSON."""
    (project / "flow.yaml").write_text(
        "workflow: w\ncommands:\n  a:\n    shell: [python, -V]\n    environment: {A: '${{ secrets.TOKEN }}'}\n"
    )
    for options in ((), ("--json",)):
        shown = _command_line("plan", "flow.yaml", *options)
        assert shown.returncode == 0, shown.stderr
        assert re.search(r'secrets"?: .*TOKEN', shown.stdout)
        assert SECRET not in shown.stdout


def test_a_secret_is_read_anew_at_each_attempt(project, monkeypatch) -> None:
    """What is planned holds no value: a secret that was changed since is used as it is now."""
    flow = Workflow("w")

    @flow.command(parameters={"token": "${{ secrets.TOKEN }}"})
    def look(token: str) -> bool:
        return token == "changed since then"

    flow.plan()
    monkeypatch.setenv("ORCHESTRATOR_NB_SECRET_TOKEN", "changed since then")
    assert flow.run().outputs["look"] is True


def test_a_detached_run_has_its_secrets_from_the_environment(project, store) -> None:
    """The process that takes the run over inherits the environment; the secret is nowhere between the two."""
    (project / "flow.yaml").write_text(
        "workflow: w\ncommands:\n  a:\n    shell: [python, -c, 'import os; print(os.environ[\"A\"])']\n"
        "    environment: {A: '${{ secrets.TOKEN }}'}\n"
    )
    shown = _command_line("run", "flow.yaml", "--detach")
    assert shown.returncode == 0, shown.stderr
    run = attach("latest")
    run.wait(timeout=50, check=False)
    assert run.result.outputs["a"] == {"exit_code": 0, "stdout": "[secret TOKEN]"}
    assert leaks(store) == []


def _command_line(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from orchestrator_nb.cli.main import main; main()", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUTF8": "1"},
    )


def test_a_changed_value_of_a_secret_makes_what_refers_to_it_run_again(project, store, monkeypatch, capsys) -> None:
    """The store holds a digest that only its own salt makes, never the value; another store has another digest."""
    (project / "steps.py").write_text("def asks(token):\n    return len(token)\n\ndef other():\n    return 1\n")
    (project / "flow.yaml").write_text(
        "workflow: w\ncommands:\n"
        "  asks: {call: 'steps:asks', parameters: {token: '${{ secrets.PASS }}'}}\n  other: {call: 'steps:other'}\n"
    )
    monkeypatch.setenv("ORCHESTRATOR_NB_SECRET_PASS", "first-value-of-it")
    flow = Workflow.load("flow.yaml")
    first = flow.start(store=store)
    again = Workflow.load("flow.yaml").start(store=store, reuse=True)
    assert {name: record.state for name, record in again.state.commands.items()} == {
        "asks": "reused",
        "other": "reused",
    }
    monkeypatch.setenv("ORCHESTRATOR_NB_SECRET_PASS", "another-value-of-it")
    said = str(Workflow.load("flow.yaml").plan(store=store, reuse=True))
    assert "the value of a secret changed (PASS)" in said
    changed = Workflow.load("flow.yaml").start(store=store, reuse=True)
    states = {name: record.state for name, record in changed.state.commands.items()}
    assert states == {"asks": "succeeded", "other": "reused"}
    assert changed.result.outputs["asks"] == len("another-value-of-it")
    monkeypatch.setenv("ORCHESTRATOR_NB_SECRET_PASS", "first-value-of-it")
    elsewhere = flow.start(store=project / "elsewhere")

    def digest(run) -> str:
        return run.state.planned["asks"].result_key.rpartition(".")[2]

    assert len({digest(first), digest(changed), digest(elsewhere)}) == 3
    assert all(len(digest(run)) == 16 for run in (first, changed, elsewhere))
    assert (Path(store) / ".salt").stat().st_mode & 0o777 == 0o600
    (Path(store) / ".salt").unlink()
    without = Workflow.load("flow.yaml").start(store=store, reuse=True)
    assert without.state.commands["asks"].state == "succeeded"
    for path in Path(store).rglob("*"):
        assert not path.is_file() or b"value-of-it" not in path.read_bytes(), path


SHARED = "spilled-value-0815"

SHARING = """\
import numpy as np
import pandas as pd
from pathlib import Path

from orchestrator_nb import context


def values(token):
    Path("notes.txt").write_text(f"login: {token}")
    return {
        "json": ["x" * 100_000, {"url": f"https://me:{token}@host"}],
        "table": pd.DataFrame({"n": [1], "url": [f"https://me:{token}@host"]}),
        "array": np.array([token]),
        "bytes": f"key={token}".encode(),
        "file": Path("notes.txt"),
    }


def share(token, form):
    context.shared["kept"] = values(token)[form]
"""


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("form", ["json", "table", "array", "bytes", "file"])
def test_shared_values_in_files_hold_no_secret(monkeypatch, form, isolation):
    """What is JSON has the name of the secret in its place; what cannot be changed is refused."""
    monkeypatch.setenv("ORCHESTRATOR_NB_SECRET_SHARED", SHARED)
    Path("sharing.py").write_text(SHARING)
    parameters = {"token": "${{ secrets.SHARED }}", "form": form}
    command = {"call": "sharing:share", "parameters": parameters, "isolation": isolation, "retries": 0}
    result = Workflow.load({"workflow": "w", "commands": {"share": command}}).run(check=False)
    if form == "json":
        assert result.shared["kept"][1] == {"url": "https://me:[secret SHARED]@host"}
    else:
        assert 'holds the value of the secret "SHARED"' in result.errors["share"].message
        assert 'shared["kept"]' in result.errors["share"].message
    files = [path for path in result.folder.rglob("*") if path.is_file()]
    assert any(path.parent.parent.name == "artifacts" for path in files) == (form == "json")
    for encoding in ("utf-8", "utf-32-le"):
        assert not [path for path in files if SHARED.encode(encoding) in path.read_bytes()]
