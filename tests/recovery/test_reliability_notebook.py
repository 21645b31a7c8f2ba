"""The notebook about reliability says what is so: run as a command, it comes to the table that it shows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest

from orchestrator_nb import Workflow

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "reliability.ipynb"


def _tables(path: Path) -> list[str]:
    """Return the tables that its cells show."""
    cells: list[Any] = nbformat.read(path, 4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ()) if output.output_type == "display_data"]
    return [output.data["text/html"] for output in outputs if "told for" in output.data.get("text/html", "")]


@pytest.mark.kernel
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="faults of Linux")
def test_the_table_of_the_kinds_is_what_comes_of_it(project: Path) -> None:
    """All sixteen, each caused for real and told for what it is; the table that is kept with it is the same."""
    shutil.copy(NOTEBOOK, project / "reliability.ipynb")
    run = Workflow.from_notebook("reliability.ipynb").start(wait=False)
    result = run.wait(55)
    assert result.outputs["reliability"]["kinds"] == 16
    notebook = result.commands["reliability"].notebook
    assert notebook is not None
    (shown,) = _tables(run.folder / notebook)
    assert [shown] == _tables(NOTEBOOK)
