"""Notebooks as a workflow: what they declare, what their names say, and notebooks that are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb.definition.folder import definition_from_folder, definition_from_notebook
from orchestrator_nb.errors import DefinitionError, Mistake


def notebook(path: Path, parameters: str | list[str] | None = None, **metadata: Any) -> None:
    """Write a notebook whose parameters cell has the given source."""
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": "# Title"}]
    if parameters is not None:
        tags = {"tags": ["parameters"]}
        cells.append(
            {"cell_type": "code", "metadata": tags, "source": parameters, "outputs": [], "execution_count": None}
        )
    path.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}), encoding="utf-8"
    )


def upstream(folder: Path) -> dict[str, tuple[str, ...]]:
    return {command.id: command.after for command in definition_from_folder(folder).definition.commands}


def mistakes(folder: Path) -> tuple[Mistake, ...]:
    with pytest.raises(DefinitionError) as caught:
        definition_from_folder(folder)
    return caught.value.mistakes


def test_declared_upstream_and_products_make_the_workflow(tmp_path: Path) -> None:
    """Parameters cells that name their upstream, by stem, id or argument name, and their product are a workflow."""
    notebook(tmp_path / "01 - Load.ipynb", "upstream = None\nproduct = 'load.parquet'")
    notebook(
        tmp_path / "clean data.ipynb",
        ["upstream = ['01 - Load']\n", "product = {'data': 'clean.parquet', 'log': 'log.txt'}"],
    )
    notebook(tmp_path / "model.ipynb", "%load_ext x\nupstream: tuple = ('clean_data', '01-load')\nproduct = ['m.onnx']")
    notebook(tmp_path / "report.ipynb", "upstream = {'model': None, 'clean-data': 1}")
    notebook(tmp_path / "alone.ipynb")
    loaded = definition_from_folder(tmp_path)
    assert upstream(tmp_path) == {
        "01-load": (), "alone": (), "clean-data": ("01-load",), "model": ("clean-data", "01-load"), "report": ("model", "clean-data"),
    }  # fmt: skip
    assert loaded.definition.command("clean-data").writes == ("clean.parquet", "log.txt")
    assert loaded.definition.command("clean-data").notebook == "clean data.ipynb"
    assert (loaded.folder, loaded.file, loaded.notes) == (tmp_path, None, ())


def test_metadata_declares_as_well(tmp_path: Path) -> None:
    """The notebook's metadata may say what it comes after, reads and writes, also without a parameters cell."""
    notebook(tmp_path / "a.ipynb", orchestrator_nb={"writes": "a.csv"})
    notebook(tmp_path / "b.ipynb", "n = 1", orchestrator_nb={"after": ["a"], "reads": ["a.csv"]})
    command = definition_from_folder(tmp_path).definition.command("b")
    assert (command.after, command.reads) == (("a",), ("a.csv",))


def test_numbers_give_the_order_where_nothing_is_declared(tmp_path: Path) -> None:
    """Names that all begin with numbers run one after the other, by number and not by letter, and a note says so."""
    for name in ("10_report", "2_clean", "1_load", "2b_check"):
        notebook(tmp_path / f"{name}.ipynb", "day = '2026-01-01'")
    assert upstream(tmp_path) == {
        "1_load": (), "2_clean": ("1_load",), "2b_check": ("2_clean",), "10_report": ("2b_check",),
    }  # fmt: skip
    (note,) = definition_from_folder(tmp_path).notes
    assert "1_load.ipynb, 2_clean.ipynb, 2b_check.ipynb, 10_report.ipynb" in note


def test_without_numbers_notebooks_are_independent(tmp_path: Path) -> None:
    """Nothing declared and not all names numbered: no order is made up, and a note says so."""
    for name in ("1_load", "model"):
        notebook(tmp_path / f"{name}.ipynb")
    assert upstream(tmp_path) == {"1_load": (), "model": ()}
    assert "independently" in definition_from_folder(tmp_path).notes[0]
    assert 'upstream = ["load"]' in definition_from_folder(tmp_path).notes[0]


def test_an_upstream_in_a_cell_without_the_tag_is_told(tmp_path: Path) -> None:
    """What a notebook says in a cell that is not read is not dropped in silence."""
    notebook(tmp_path / "load.ipynb")
    notebook(tmp_path / "clean.ipynb", "upstream = ['load']")
    text = (tmp_path / "clean.ipynb").read_text(encoding="utf-8").replace('"tags": ["parameters"]', "")
    (tmp_path / "clean.ipynb").write_text(text, encoding="utf-8")
    assert upstream(tmp_path) == {"clean": (), "load": ()}
    notes = definition_from_folder(tmp_path).notes
    assert any(note.startswith('"clean.ipynb"') and "not read" in note for note in notes)
    assert not any(note.startswith('"load.ipynb"') for note in notes)


def test_numbered_notebooks_may_be_named_without_their_number(tmp_path: Path) -> None:
    """An upstream may be named by its title alone, also where there are two steps with the number in front."""
    notebook(tmp_path / "01_load.ipynb")
    notebook(tmp_path / "02_model.ipynb", "upstream = 'load'")
    assert upstream(tmp_path) == {"01_load": (), "02_model": ("01_load",)}


def test_hidden_files_checkpoints_and_subfolders_are_left_out(tmp_path: Path) -> None:
    """Only the notebooks that the user keeps in the folder itself are commands."""
    notebook(tmp_path / "a.ipynb")
    notebook(tmp_path / ".hidden.ipynb")
    notebook(tmp_path / "a-checkpoint.ipynb")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    notebook(tmp_path / ".ipynb_checkpoints" / "b.ipynb")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    assert upstream(tmp_path) == {"a": ()}


def test_equal_slugs_are_numbered(tmp_path: Path) -> None:
    """Two file names with one slug are two commands, and a reserved name is none."""
    for name in ("A b", "a-b", "context"):
        notebook(tmp_path / f"{name}.ipynb")
    assert set(upstream(tmp_path)) == {"a-b", "a-b-2", "context-2"}


def test_nothing_is_executed(tmp_path: Path) -> None:
    """A parameters cell is only looked at."""
    notebook(tmp_path / "a.ipynb", f"open({str(tmp_path / 'ran')!r}, 'w')\nupstream = None")
    definition_from_folder(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_every_mistake_of_every_notebook_is_told(tmp_path: Path) -> None:
    """Declarations that cannot be read are mistakes that name notebook, place and the nearest name."""
    notebook(tmp_path / "a.ipynb", "upstream = find()")
    notebook(tmp_path / "b.ipynb", "upstream = [1]")
    notebook(tmp_path / "c.ipynb", "upstream = ['cleen']")
    notebook(tmp_path / "clean.ipynb", "upstream = (")
    notebook(tmp_path / "d.ipynb", orchestrator_nb={"afer": []})
    notebook(tmp_path / "e.ipynb", orchestrator_nb=["a"])
    found = {Path(str(one.file)).stem: one for one in mistakes(tmp_path)}
    assert set(found) == {"a", "b", "c", "clean", "d", "e"}
    assert found["a"].path == "/cells/1"
    assert "not a literal" in found["a"].message
    assert found["c"].nearest == "clean"
    assert "not Python" in found["clean"].message
    assert found["d"].nearest == "after"


def test_a_notebook_cannot_be_its_own_upstream(tmp_path: Path) -> None:
    """A notebook that names itself is a mistake."""
    notebook(tmp_path / "a.ipynb", "upstream = ['a']")
    assert "after itself" in mistakes(tmp_path)[0].message


def test_other_languages_are_not_parsed(tmp_path: Path) -> None:
    """A parameters cell that is not Python is passed over."""
    notebook(tmp_path / "a.ipynb", "upstream <- 'b'", kernelspec={"name": "ir", "language": "R"})
    assert upstream(tmp_path) == {"a": ()}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a notebook"), (b"{", "not a notebook"), (b"[]", "not a notebook"), (b"{}", "not a notebook"), (b'"x"', "not a notebook"),
        (b"[" * 200_000, "not a notebook"), (b'{"nbformat": 3, "worksheets": []}', "cannot be run"), (b'{"nbformat": 5, "cells": []}', "cannot be run"),
        (b'{"nbformat": "4", "cells": []}', "not a notebook"), (b'{"nbformat": 4}', "not a notebook"), (b"\xff\xfe{", "not UTF-8"),
        (b'{"nbformat": 4, "cells": [3]}', "not a mapping"), (b'{"nbformat": 4, "cells": [{"cell_type": "code"}]}', "no source"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "heading", "source": ""}]}', "no type"),
        (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": [1]}]}', "no source"),
        (b'{"nbformat": ' + b"4" * 5000 + b"}", "not a notebook"),
    ],
)  # fmt: skip
def test_broken_notebooks_are_mistakes(tmp_path: Path, content: bytes, words: str) -> None:
    """A file that is no notebook of nbformat 4 is named with what is wrong, alone or in a folder."""
    path = tmp_path / "broken.ipynb"
    path.write_bytes(content)
    (found,) = mistakes(tmp_path)
    assert words in found.message
    assert found.file == str(path)
    with pytest.raises(DefinitionError, match=words):
        definition_from_notebook(path)


def test_an_old_notebook_says_how_to_upgrade(tmp_path: Path) -> None:
    """Notebooks of nbformat 3 come with the command that upgrades them."""
    (tmp_path / "old.ipynb").write_text('{"nbformat": 3, "worksheets": []}', encoding="utf-8")
    assert "jupyter nbconvert" in str(mistakes(tmp_path)[0].expected)


def test_folders_without_notebooks_are_mistakes(tmp_path: Path) -> None:
    """An empty folder, a missing one and a file are said to be what they are."""
    assert "no notebook" in mistakes(tmp_path)[0].message
    assert "no such file" in mistakes(tmp_path / "nowhere")[0].message
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "cannot be read" in mistakes(tmp_path / "file")[0].message


def test_one_notebook_is_a_workflow_with_its_parameters(tmp_path: Path) -> None:
    """The literal values of the parameters cell become parameters of the workflow, handed on by reference."""
    path = tmp_path / "01 Report.ipynb"
    notebook(
        path,
        "day = '2026-01-01'  # which\nrows = 10\nx = rows * 2\nupstream = ['load']\nwhen = (1, 2)\nproduct = 'report.html'",
    )
    loaded = definition_from_notebook(path)
    definition = loaded.definition
    assert (definition.workflow, definition.commands[0].id, loaded.folder) == ("01-report", "01-report", tmp_path)
    assert {name: one.default for name, one in definition.parameters.items()} == {"day": "2026-01-01", "rows": 10}
    assert definition.commands[0].parameters == {"day": "${{ parameters.day }}", "rows": "${{ parameters.rows }}"}
    assert definition.commands[0].writes == ("report.html",)
    assert "not run with it" in loaded.notes[0]


def test_a_parameter_with_one_default_is_the_workflows(tmp_path: Path) -> None:
    """What all notebooks mean alike can be given once for all; what they mean differently stays theirs."""
    notebook(tmp_path / "clean.ipynb", "day = '2026-01-01'\nlimit = 5\nmodel = None")
    notebook(tmp_path / "model.ipynb", "upstream = ['clean']\nday = '2026-01-01'\nlimit = 5.0")
    definition = definition_from_folder(tmp_path).definition
    assert {name: item.default for name, item in definition.parameters.items()} == {"day": "2026-01-01"}
    assert definition.command("clean").parameters == {"day": "${{ parameters.day }}"}
    assert definition.command("model").parameters == {"day": "${{ parameters.day }}"}
