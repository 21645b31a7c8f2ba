"""A workflow as a command of another: its plan is a part of the outer plan, its run goes on when the outer one does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb import DefinitionError, RunFailed, Workflow, attach
from orchestrator_nb import events as e
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL, find_run, list_runs
from orchestrator_nb.orchestrator.attaching import resume_run

ROOT = Path(__file__).resolve().parents[2]

STEPS = """
import pandas as pd
from orchestrator_nb import context

def rows(count):
    return list(range(count))

def table(rows):
    return pd.DataFrame({"n": rows})

def total(table):
    context.record("mean", float(table["n"].mean()))
    return int(table["n"].sum())
"""

INNER = """
workflow: inner
parameters: {count: 3, label: {type: string, required: true}}
commands:
  rows: {call: "steps:rows"}
  table: {call: "steps:table"}
  total: {call: "steps:total"}
"""


@pytest.fixture
def inner(project: Path) -> Path:
    """The project with an inner workflow in a folder of its own, beside which its functions are."""
    (project / "part").mkdir()
    (project / "part" / "steps.py").write_text(STEPS)
    (project / "part" / "inner.yaml").write_text(INNER)
    return project


def _events(folder: Path, kind: type[e.Event]) -> list[Any]:
    return [event for event in read(folder / JOURNAL) if isinstance(event, kind)]


def test_the_results_of_the_inner_run_are_the_result_of_the_command(inner: Path, store: Path) -> None:
    """A mapping from its commands to their results, tables included, for what comes after in the outer run."""
    flow = Workflow("outer", parameters={"label": "x"})
    flow.workflow("part/inner.yaml", id="sub", parameters={"count": 4})

    @flow.command(parameters={"total": "${{ sub.total }}"})
    def after(sub: dict[str, Any], total: int) -> Any:
        return [sub["rows"], list(sub["table"]["n"]), total]

    run = flow.start()
    assert run.result.outputs["after"] == [[0, 1, 2, 3], [0, 1, 2, 3], 6]
    part = store / f"{run.id}.sub.1"
    (started,) = _events(part, e.RunStarted)
    assert (started.parent, started.parameters) == (run.id, {"count": 4, "label": "x"})
    for path in (part / "artifacts").rglob("*.*"):  # the inner run may be deleted
        path.unlink()
    assert list(run.result.outputs["sub"]["table"]["n"]) == [0, 1, 2, 3]


def test_the_latest_run_is_the_outer_one(inner: Path, store: Path) -> None:
    """Inner runs are runs of the store, and whoever asks for the latest, or by a beginning, means the whole."""
    flow = Workflow("outer")
    flow.workflow("part/inner.yaml", id="sub", parameters={"label": "x"})
    run = flow.start()
    assert len(list_runs(store)) == 2
    assert attach("latest").id == run.id
    assert find_run(store, "outer").name == run.id
    assert attach(f"{run.id}.sub.1").state.run.state == "completed"


def test_mistakes_of_the_inner_workflow_are_mistakes_of_the_outer(inner: Path) -> None:
    """Each with the inner file and line, and the path of the command in front; parameters are checked too."""
    text = INNER.replace("steps:table", "steps:tabel")
    (inner / "part" / "inner.yaml").write_text(text)
    flow = Workflow("outer")
    flow.workflow("part/inner.yaml", id="sub", parameters={"cuont": 4, "count": "many"})
    flow.workflow("part/other.yaml", id="gone")
    with pytest.raises(DefinitionError) as caught:
        flow.plan()
    found = {(mistake.path, Path(mistake.file or "").name, mistake.line) for mistake in caught.value.mistakes}
    assert ("/commands/sub/commands/table/call", "inner.yaml", 6) in found
    assert {path for path, _, _ in found} == {
        "/commands/sub/parameters/cuont",
        "/commands/sub/parameters/count",
        "/commands/sub/parameters/label",
        "/commands/sub/commands/table/call",
        "/commands/gone",
    }
    (unknown,) = [mistake for mistake in caught.value.mistakes if mistake.path.endswith("cuont")]
    assert unknown.nearest == "count"


def test_a_parameter_may_come_from_upstream(inner: Path) -> None:
    """By a reference or by its name; what is not known before the run is not checked before it."""
    flow = Workflow("outer")
    flow.command(lambda: "from upstream", id="label")
    flow.command(lambda: {"rows": 2}, id="size")
    flow.workflow("part/inner.yaml", id="sub", parameters={"count": "${{ size.rows }}"})
    plan = flow.plan()
    assert set(plan.upstream["sub"]) == {"label", "size"}
    run = flow.start()
    assert run.result.outputs["sub"]["total"] == 1
    (started,) = _events(run.folder.parent / f"{run.id}.sub.1", e.RunStarted)
    assert started.parameters == {"count": 2, "label": "from upstream"}


def test_a_value_from_upstream_that_does_not_fit_fails_the_command(inner: Path) -> None:
    """What could not be checked before the run is checked before the inner run begins."""
    flow = Workflow("outer")
    flow.command(lambda: "many", id="size")
    flow.workflow("part/inner.yaml", id="sub", parameters={"count": "${{ size }}", "label": "x"})
    with pytest.raises(RunFailed, match="an integer"):
        flow.run()
    assert len(list_runs(attach().folder.parent)) == 1


def test_a_workflow_that_contains_itself_is_refused(project: Path) -> None:
    """Directly or through another, with the ring of files."""
    (project / "a.yaml").write_text("workflow: a\ncommands:\n  b: {workflow: b.yaml}\n")
    (project / "b.yaml").write_text("workflow: b\ncommands:\n  a: {workflow: ./a.yaml}\n")
    with pytest.raises(DefinitionError, match="cannot contain itself") as caught:
        Workflow.load(project / "a.yaml").plan()
    (mistake,) = caught.value.mistakes
    assert mistake.found == '"a.yaml" → "b.yaml" → "a.yaml"'
    assert mistake.path == "/commands/b/commands/a/workflow"


def test_what_fails_inside_is_said_outside_and_the_resumed_run_keeps_what_was_done(inner: Path) -> None:
    """The outer failure names the inner run and its cause; after the mending, only what was missing runs."""
    steps = inner / "part" / "steps.py"
    steps.write_text(STEPS + "\ndef total(table):\n    raise ValueError('no sum')\n")
    (inner / "outer.yaml").write_text(
        "workflow: outer\ncommands:\n  sub: {workflow: part/inner.yaml, parameters: {label: x}}\n"
    )
    with pytest.raises(RunFailed, match="no sum") as caught:
        Workflow.load(inner / "outer.yaml").run()
    outer = caught.value.result
    assert f'its run "{outer.run}.sub.1" failed: "total" failed; "total": no sum' in outer.errors["sub"].message
    steps.write_text(STEPS)
    run = resume_run("latest")
    assert run.wait().outputs["sub"]["total"] == 3
    part = run.folder.parent / f"{run.id}.sub.1"
    assert [event.command for event in _events(part, e.AttemptStarted)] == ["rows", "table", "total", "total"]
    assert len(list_runs(run.folder.parent)) == 2


def test_an_inner_run_with_other_parameters_is_begun_anew(inner: Path) -> None:
    """A resumed outer run whose definition gives another parameter does not take the results of the old one."""
    steps = inner / "part" / "steps.py"
    steps.write_text(STEPS + "\ndef total(table):\n    raise ValueError('no sum')\n")
    outer = inner / "outer.yaml"
    outer.write_text("workflow: outer\ncommands:\n  sub: {workflow: part/inner.yaml, parameters: {label: x}}\n")
    Workflow.load(outer).run(check=False)
    steps.write_text(STEPS)
    outer.write_text(
        "workflow: outer\ncommands:\n  sub: {workflow: part/inner.yaml, parameters: {label: x, count: 5}}\n"
    )
    run = resume_run("latest")
    assert run.wait().outputs["sub"]["total"] == 10
    assert len(list_runs(run.folder.parent)) == 3


def test_an_interrupt_of_the_outer_run_pauses_the_inner_one(inner: Path) -> None:
    """The inner run leaves like the outer, and both go on where they were."""
    (inner / "part" / "steps.py").write_text(
        "import os, time\nfrom pathlib import Path\nfrom orchestrator_nb import context\n"
        "def quick():\n    return 1\n"
        "def slow(quick):\n"
        "    Path('began').touch()\n"
        "    while not Path('go').exists():\n"
        "        context.progress(0.5)\n"
        "        time.sleep(0.01)\n"
        "    return quick + 1\n"
    )
    (inner / "part" / "inner.yaml").write_text(
        "workflow: inner\ncommands:\n  quick: {call: 'steps:quick'}\n  slow: {call: 'steps:slow'}\n"
    )
    flow = Workflow("outer")
    flow.workflow("part/inner.yaml", id="sub")
    run = flow.start(wait=False)
    _until((inner / "began").exists)
    part = attach(f"{run.id}.sub.1")
    run.interrupt("lunch", grace=20.0)
    assert run.wait(30, check=False).state == "paused"
    assert part.state.run.state == "paused"
    assert not part.is_running
    (inner / "go").touch()
    assert flow.resume().result.outputs["sub"] == {"quick": 1, "slow": 2}
    assert [event.command for event in _events(part.folder, e.AttemptStarted)] == ["quick", "slow", "slow"]


def test_a_program_inside_is_ended_with_the_outer_run(inner: Path) -> None:
    """Stopping the outer run ends the processes of the inner one."""
    (inner / "part" / "inner.yaml").write_text(
        f"workflow: inner\ncommands:\n  sleep: {{shell: [{sys.executable}, -c, "
        "\"import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(600)\"]}\n"
    )
    flow = Workflow("outer")
    flow.workflow("part/inner.yaml", id="sub")
    run = flow.start(wait=False)
    pid = inner / "part" / "pid"
    _until(lambda: pid.exists() and pid.read_text() != "")
    run.stop("enough", grace=1.0)
    assert run.wait(40, check=False).state == "stopped"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_after_a_kill_the_inner_run_goes_on_and_is_not_begun_anew(inner: Path, store: Path) -> None:
    """kill -9 in the middle of the inner run: what it had done stays done, in one and the same inner run."""
    (inner / "part" / "steps.py").write_text(
        "import os, time\nfrom pathlib import Path\n"
        "def quick():\n"
        "    with open('ledger', 'a') as file:\n        file.write('quick\\n')\n"
        "    return 1\n"
        "def slow(quick):\n"
        "    with open('ledger', 'a') as file:\n        file.write('slow\\n')\n"
        "    while not Path('go').exists():\n"
        "        time.sleep(0.01)\n"
        "    return quick + 1\n"
    )
    (inner / "part" / "inner.yaml").write_text(
        "workflow: inner\ncommands:\n  quick: {call: 'steps:quick'}\n  slow: {call: 'steps:slow'}\n"
    )
    (inner / "outer.yaml").write_text("workflow: outer\ncommands:\n  sub: {workflow: part/inner.yaml}\n")
    code = "from orchestrator_nb import Workflow; Workflow.load('outer.yaml').run()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    owner = subprocess.Popen([sys.executable, "-c", code], env=environment)
    ledger = inner / "ledger"
    _until(lambda: ledger.exists() and "slow" in ledger.read_text())
    owner.send_signal(signal.SIGKILL)
    owner.wait(20)
    (inner / "go").touch()
    run = resume_run("latest")
    assert run.wait().outputs["sub"] == {"quick": 1, "slow": 2}
    assert ledger.read_text().split() == ["quick", "slow", "slow"]
    assert sorted(folder.name for folder in list_runs(store)) == [run.id, f"{run.id}.sub.1"]


def test_a_live_result_stays_in_the_inner_run_and_that_is_said(inner: Path) -> None:
    """What has no stored form is no part of the command's result; a notice says how it could be."""
    (inner / "part" / "steps.py").write_text(
        "class Model:\n    pass\ndef fit():\n    return Model()\ndef one():\n    return 1\n"
    )
    (inner / "part" / "inner.yaml").write_text(
        "workflow: inner\ncommands:\n  fit: {call: 'steps:fit'}\n  one: {call: 'steps:one'}\n"
    )
    flow = Workflow("outer")
    flow.workflow("part/inner.yaml", id="sub")
    run = flow.start()
    assert run.result.outputs["sub"] == {"one": 1}
    assert any('"fit"' in notice.text and "steps.Model" in notice.text for notice in run.state.notices)


def test_an_inner_workflow_can_have_an_inner_workflow(inner: Path) -> None:
    """To any depth, each run naming the one that it is a part of."""
    (inner / "middle.yaml").write_text(
        "workflow: middle\ncommands:\n  deep: {workflow: part/inner.yaml, parameters: {label: x}}\n"
    )
    flow = Workflow("outer")
    flow.workflow("middle.yaml", id="sub")
    run = flow.start()
    assert run.result.outputs["sub"]["deep"]["total"] == 3
    (started,) = _events(run.folder.parent / f"{run.id}.sub.1.deep.1", e.RunStarted)
    assert started.parent == f"{run.id}.sub.1"


def test_the_definition_with_an_inner_workflow_round_trips(inner: Path) -> None:
    """The new key is written and read like any other."""
    flow = Workflow("outer")
    name = flow.workflow("part/inner.yaml", parameters={"label": "x"})
    assert name == "inner"
    (inner / "outer.yaml").write_text(flow.to_yaml())
    assert Workflow.load(inner / "outer.yaml").definition == flow.definition
    assert flow.definition.command("inner").kind == "workflow"


def test_the_default_timeout_of_commands_is_not_one_of_the_inner_run(inner: Path) -> None:
    """The outer workflow's default is for single commands; a timeout of the command itself ends the inner run."""
    (inner / "part" / "steps.py").write_text(
        "import time\nfrom orchestrator_nb import context\n"
        "def slow():\n    end = time.monotonic() + 1.0\n"
        "    while time.monotonic() < end:\n        context.progress(0.5)\n        time.sleep(0.01)\n    return 1\n"
    )
    (inner / "part" / "inner.yaml").write_text("workflow: inner\ncommands:\n  slow: {call: 'steps:slow'}\n")
    flow = Workflow("outer", timeout=0.3)
    flow.workflow("part/inner.yaml", id="sub")
    assert flow.run().outputs["sub"] == {"slow": 1}
    ended = Workflow("outer")
    ended.workflow("part/inner.yaml", id="sub", timeout=0.3)
    assert ended.run(check=False).errors["sub"].kind == "timeout"


def _until(true: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
