"""What is found out about a notebook before it runs; no kernel is started here."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path

import pytest

from orchestrator_nb.commands.notebooks import kernel as notebook_kernel
from orchestrator_nb.commands.notebooks.command import NotebookCommand
from orchestrator_nb.commands.notebooks.file import Notebook
from orchestrator_nb.commands.notebooks.kernel import Kernel
from orchestrator_nb.definition.models import CommandDefinition


def cell(source, kind="code", tags=()):
    made = {"cell_type": kind, "metadata": {"tags": list(tags)} if tags else {}, "source": source}
    return {**made, "execution_count": None, "outputs": []} if kind == "code" else made


def document(*cells, metadata=None, **fields):
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": metadata or {}, "cells": list(cells), **fields}


def checked(folder, content, **options):
    """Write a notebook, text or JSON, and return what is found wrong with the command that runs it."""
    text = content if isinstance(content, (str, bytes)) else json.dumps(content)
    (folder / "a.ipynb").write_bytes(text if isinstance(text, bytes) else text.encode())
    command = CommandDefinition(id="a", notebook="a.ipynb", **options)
    return NotebookCommand().check(command, folder=folder, upstream={})


def notes(folder, content, **options):
    (folder / "a.ipynb").write_text(json.dumps(content), encoding="utf-8")
    return NotebookCommand().notes(CommandDefinition(id="a", notebook="a.ipynb", **options), folder=folder)


BAD_FILES = {
    "empty": (b"", "is empty"),
    "not JSON": (b'{"cells": [', "not valid JSON"),
    "not UTF-8": (b'{"nbformat": 4, "x": "\xe9"}', "not UTF-8"),
    "a list": (b"[]", "JSON list"),
    "text": (b'"hello"', "JSON string"),
    "nothing in it": (b"{}", 'no "nbformat"'),
    "format 3": (document(nbformat=3), "nbformat 3"),
    "format 5": (document(nbformat=5), "nbformat 5"),
    "format as text": (document(nbformat="4"), 'nbformat "4"'),
    "no cells": ({"nbformat": 4, "nbformat_minor": 4, "metadata": {}}, "cells"),
    "cells as text": (document() | {"cells": "x"}, "not a notebook that can be run"),
    "a cell without source": (document(cell("x"), {"cell_type": "code", "metadata": {}, "outputs": []}), "cell 1"),
    "an unknown type of cell": (document(cell("x", kind="poem")), "cell 0"),
    "nested too deeply": ("[" * 200_000, "nested too deeply"),
    "two parameters cells": (
        document(cell("a = 1", tags=["parameters"]), cell("b"), cell("c = 1", tags=["parameters"])),
        "cells 0, 2",
    ),
    "parameters in a text": (document(cell("a = 1", kind="markdown", tags=["parameters"])), "not a code cell"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_each_broken_file_is_one_clear_mistake(tmp_path, case):
    """A file that is no notebook in format 4 gives one mistake that says what it is instead."""
    content, says = BAD_FILES[case]
    mistakes = checked(tmp_path, content)
    assert len(mistakes) == 1
    assert says in str(mistakes[0])
    assert "a.ipynb" in str(mistakes[0])
    assert mistakes[0].path == "/notebook"


@pytest.mark.parametrize(
    "name", ["gone.ipynb", "", "nul\0.ipynb", "x" * 300 + ".ipynb", "{day}.ipynb", "http://h/a.ipynb"]
)
def test_a_path_that_leads_to_no_file_is_taken_literally(tmp_path, name):
    """A missing notebook, or a path that other tools would expand or fetch, is a mistake and nothing more happens."""
    command = CommandDefinition(id="a", notebook=name)
    mistakes = NotebookCommand().check(command, folder=tmp_path, upstream={})
    assert [mistake.path for mistake in mistakes] == ["/notebook"]


def test_json_that_breaks_off_names_the_line(tmp_path):
    """The mistake about invalid JSON leads to its line and column."""
    (mistake,) = checked(tmp_path, '{\n "cells": [\n')
    assert mistake.line == 3
    assert mistake.file.endswith("a.ipynb")


@pytest.mark.parametrize("lead", ["", "\ufeff"])
def test_a_sound_notebook_has_no_mistakes(tmp_path, lead):
    """Cells without ids, ids given twice and a byte order mark are what other tools accept, and so are they here."""
    twice = [{**cell("x = 1"), "id": "same"}, {**cell("y = 1"), "id": "same"}, cell("z = 1")]
    assert checked(tmp_path, lead + json.dumps(document(*twice, nbformat_minor=5))) == []


PARAMETERS = """
# what can be set
day = "2026-01-01"   # the day
count = 1
rate: float = 0.5
limit: int | None = None
names: "list[str]" = []
level = 3  # type: float
options = dict(a=1)
free = None
%matplotlib inline
first = second = True
"""


def with_parameters():
    return document(cell(PARAMETERS, tags=["parameters"]), cell("print(day)"))


@pytest.mark.parametrize(
    "given",
    [
        {"day": "2026-01-02", "count": 2, "rate": 1, "limit": 5, "names": ["a"], "level": 1.5},
        {"limit": None, "options": [1], "free": {"a": [1, None]}, "first": False, "second": True},
        {"count": 2.5},
        {"count": None, "day": "${{ clean.day }}", "rate": "${{ parameters.rate }}"},
    ],
)
def test_values_that_fit_are_taken(tmp_path, given):
    """Names are found in every form of assignment; an integer is a number, None is "none given", a reference waits."""
    assert checked(tmp_path, with_parameters(), parameters=given) == []


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("count", "2", "default 1"),
        ("count", True, "expected int"),
        ("rate", "0.5", "annotated float"),
        ("rate", None, "expected float"),
        ("limit", "5", "int or None"),
        ("names", "a", "expected list"),
        ("level", "high", "type comment float"),
        ("first", 1, "expected bool"),
    ],
)
def test_a_value_of_another_type_than_declared_is_a_mistake(tmp_path, name, value, says):
    """The type comes from the annotation, a type comment or the default, and the mistake says from which."""
    (mistake,) = checked(tmp_path, with_parameters(), parameters={name: value})
    assert mistake.path == f"/parameters/{name}"
    assert says in str(mistake)


def test_an_unknown_name_lists_the_known_ones_and_the_nearest(tmp_path):
    """A parameter that the notebook does not declare is not injected in silence."""
    (mistake,) = checked(tmp_path, with_parameters(), parameters={"cuont": 2})
    assert mistake.nearest == "count"
    assert "day" in mistake.expected


@pytest.mark.parametrize("name", ["x=1;import os", "class", "__x", "a-b", "1a", "", "x\ny"])
def test_a_name_that_would_become_code_is_refused(tmp_path, name):
    """Names of parameters are written into the notebook as code: only names of variables may be."""
    mistakes = checked(tmp_path, document(cell("x = 1")), parameters={name: 1})
    assert len(mistakes) == 1
    assert mistakes[0].path.startswith("/parameters/")


@pytest.mark.parametrize(
    "value",
    [
        (1, 2), {1, 2}, b"x", 1j, float("nan"), 2**70, {1: "a"}, [{"a": object()}], "x" * 2**21, Path("a"),
        datetime.date(2026, 1, 1),
    ],
)  # fmt: skip
def test_a_value_that_is_not_plain_json_is_refused_by_name(tmp_path, value):
    """Nothing is turned into text unasked, and nothing huge is written into a notebook."""
    (mistake,) = checked(tmp_path, document(cell("free = None", tags=["parameters"])), parameters={"free": value})
    assert mistake.path.startswith("/parameters")


def test_parameters_without_a_parameters_cell_give_a_note(tmp_path):
    """They are injected at the top, as papermill does, and that is said; with such a cell nothing is said."""
    content = document(cell("print(1)"), metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    assert checked(tmp_path, content, parameters={"day": "x"}) == []
    assert any("at its top" in note for note in notes(tmp_path, content, parameters={"day": "x"}))
    assert notes(tmp_path, content) == []


def test_a_left_over_injected_cell_gives_a_note(tmp_path):
    """A cell that papermill injected into the very source is replaced, and that is said."""
    content = document(cell("day = 1", tags=["parameters"]), cell("day = 2", tags=["injected-parameters"]))
    assert any("is replaced" in note for note in notes(tmp_path, content, parameters={"day": 3}))


def test_a_notebook_without_code_gives_a_note(tmp_path):
    """Nothing to run is no mistake, but hardly what was meant."""
    assert any("no code to run" in note for note in notes(tmp_path, document(cell("# title", kind="markdown"))))


def test_wants_are_the_declared_names_that_are_given_nowhere(tmp_path):
    """Ploomber's own names are not among them, and a cell that cannot be read has none."""
    source = 'upstream = ["clean"]\nproduct = None\nclean = None\nday: str = "x"\nprint(1)'
    (tmp_path / "a.ipynb").write_text(json.dumps(document(cell(source, tags=["parameters"]))), encoding="utf-8")
    command = CommandDefinition(id="a", notebook="a.ipynb", parameters={"day": "y"})
    assert NotebookCommand().wants(command, folder=tmp_path) == ("clean",)
    (tmp_path / "a.ipynb").write_text(json.dumps(document(cell("a = (", tags=["parameters"]))), encoding="utf-8")
    assert NotebookCommand().wants(command, folder=tmp_path) == ()
    assert NotebookCommand().wants(CommandDefinition(id="b", notebook="gone.ipynb"), folder=tmp_path) == ()


def test_only_code_counts_as_source(tmp_path):
    """Outputs, counters, text and metadata can change without the command being another; code cannot."""
    command = CommandDefinition(id="a", notebook="a.ipynb")

    def source(*cells, metadata=None):
        (tmp_path / "a.ipynb").write_text(json.dumps(document(*cells, metadata=metadata)), encoding="utf-8")
        return NotebookCommand().source(command, folder=tmp_path)

    output = {"output_type": "stream", "name": "stdout", "text": "1"}
    first = source(cell("# title", kind="markdown"), cell("print(1)"))
    again = source({**cell(["print", "(1)"]), "execution_count": 7, "outputs": [output]}, metadata={"kernelspec": {
        "name": "python3", "display_name": "Python 3"}})  # fmt: skip
    assert first == again
    assert source(cell("print(2)")) != first


def test_a_missing_working_directory_is_a_mistake(tmp_path):
    """The directory that a notebook is to run in has to be there before the run."""
    (mistake,) = checked(tmp_path, document(cell("x")), cwd="nowhere")
    assert mistake.path == "/cwd"


HERE = Kernel(name="python3", language="python", argv=(sys.executable, "-m", "ipykernel_launcher"))
OTHER = Kernel(name="conda", language="python", argv=(sys.executable,))
GONE = Kernel(name="old", language="python", argv=("/nowhere/python", "-m", "ipykernel_launcher"))
R = Kernel(name="ir", language="R", argv=(sys.executable,))
INSTALLED = {kernel.name: kernel for kernel in (OTHER, GONE, HERE, R)}


def choose(tmp_path, wanted=None, **metadata):
    notebook = Notebook(path=tmp_path / "a.ipynb", metadata=metadata)
    return notebook_kernel.choose(notebook, wanted, INSTALLED)


def test_the_kernel_is_the_wanted_one_then_the_notebooks_own(tmp_path):
    """What the definition says comes before what the notebook says; neither gives a note."""
    spec = {"name": "ir", "language": "R"}
    assert choose(tmp_path, "conda", kernelspec=spec).kernel is OTHER
    found = choose(tmp_path, kernelspec=spec)
    assert (found.kernel, found.note) == (R, None)


def test_a_kernel_of_the_same_language_stands_in_with_a_note(tmp_path):
    """A notebook from another machine runs on what is here, and that is said."""
    found = choose(tmp_path, kernelspec={"name": "my-env", "language": "python"})
    assert found.kernel is not None
    assert found.kernel.language == "python"
    assert '"my-env"' in found.note
    assert choose(tmp_path).kernel.language == "python"


def test_an_unknown_kernel_lists_those_installed(tmp_path):
    """A kernel that was asked for by name is never replaced by another."""
    mistake = choose(tmp_path, "pyhton3").mistake
    assert mistake.path == "/kernel"
    assert mistake.nearest == "python3"
    assert "conda, old, python3, ir" in mistake.expected
    assert choose(tmp_path, kernelspec={"name": "julia-1.9", "language": "julia"}).mistake is not None
    assert choose(tmp_path, "../../x").mistake is not None


def test_a_kernel_whose_program_is_gone_is_a_mistake(tmp_path):
    """A kernelspec that outlived its environment is found before the run."""
    assert "/nowhere/python" in str(choose(tmp_path, "old").mistake)


def test_a_language_that_papermill_cannot_write_takes_no_parameters(monkeypatch, tmp_path):
    """Parameters for such a notebook are refused; without them it is fine, and in R they are fine."""
    zig = Kernel(name="zig", language="zig", argv=(sys.executable,))
    monkeypatch.setattr(notebook_kernel, "installed", lambda: {"zig": zig, "ir": R})
    content = document(cell("x"))
    (mistake,) = checked(tmp_path, content, kernel="zig", parameters={"a": 1})
    assert "zig" in str(mistake)
    assert checked(tmp_path, content, kernel="zig") == []
    assert checked(tmp_path, content, kernel="ir", parameters={"a": 1}) == []


def test_the_python_of_this_process_can_import_the_package():
    """No line to type for the kernel of this environment, nor for one that is not there."""
    assert notebook_kernel.kernel_can_import("no-such-kernel") is None
    if any(kernel.is_this_python for kernel in notebook_kernel.installed().values()):
        assert notebook_kernel.kernel_can_import("python3") is None


def test_a_kernel_that_lacks_the_package_gets_the_line_to_type(monkeypatch, tmp_path):
    """An import that the notebook cannot do without is a mistake with the line that installs into that very Python."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    bare = Kernel(name="bare", language="python", argv=(str(program), "-m", "ipykernel_launcher"))
    monkeypatch.setattr(notebook_kernel, "installed", lambda: {"bare": bare})
    line = notebook_kernel.kernel_can_import("bare")
    assert line == f"{program} -m pip install orchestrator-nb"
    content = document(cell("from orchestrator_nb import context"))
    (mistake,) = checked(tmp_path, content, kernel="bare")
    assert (mistake.path, mistake.expected) == ("/notebook", line)
    guarded = "try:\n    from orchestrator_nb import context\nexcept ImportError:\n    context = None"
    assert checked(tmp_path, document(cell(guarded)), kernel="bare") == []
