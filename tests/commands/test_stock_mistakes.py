"""What goes wrong when papermill runs a notebook by itself, and does not here: the cases that no other suite has."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest

from orchestrator_nb.commands.notebooks.bounds import PRINTED_LIMIT
from orchestrator_nb.commands.notebooks.engine import NAME, import_papermill
from orchestrator_nb.events import AttemptReturned

ONE_LINE = 200_000_000


@pytest.mark.kernel
@pytest.mark.timeout(180)
def test_one_line_of_two_hundred_megabytes_is_cut_and_not_fatal(Trial, tmp_path):
    """papermill fails after four seconds and holds all of it; here the cell succeeds, and the next one runs."""
    trial = Trial(tmp_path, f"print('x' * {ONE_LINE})", "print('after')")
    answer = trial.run()
    assert isinstance(answer, AttemptReturned), answer
    cells = trial.output().cells
    assert len(cells[0].outputs[0].text) < 2 * PRINTED_LIMIT
    assert cells[1].outputs[0].text == "after\n"


@pytest.mark.kernel
def test_hooks_of_nbclient_are_called_with_our_engine(tmp_path):
    """What is given to papermill for nbclient gets there: hooks are called for each cell, with its index."""
    made = [nbformat.v4.new_code_cell(source) for source in ("1", "2")]
    nbformat.write(nbformat.v4.new_notebook(cells=made), tmp_path / "in.ipynb")
    called = []
    import_papermill().execute_notebook(
        tmp_path / "in.ipynb", None, engine_name=NAME, progress_bar=False, kernel_name="python3",
        on_notebook_start=lambda notebook: called.append(("begins", len(notebook.cells))),
        on_cell_start=lambda cell, cell_index: called.append(("starts", cell_index)),
        on_cell_executed=lambda cell, cell_index, execute_reply: called.append((execute_reply["content"]["status"], cell_index)),
    )  # fmt: skip
    assert called == [("begins", 2), ("starts", 0), ("ok", 0), ("starts", 1), ("ok", 1)]


def test_a_notebook_costs_nothing_to_those_who_run_none():
    """Neither papermill nor a kernel's libraries are imported with the package, as they are with papermill's."""
    code = (
        "import sys, orchestrator_nb; from orchestrator_nb import Workflow; Workflow('w');"
        "print(*sorted({'papermill', 'nbclient', 'ipykernel', 'jupyter_client', 'zmq'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
