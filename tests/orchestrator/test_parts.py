"""Runs of a part: what is selected runs, what it needs of the rest comes from earlier runs, and nothing else happens."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb import Workflow, attach
from orchestrator_nb import events as e
from orchestrator_nb.cli.main import run_command_line
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.errors import RunRefused, StoreError, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import list_runs
from orchestrator_nb.orchestrator.attaching import resume_run
from orchestrator_nb.orchestrator.store.audit import audit_run

STEPS = """\
from pathlib import Path

from orchestrator_nb import context

def _ran(name):
    with open("ran", "a") as file:
        file.write(name + " ")

def load():
    _ran("load")
    context.shared["unit"] = "m"
    return bytes(3)

def clean(load):
    _ran("clean")
    Path("clean.txt").write_text("clean")
    return len(load)

def model(clean):
    _ran("model")
    if Path("broken").exists():
        raise ValueError("broken")
    return clean * 10

def report(model):
    _ran("report")
    return f"{model} {context.shared['unit']}"

def notes():
    _ran("notes")
    return "notes"
"""

FLOW = """\
workflow: w
commands:
  load: {call: 'steps:load'}
  clean: {call: 'steps:clean', writes: [clean.txt], retries: 0}
  model: {call: 'steps:model', tags: [ml], retries: 0}
  report: {call: 'steps:report'}
  notes: {call: 'steps:notes'}
"""


@pytest.fixture
def flow(project: Path) -> Path:
    """The folder of a workflow of four functions in a row and one beside them."""
    (project / "steps.py").write_text(STEPS)
    (project / "flow.yaml").write_text(FLOW)
    return project


def ran() -> list[str]:
    """Return what has run since the last call."""
    path = Path("ran")
    names = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return names


def load_flow() -> Workflow:
    return Workflow.load("flow.yaml")


def states(run: Any) -> dict[str, str]:
    return {name: record.state for name, record in run.state.commands.items()}


def test_only_what_is_selected_runs_on_what_there_is(flow: Path) -> None:
    """The result that it needs comes from the latest run that has one, also when that run is deleted then."""
    first = load_flow().start()
    ran()
    run = load_flow().start(only="model")
    assert ran() == ["model"]
    # `load` is there for what it shared.
    assert states(run) == {"load": "reused", "clean": "reused", "model": "succeeded"}
    assert run.result.outputs["model"] == 30
    assert run.state.run.left_out == 2
    reused = [event for event in read(run.folder / "journal.jsonl") if isinstance(event, e.CommandReused)]
    assert {event.reason for event in reused} == {f"not selected, its result is that of {first.id}"}
    shutil.rmtree(first.folder)
    assert run.result.outputs["load"] == bytes(3)
    assert audit_run(run.folder) == []


def test_what_was_shared_further_up_is_there(flow: Path) -> None:
    """A command of a part sees the shared state that it would see in the whole."""
    load_flow().run()
    ran()
    run = load_flow().start(only="report")
    assert ran() == ["report"]
    assert run.result.outputs["report"] == "30 m"


def test_a_result_that_is_nowhere_is_said_before_anything_starts(flow: Path) -> None:
    """One sentence names the commands and what to type; the store stays as it was."""
    with pytest.raises(UsageError, match=r'"model" needs the result of "clean".*--only \+model.*--from clean'):
        load_flow().run(only="model")
    assert ran() == []
    assert list_runs(Path("../store")) == []


def test_a_damaged_result_is_said_before_anything_starts(flow: Path) -> None:
    """What was damaged is named, and nothing is left of the run."""
    first = load_flow().start()
    ran()
    stored = first.state.commands["load"].result
    path = Artifacts(first.folder / "artifacts").path(stored.artifact)
    path.chmod(0o600)
    path.write_bytes(b"nothing")
    with pytest.raises(StoreError, match="is damaged"):
        load_flow().run(only="clean")
    assert ran() == []
    assert [folder.name for folder in Path("../store").glob("*-*-*-*")] == [first.id]


def test_a_file_that_nothing_selected_writes_has_to_be_there(flow: Path) -> None:
    """What reads it would only fail."""
    Path("flow.yaml").write_text(FLOW.replace("tags: [ml]", "tags: [ml], reads: [clean.txt]"))
    load_flow().run()
    Path("clean.txt").unlink()
    with pytest.raises(UsageError, match=r'"model" reads what is not there: "clean.txt"'):
        load_flow().run(only="model")
    load_flow().run(only="clean,model")
    assert Path("clean.txt").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"only": "notes"}, ["notes"]),
        ({"only": "+clean"}, ["load", "clean"]),
        ({"start_from": "model"}, ["model", "report"]),
        ({"until": "clean"}, ["load", "clean"]),
        ({"start_from": "clean", "until": "tag:ml"}, ["clean", "model"]),
    ],
    ids=str,
)
def test_parts(flow: Path, options: dict[str, str], expected: list[str]) -> None:
    """Each selection runs just its commands, to a completed run."""
    load_flow().run()
    ran()
    run = load_flow().start(**options)
    assert ran() == expected
    assert run.result.state == "completed"
    assert sorted(name for name, state in states(run).items() if state == "succeeded") == sorted(expected)


def test_what_failed_runs_again_with_all_that_comes_after_it(flow: Path) -> None:
    """In a new run, on the results that the failed one has."""
    Path("broken").touch()
    load_flow().run(check=False)
    assert sorted(ran()) == ["clean", "load", "model", "notes"]
    Path("broken").unlink()
    run = load_flow().start(failed=True)
    assert ran() == ["model", "report"]
    assert run.result.outputs["report"] == "30 m"
    with pytest.raises(UsageError, match=f'nothing failed in the latest run, "{run.id}"'):
        load_flow().run(failed=True)


def test_a_part_that_failed_is_resumed_as_that_part(flow: Path) -> None:
    """What was not selected stays out of it."""
    load_flow().run()
    ran()
    Path("broken").touch()
    run = load_flow().start(only="model", check=False)
    assert run.result.state == "failed"
    Path("broken").unlink()
    resumed = resume_run(run.id)
    assert ran() == ["model", "model"]
    assert states(resumed) == {"load": "reused", "clean": "reused", "model": "succeeded"}
    assert resumed.result.state == "completed"


def test_a_part_and_reuse_go_together(flow: Path) -> None:
    """Of what is selected, only what is not up to date runs."""
    load_flow().run()
    ran()
    Path("clean.txt").write_text("other")
    run = load_flow().start(until="model", reuse=True)
    assert ran() == ["clean"]
    assert states(run) == {"load": "reused", "clean": "succeeded", "model": "reused"}


def test_a_part_is_reused_by_the_whole_that_follows(flow: Path) -> None:
    """What ran in a part was made with the same things."""
    load_flow().run()
    Path("steps.py").write_text(STEPS.replace("clean * 10", "clean * 100"))
    load_flow().run(only="model")
    ran()
    run = load_flow().start(reuse=True)
    assert ran() == ["report"]
    assert run.result.outputs["report"] == "300 m"


def test_a_run_goes_on_from_a_command_on(flow: Path) -> None:
    """A completed run, too: that command and all after it begin a new generation, the rest stays."""
    run = load_flow().start()
    ran()
    Path("steps.py").write_text(STEPS.replace("clean * 10", "clean * 100"))
    resumed = resume_run(run.id, start_from="model")
    assert resumed.id == run.id
    assert ran() == ["model", "report"]
    assert resumed.result.outputs["report"] == "300 m"
    assert {name: record.generation for name, record in resumed.state.commands.items()} == {
        "load": 1, "clean": 1, "model": 2, "report": 2, "notes": 1,
    }  # fmt: skip
    with pytest.raises(UsageError, match='did you mean "model"'):
        resume_run(run.id, start_from="modle")


def test_a_run_that_is_driven_does_not_go_on_from_a_command(project: Path) -> None:
    """It is refused, and not taken for a resume without one."""
    begun, go = threading.Event(), threading.Event()
    flow = Workflow("w")

    @flow.command
    def slow() -> None:
        begun.set()
        assert go.wait(30)

    run = flow.start(wait=False)
    assert begun.wait(30)
    with pytest.raises(RunRefused, match="is being driven"):
        run.resume(start_from="slow")
    go.set()
    run.wait()


def test_the_command_line_runs_parts(flow: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The options of `run`, `plan` and `resume`, and the verb `accept`."""
    assert run_command_line(["run", "flow.yaml", "--progress", "none"]) == 0
    ran()
    assert run_command_line(["run", "flow.yaml", "--only", "notes", "--only", "model", "--json"]) == 0
    assert sorted(ran()) == ["model", "notes"]
    capfd.readouterr()
    assert run_command_line(["run", "flow.yaml", "--only", "modle"]) == 2
    assert 'did you mean "model"?' in capfd.readouterr().err
    assert run_command_line(["run", "flow.yaml", "--from", "model", "--until", "model", "--progress", "none"]) == 0
    assert run_command_line(["run", "flow.yaml", "--failed"]) == 2
    assert ran() == ["model"]
    assert run_command_line(["run", "flow.yaml", "--reuse"]) == 0
    assert "reused from w-" in capfd.readouterr().out
    assert ran() == []
    Path("steps.py").write_text(STEPS.replace("clean * 10", "10 * clean"))
    assert run_command_line(["plan", "flow.yaml", "--reuse", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["reuse"]["model"] == {"says": "runs", "reason": "its code changed"}
    assert run_command_line(["accept", "latest", "model"]) == 0
    assert run_command_line(["run", "flow.yaml", "--reuse", "--progress", "none"]) == 0
    assert ran() == []
    assert run_command_line(["resume", "latest", "--from", "report", "--progress", "none"]) == 0
    assert ran() == ["report"]


def test_a_detached_run_is_the_part_that_was_selected(flow: Path) -> None:
    """The process that drives it takes over the same results."""
    load_flow().run()
    ran()
    run = load_flow().start(only="model", reuse=True, detach=True)
    run.wait(60)
    assert ran() == []
    assert states(attach(run.id)) == {"load": "reused", "clean": "reused", "model": "reused"}


def test_a_killed_run_that_reuses_goes_on(flow: Path) -> None:
    """What was taken over is durable with the event that names it."""
    first = load_flow().start()
    ran()
    code = (
        "import os\nfrom orchestrator_nb import Workflow\nfrom orchestrator_nb import events as e\n"
        "def die(turn, state):\n"
        "    if any(isinstance(event, e.CommandReused) and event.attempt for event in turn):\n"
        "        os.kill(os.getpid(), 9)\n"
        "Workflow.load('flow.yaml').start(reuse=True, observers=[die])\n"
    )
    Path("clean.txt").write_text("other")
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert killed.returncode == -9
    assert ran() == ["clean"]
    shutil.rmtree(first.folder)
    resumed = resume_run("latest")
    assert resumed.result.state == "completed"
    assert states(resumed)["model"] == "reused"
    assert resumed.result.outputs["load"] == bytes(3)
    assert audit_run(resumed.folder) == []


def test_a_part_that_gathers_a_matrix_of_which_a_cell_never_had_a_result(project: Path) -> None:
    """It goes on with what there is where its rule would in a whole run; else the missing cell is named, and what to
    type: that runs the cell and what gathers it, and nothing else."""
    (project / "steps.py").write_text(
        "from pathlib import Path\n"
        "def fit(n):\n"
        "    with open('ran', 'a') as file:\n        file.write(f'fit-{n} ')\n"
        "    if n == 2 and Path('broken').exists():\n        raise ValueError('broken')\n"
        "    return n * 10\n"
        "def best(fit):\n    return sum(fit.values())\n"
        "def told(fit):\n    return sorted(fit)\n"
    )
    (project / "flow.yaml").write_text(
        "workflow: w\ncommands:\n"
        "  fit: {call: 'steps:fit', matrix: {n: [1, 2, 3]}, retries: 0}\n"
        "  best: {call: 'steps:best'}\n"
        "  told: {call: 'steps:told', trigger_rule: all_done}\n"
    )
    Path("broken").touch()
    load_flow().start(check=False)
    assert sorted(ran()) == ["fit-1", "fit-2", "fit-3"]  # side by side
    said = r'"best" needs "fit", and no earlier run .* its cell "fit-2"; select what is missing too: --only fit-2,best'
    with pytest.raises(UsageError, match=said):
        load_flow().start(only="best")
    assert load_flow().start(only="told").result.outputs["told"] == ["1", "3"]
    Path("broken").unlink()
    assert ran() == []
    assert load_flow().start(only="fit-2,best").result.outputs["best"] == 60
    assert ran() == ["fit-2"]
