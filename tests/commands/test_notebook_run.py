"""Notebooks run by real kernels: what they record, how they fail, and that nothing is left of them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.stored import store
from orchestrator_nb.events import (
    ArtifactRecorded,
    AttemptFailed,
    AttemptReturned,
    CellFinished,
    CellStarted,
    MetricRecorded,
    NoticeGiven,
    OutputRecorded,
)

pytestmark = pytest.mark.kernel

GOOD = """
import os, sys
import pandas as pd
from orchestrator_nb import context

context.record("given", [count, day, region, clean])
context.record("rows", int(context.upstream["clean"]["table"]["a"].sum()))
context.record("upstream", sorted(context.upstream))
context.record("where", [os.getcwd(), os.environ["TEAM"], os.environ["ORCHESTRATOR_NB_ATTEMPT"]])
context.record("fields", [context.workflow_id, context.run_id, context.command, context.attempt])
context.record("clean", pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
context.metric("rmse", 2.5)
context.progress(0.5, "half")
context.shared["best"] = {"depth": 3}
with open("plot.txt", "w") as file:
    file.write("a plot")
context.artifact("plot.txt")
print("printed")
os.write(2, b"past Jupyter\\n")
from IPython.display import clear_output
clear_output()
"""


def test_a_notebook_runs_with_parameters_and_records(Trial, tmp_path):
    """Parameters go in, and records, a table, a metric, a file, shared values and text come out, as they happen."""
    artifacts = Artifacts(tmp_path / "run" / "artifacts")
    table = store(pd.DataFrame({"a": [40, 2]}), artifacts=artifacts, live=None, at="table")
    trial = Trial(
        tmp_path,
        nbformat.v4.new_markdown_cell("# Model"),
        GOOD,
        parameters_cell='count = 1\nday = "never"\nregion = "none"\nclean = None',
        parameters={"count": 3, "day": "${{ parameters.start }}"},
        environment={"TEAM": "blue"},
        work={
            "parameters": {"start": "2026-01-02", "region": "north", "unused": 1},
            "recorded": {"clean": {"table": table}},
        },
    )
    answer = trial.run()
    assert isinstance(answer, AttemptReturned), answer
    assert answer.result.value is None
    assert answer.shared == {"best": {"depth": 3}}
    assert answer.notebook == "notebooks/model.ipynb"
    values = trial.values()
    pd.testing.assert_frame_equal(values.pop("clean"), pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    assert values == {
        "given": [3, "2026-01-02", "north", None],
        "rows": 42,
        "upstream": ["clean"],
        "where": [str(tmp_path), "blue", "run/model/1"],
        "fields": ["sales", Trial.RUN, "model", 1],
    }
    assert [event.value.form for event in trial.of(OutputRecorded) if event.name == "clean"] == ["parquet"]
    assert [(event.name, event.value) for event in trial.of(MetricRecorded)] == [("rmse", 2.5)]
    (artifact,) = trial.of(ArtifactRecorded)
    assert trial.artifacts.path(artifact.value.artifact).read_text() == "a plot"
    assert trial.progress == [(0.5, "half")]
    log = (trial.run_folder / answer.log).read_text()
    assert "printed\n" in log
    assert "past Jupyter\n" in log
    assert [(event.cell, event.number, event.of) for event in trial.of(CellStarted)] == [
        (0, 1, 3),
        (1, 2, 3),
        (3, 3, 3),
    ]
    assert trial.states() == ["completed"] * 4
    assert trial.output().metadata.papermill.parameters == {"count": 3, "day": "2026-01-02", "region": "north"}


FAILING = """
class Busy(ConnectionError):
    pass

from orchestrator_nb import context
context.record("partial", 1)
raise Busy("the \\x1b[31mserver\\x1b[0m is busy")
"""


def test_a_failing_cell_says_which_and_why(Trial, tmp_path):
    """The failure has the classes of the exception, its text, the cell and its source; what was recorded stays."""
    answer = Trial.run(trial := Trial(tmp_path, "x = 1", FAILING, "print(2)"))
    assert isinstance(answer, AttemptFailed)
    failure = answer.failure
    assert failure.kind == "exception"
    assert failure.message == "the server is busy"
    assert failure.types == ("__main__.Busy", "ConnectionError", "OSError", "Exception")
    assert (failure.cell, failure.cell_source) == (1, FAILING)
    assert FAILING.splitlines()[failure.line - 1].startswith("raise Busy")
    assert failure.source == str(tmp_path / "model.ipynb")
    assert failure.traceback.rstrip().endswith("Busy: the server is busy")
    assert failure.notebook == answer.notebook == "notebooks/model.ipynb"
    assert not answer.crashed
    assert trial.values() == {"partial": 1}
    assert trial.states() == ["completed", "failed", "pending"]
    assert [event.status for event in trial.of(CellFinished)] == ["completed", "failed"]


def test_a_dead_kernel_keeps_what_was_recorded(Trial, tmp_path):
    """A kernel that is gone in the middle of a cell is a crash in that cell, and its last record is not lost."""
    trial = Trial(
        tmp_path,
        "x = 1",
        'from orchestrator_nb import context\ncontext.record("a", 1)\nimport os\nos._exit(3)',
        "y = 1",
    )
    answer = trial.run()
    assert isinstance(answer, AttemptFailed)
    assert (answer.failure.kind, answer.failure.exit_code, answer.failure.cell) == ("kernel_died", 3, 1)
    assert answer.crashed
    assert trial.values() == {"a": 1}
    assert trial.states() == ["completed", "failed", "pending"]
    assert trial.output().metadata.papermill.exception is True


@pytest.mark.parametrize("leave", ["import sys; sys.exit(0)", "exit()"])
def test_leaving_early_is_a_failure_unless_allowed(Trial, tmp_path, leave):
    """A notebook that ends itself before its last code cell has not done its work."""
    trial = Trial(tmp_path / "not", "x = 1", leave, "print(2)")
    answer = trial.run()
    assert answer.failure.kind == "early_exit"
    assert "2 of 3" in answer.failure.message
    assert answer.failure.cell == 1
    assert trial.states() == ["completed", "failed", "pending"]
    allowed = Trial(tmp_path / "allowed", "x = 1", leave, "print(2)", allow_early_exit=True)
    assert isinstance(allowed.run(), AttemptReturned)
    assert allowed.states() == ["completed", "completed", "pending"]


def test_notebooks_at_the_same_time_run_each_in_its_own_folder(Trial, tmp_path):
    """Four at once: each starts in its folder, finds the module beside it, and this process stays where it is."""
    before = Path.cwd()
    trials = []
    for name in ("a", "b", "c", "d"):
        folder = tmp_path / name
        trials.append(Trial(folder, "import os, beside\nfrom orchestrator_nb import context\n"
                            'context.record("is", [os.getcwd(), beside.NAME])', name=name))  # fmt: skip
        (folder / "beside.py").write_text(f'NAME = "{name}"\n', encoding="utf-8")
    answers = {}
    threads = [threading.Thread(target=lambda each=each: answers.update({each: each.run()})) for each in trials]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for trial in trials:
        assert isinstance(answers[trial], AttemptReturned), answers[trial]
        assert trial.values() == {"is": [str(trial.work.folder), trial.work.command]}
        assert trial.output()
    assert Path.cwd() == before


STUBBORN = """
import os, signal, subprocess, sys
from orchestrator_nb import context
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)"])
context.record("pids", [os.getpid(), child.pid])
while True:
    pass
"""


def test_a_notebook_that_ignores_interrupts_is_ended_with_all_it_started(Trial, tmp_path):
    """After the grace the kernel is killed, and so is a process that it put into a session of its own."""
    trial = Trial(tmp_path, STUBBORN, "y = 1")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(trial.run()))
    thread.start()
    trial.wait_for(OutputRecorded)
    began = time.monotonic()
    trial.attempt.end("cancelled", 1.0)
    thread.join(timeout=30)
    assert time.monotonic() - began < 15
    (answer,) = answers
    assert answer.failure.kind == "cancelled"
    for pid in trial.values()["pids"]:
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert trial.states() == ["failed", "pending"]


def test_an_interrupt_is_enough_for_a_notebook_that_listens(Trial, tmp_path):
    """A cell that can be interrupted is, and the attempt ends long before its grace does."""
    trial = Trial(tmp_path, 'from orchestrator_nb import context\ncontext.record("a", 1)\nimport time\ntime.sleep(600)')
    answers = []
    thread = threading.Thread(target=lambda: answers.append(trial.run()))
    thread.start()
    trial.wait_for(OutputRecorded)
    began = time.monotonic()
    trial.attempt.end("timeout", 60.0)
    thread.join(timeout=50)
    assert time.monotonic() - began < 30
    assert answers[0].failure.kind == "timeout"


def test_what_does_not_fit_is_found_before_the_kernel_starts(Trial, tmp_path):
    """A reference to a table, or to a value of another type than declared, fails before any cell runs."""
    artifacts = Artifacts(tmp_path / "run" / "artifacts")
    table = store(pd.DataFrame({"a": [1]}), artifacts=artifacts, live=None, at="table")
    work = {"recorded": {"clean": {"table": table, "text": store("x", artifacts=artifacts, live=None, at="text")}}}
    for reference, says in (("table", "context.upstream"), ("text", "expected int")):
        trial = Trial(
            tmp_path, "x = 1", parameters_cell="count = 1", parameters={"count": f"${{{{ clean.{reference} }}}}"},
            work=work,
        )  # fmt: skip
        answer = trial.run()
        assert says in answer.failure.message
        assert trial.of(CellStarted) == []


def test_a_kernel_that_cannot_start_is_said_so(Trial, tmp_path, monkeypatch):
    """A kernel whose program ends at once is a failure of its own kind, with what it had to say in the log."""
    spec = tmp_path / "jupyter" / "kernels" / "broken"
    spec.mkdir(parents=True)
    argv = '["/bin/sh", "-c", "echo no such engine >&2; exit 9"]'
    (spec / "kernel.json").write_text(
        f'{{"argv": {argv}, "language": "python", "display_name": "b"}}', encoding="utf-8"
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    trial = Trial(tmp_path, "x = 1", kernel="broken")
    answer = trial.run()
    assert answer.failure.kind == "not_started"
    assert '"broken"' in answer.failure.message
    assert "no such engine" in (trial.run_folder / answer.log).read_text()


def test_a_flood_of_output_is_bounded_in_the_notebook(Trial, tmp_path):
    """What is printed without end is cut in the notebook, and the command succeeds all the same."""
    flood = 'line = "x" * 999\nfor _ in range(20_000):\n    print(line)\nprint("the end")'
    trial = Trial(tmp_path, flood)
    answer = trial.run()
    assert isinstance(answer, AttemptReturned), answer
    path = trial.run_folder / "notebooks" / "model.ipynb"
    assert path.stat().st_size < 12 * 2**20
    assert "left out here" in path.read_text(encoding="utf-8")
    assert (trial.run_folder / answer.log).read_text().endswith("the end\n")


SCRAPS = """
import base64, io
import pandas as pd
from IPython.display import display

def glue(name, data, encoder):
    payload = {"name": name, "data": data, "encoder": encoder, "version": 1}
    display({f"application/scrapbook.scrap.{encoder}+json": payload}, raw=True)

file = io.BytesIO()
pd.DataFrame({"a": [1, 2]}).to_parquet(file)
glue("table", base64.b64encode(file.getvalue()).decode(), "pandas")
glue("long", ["x" * 1000] * 100, "json")
glue("model", "gA==", "pickle")
display({"application/papermill.record+json": {"rows": 3}}, raw=True)
from orchestrator_nb import context
try:
    context.record("odd", object())
except Exception as error:
    print(error)
"""


def test_records_of_scrapbook_and_papermill_are_kept(Trial, tmp_path):
    """They are recorded like our own, large ones in files; what is encoded in no open form is said, and no failure."""
    trial = Trial(tmp_path, SCRAPS)
    answer = trial.run()
    assert isinstance(answer, AttemptReturned), answer
    values = trial.values()
    pd.testing.assert_frame_equal(values.pop("table"), pd.DataFrame({"a": [1, 2]}))
    assert values == {"rows": 3, "long": ["x" * 1000] * 100}
    assert [event.value.artifact is not None for event in trial.of(OutputRecorded)] == [True, True, False]
    (notice,) = trial.of(NoticeGiven)
    assert '"model" is encoded as "pickle"' in notice.text
    said = trial.output().cells[0].outputs[-1].text
    for form in ("JSON", "Parquet", "npy"):
        assert form in said, said
