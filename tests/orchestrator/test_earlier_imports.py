"""What a run learns from the imports of those before it."""

from __future__ import annotations

import json
import sys

import nbformat
import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.kernels.fork_server import servers

HIDDEN = """
import sys
from orchestrator_nb import context
context.record("there", "sqlalchemy" in sys.modules)
context.record("ours", "helpers" in sys.modules)
import helpers
helpers.work()
"""


def facts(run):
    lines = (run.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [fact for fact in map(json.loads, lines) if fact["kind"] == "ModulesImported"]


@pytest.mark.kernel
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernels are forked on Linux only")
@pytest.mark.parametrize("learning", [True, False])
def test_what_was_imported_out_of_sight_is_there_before_the_next_fork(project, learning):
    """A library that a function of the project imports is recorded, and imported before the kernels of the next run are
    forked; the project's own module never is. Nothing is learnt where that is not wanted."""
    servers.close()  # one that another test has left may have the library
    project.joinpath("helpers.py").write_text("def work():\n    import sqlalchemy\n")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(HIDDEN)])
    nbformat.write(notebook, project / "hidden.ipynb")
    flow = Workflow("learning", folder=project, optimization={"history": learning})
    flow.notebook("hidden.ipynb")
    runs = []
    for there in (False, learning):
        run = flow.start(wait=False)
        run.wait(60)
        runs.append(run)
        assert run.result.outputs["hidden"] == {"there": there, "ours": False}
    (fact,) = facts(runs[0])
    assert "sqlalchemy" in fact["modules"]
    assert not any(name.partition(".")[0] in ("helpers", "orchestrator_nb") for name in fact["modules"])
    assert bool(facts(runs[1])) is not learning
