"""Notebooks of another language than Python, on a kernel that nothing here was made for: bash's."""

from __future__ import annotations

import json
import shutil
import sys

import nbformat
import pytest

from orchestrator_nb.commands.notebooks.engine import NAME, import_papermill
from orchestrator_nb.events import AttemptFailed, AttemptReturned, CellFinished, KernelStarted

pytest.importorskip("bash_kernel", reason="the package bash_kernel of the extra `test` is not installed")
pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="there is no bash"),
]


@pytest.fixture(autouse=True)
def bash(tmp_path, monkeypatch):
    """Install the kernel for this test alone."""
    spec = tmp_path / "jupyter" / "kernels" / "bash"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"]
    spec.joinpath("kernel.json").write_text(json.dumps({"argv": argv, "language": "bash", "display_name": "Bash"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


def test_a_notebook_in_bash_runs_with_parameters_in_its_folder(Trial, tmp_path):
    """Parameters are written in its language, the environment is there, and the way the kernel started is recorded."""
    trial = Trial(
        tmp_path, 'echo "$count $TEAM"', "basename $PWD; echo sorry >&2", parameters_cell="count=1", kernel="bash",
        parameters={"count": 3}, environment={"TEAM": "blue"},
    )  # fmt: skip
    answer = trial.run()
    assert isinstance(answer, AttemptReturned), answer
    assert trial.states() == ["completed"] * 4
    log = (trial.run_folder / answer.log).read_text()
    assert "3 blue\n" in log
    assert f"{tmp_path.name}\n" in log
    assert "sorry\n" in log
    (started,) = trial.of(KernelStarted)
    assert started.way == "plain"
    assert started.reason.startswith('the kernel "bash" is not the Python kernel of Jupyter; ')


def test_a_cell_in_bash_fails_and_the_rest_is_not_run(Trial, tmp_path):
    """The exit code of the last command of a cell makes it fail."""
    trial = Trial(tmp_path, "echo first", "false", "echo never", kernel="bash")
    answer = trial.run()
    assert isinstance(answer, AttemptFailed)
    assert (answer.failure.kind, answer.failure.cell) == ("exception", 1)
    assert trial.states() == ["completed", "failed", "pending"]


def test_a_cell_in_bash_that_takes_too_long_is_ended(Trial, tmp_path):
    """The limit of a cell holds for any kernel."""
    trial = Trial(tmp_path, "echo first", "sleep 600", "echo never", kernel="bash", cell_timeout=3)
    answer = trial.run()
    assert isinstance(answer, AttemptFailed)
    assert "cell_timeout of 3 s" in answer.failure.message
    assert [event.status for event in trial.of(CellFinished)] == ["completed", "failed"]


def test_papermill_gets_the_same_from_both_engines(tmp_path):
    """Outputs, states and exception are papermill's own."""
    papermill = import_papermill()
    v4 = nbformat.v4
    cells = [v4.new_code_cell("count=1", metadata={"tags": ["parameters"]}), v4.new_code_cell("seq $count; ls /nowhere"),
             v4.new_code_cell("echo never")]  # fmt: skip
    spec = {"kernelspec": {"name": "bash", "display_name": "Bash", "language": "bash"}}
    nbformat.write(v4.new_notebook(cells=cells, metadata=spec), tmp_path / "in.ipynb")
    found = []
    for engine in (None, NAME):
        out = tmp_path / "out.ipynb"
        with pytest.raises(papermill.PapermillExecutionError) as raised:
            papermill.execute_notebook(
                str(tmp_path / "in.ipynb"), str(out), {"count": 3}, engine_name=engine, progress_bar=False
            )
        done = nbformat.read(out, as_version=4)
        cells = [
            (cell.source, cell.get("outputs"), cell.metadata.get("papermill", {}).get("status")) for cell in done.cells
        ]
        found.append((cells, raised.value.ename, raised.value.cell_index))
    assert found[0] == found[1]
