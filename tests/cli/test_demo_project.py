"""The demo project as it is shipped, and how it gets into a folder."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import nbformat
import pytest

from orchestrator_nb.cli.demo import copy_demo
from orchestrator_nb.errors import UsageError

SHIPPED = Path(str(files("orchestrator_nb"))) / "demo" / "penguins"
NOTEBOOKS = sorted(SHIPPED.glob("*.ipynb"))


def test_the_data_are_what_was_recorded():
    """The shipped table has the hash that the pipeline checks, and 344 birds."""
    content = (SHIPPED / "penguins-raw.csv").read_bytes()
    recorded = (SHIPPED / "penguins-raw.csv.sha256").read_text(encoding="utf-8").split()[0]
    assert hashlib.sha256(content).hexdigest() == recorded
    assert content.count(b"\n") == 345


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_clean(path):
    """Each is valid, explains itself, has a parameters cell and stable ids, and carries no outputs."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert notebook.cells[0].cell_type == "markdown"
    assert all("-" in cell.id or cell.id.isalpha() for cell in notebook.cells)
    assert notebook.metadata.kernelspec.name == "python3"


def test_the_copy_is_whole_and_can_be_made_again(tmp_path):
    """All files arrive as they are; a second copy onto the same files writes nothing."""
    folder = tmp_path / "deep" / "demo"
    written = copy_demo(folder)
    assert {path.name: path.read_bytes() for path in written} == {
        path.name: path.read_bytes() for path in SHIPPED.iterdir() if path.is_file()
    }
    assert copy_demo(folder) == []


def test_work_of_the_user_is_never_overwritten(tmp_path):
    """A file that differs stops the copy before anything is written, and is named."""
    (tmp_path / "steps.py").write_text("mine\n", encoding="utf-8")
    (tmp_path / "clean.ipynb").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError) as raised:
        copy_demo(tmp_path)
    assert str(tmp_path / "steps.py") in str(raised.value)
    assert str(tmp_path / "clean.ipynb") in str(raised.value)
    assert str(tmp_path / "model.py") not in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean.ipynb", "steps.py"]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    """A name that is taken by a file is refused."""
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="is a file; expected a folder"):
        copy_demo(tmp_path / "taken")
