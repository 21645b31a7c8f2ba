"""The same cells where nobody looks: papermill and nbconvert get text and HTML, no widgets, and the run's failure."""

from __future__ import annotations

import nbformat
import pytest

SOURCE = """\
%load_ext orchestrator_nb
from orchestrator_nb import Workflow
flow = Workflow("sales", parameters={"rows": 5})
flow.command(lambda rows: list(range(rows)), id="load")
flow.command(lambda load: len(load), id="count")
flow"""
CELLS = [SOURCE, "flow.plan()", "run = flow.start()\nrun", "run.result", "%workflow history"]


def write(path, cells):
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": spec})
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(notebook, str(path))


@pytest.mark.kernel
def test_papermill_and_nbconvert_show_the_same_cells(project, package_path):
    """Everything that a cell shows is text and HTML; the notebook keeps no state of widgets, and the page shows it."""
    import papermill
    from nbconvert import HTMLExporter

    write(project / "in.ipynb", CELLS)
    papermill.execute_notebook("in.ipynb", "out.ipynb", progress_bar=False, kernel_name="python3")
    done = nbformat.read("out.ipynb", as_version=4)
    assert "widgets" not in done.metadata
    for number, told in enumerate(("sales", "predicted", "completed", "completed", "completed")):
        data = done.cells[number].outputs[-1]["data"]
        assert "application/vnd.jupyter.widget-view+json" not in data
        assert told in data["text/html"]
        assert data["text/plain"]
    page, _ = HTMLExporter().from_notebook_node(done)
    assert page.count("data-node=") == 2
    assert "onb-panel" in page


@pytest.mark.kernel
def test_a_cell_fails_with_its_run(project, package_path):
    """A notebook that runs a workflow is stopped by its failure, whoever executes it."""
    import papermill

    write(
        project / "in.ipynb", ["%load_ext orchestrator_nb", "%%workflow bad --run\ncommands: {x: {shell: ['false']}}"]
    )
    with pytest.raises(papermill.PapermillExecutionError, match="RunFailed"):
        papermill.execute_notebook("in.ipynb", "out.ipynb", progress_bar=False, kernel_name="python3")
