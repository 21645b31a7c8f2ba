"""The file of a notebook that runs: what nbformat would write, whole at any time, and not too often."""

from __future__ import annotations

from types import SimpleNamespace

import nbformat
import pytest

from orchestrator_nb.commands.notebooks import saving as notebook_saving
from orchestrator_nb.commands.notebooks.saving import NotebookSaves, may_be_replaced

v4 = nbformat.v4


def notebook():
    output = v4.new_output
    return v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "P"}, "zoo": {"ä": [1, None, "\n"]}},
        cells=[
            v4.new_markdown_cell("# Title\n\ntwo lines", attachments={"a.png": {"image/png": "QQ=="}}),
            v4.new_code_cell("x = 1\nprint(x)", outputs=[output("stream", text="1\n2\n")], execution_count=3),
            v4.new_code_cell(
                '"cells": []\n ],\n "metadata": {}',
                metadata={"tags": ["a"], "trusted": True, "papermill": {"status": "completed"}},
                outputs=[
                    output("display_data", data={"text/html": "<b>\n</b>", "application/json": {"a": ["b\nc"]}}),
                    output("error", ename="E", evalue="\x1b[31mé", traceback=["a", "b"]),
                ],
            ),
            v4.new_raw_cell(""),
            v4.new_code_cell(""),
        ],
    )


@pytest.mark.parametrize("cells", [0, 1, 5])
def test_the_file_is_what_nbformat_writes(tmp_path, cells):
    """Put together from texts of cells that were kept, it is the same to the byte."""
    node = notebook()
    node.cells = node.cells[:cells]
    saves = NotebookSaves(tmp_path / "out.ipynb")
    saves.begin(node)
    assert saves.path.read_text(encoding="utf-8") == v4.writes(node) + "\n"
    for number, cell in enumerate(node.cells):
        cell.metadata["number"] = number
        cell.source += f"\n{number}"
        saves.changed(cell)
        saves.save()
        assert saves.path.read_text(encoding="utf-8") == v4.writes(node) + "\n"
    node.metadata["widgets"] = {"state": {}}
    node.cells.insert(0, v4.new_markdown_cell("put in at the end"))
    saves.save(durable=True)
    assert saves.path.read_text(encoding="utf-8") == v4.writes(node) + "\n"
    assert [each.name for each in tmp_path.iterdir()] == ["out.ipynb"]


def test_a_cell_that_did_not_change_is_not_written_anew(tmp_path, monkeypatch):
    """The cost of a save is that of what has changed: one text a cell, and another one for each change."""
    texts = []
    real = notebook_saving._text
    monkeypatch.setattr(notebook_saving, "_text", lambda cell: texts.append(cell) or real(cell))
    node = notebook()
    saves = NotebookSaves(tmp_path / "out.ipynb")
    saves.begin(node)
    assert len(texts) == 5
    saves.save()
    saves.changed(node.cells[1])
    saves.save()
    assert texts[5:] == [node.cells[1]]


def test_saves_are_few_and_only_of_what_is_new(tmp_path, monkeypatch):
    """Nothing is saved that is not new, nor sooner than two seconds after the save before."""
    now = 1000.0
    monkeypatch.setattr(notebook_saving, "time", SimpleNamespace(monotonic=lambda: now))
    node = notebook()
    saves = NotebookSaves(tmp_path / "out.ipynb")
    saves.begin(node)
    path = saves.path

    def saved():
        path.unlink(missing_ok=True)
        saves.save_if_due()
        return path.exists()

    now += 10
    assert not saved()
    saves.changed(node.cells[1])
    assert saved()
    saves.changed(node.cells[1])
    now += notebook_saving.SAVE_EVERY - 0.1
    assert not saved()
    now += 0.2
    assert saved()


def test_a_costly_save_waits_longer_for_the_next(tmp_path, monkeypatch):
    """Saving takes a twentieth of the time at most, however long one save takes."""
    now = 1000.0
    monkeypatch.setattr(notebook_saving, "time", SimpleNamespace(monotonic=lambda: now))

    def slow(_node):
        nonlocal now
        now += 5.0

    saves = NotebookSaves(None, write=slow)
    saves.begin(notebook())
    saves.changed()
    now += 94.0
    before = now
    saves.save_if_due()
    assert now == before
    now += 7.0
    saves.save_if_due()
    assert now == before + 12.0


def test_what_was_there_stays_when_a_save_fails(tmp_path):
    """A notebook that cannot be written leaves the file of the save before."""
    node = notebook()
    saves = NotebookSaves(tmp_path / "out.ipynb")
    saves.begin(node)
    before = saves.path.read_bytes()
    node.cells[1].metadata["odd"] = object()
    saves.changed(node.cells[1])
    with pytest.raises(TypeError):
        saves.save()
    assert saves.path.read_bytes() == before


def test_a_lone_surrogate_can_be_saved(tmp_path):
    """Text that is no Unicode is kept as JSON's escape and read back as it was."""
    node = v4.new_notebook(cells=[v4.new_code_cell("x", outputs=[v4.new_output("stream", text="a\ud800b\n")])])
    saves = NotebookSaves(tmp_path / "out.ipynb")
    saves.begin(node)
    assert nbformat.read(saves.path, as_version=4).cells[0].outputs[0].text == "a\ud800b\n"


def test_only_a_plain_file_may_be_replaced(tmp_path):
    """A folder or a device may not; what is not there may be made."""
    assert may_be_replaced(tmp_path / "none")
    (tmp_path / "file").touch()
    assert may_be_replaced(tmp_path / "file")
    assert not may_be_replaced(tmp_path)
