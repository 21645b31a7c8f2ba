"""What of a program's text counts: what it does, with everything of the user's own that it uses."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from orchestrator_nb.commands.code import imported_code, normalised, normalised_cells
from orchestrator_nb.commands.function_code import code_of

BASE = "def f(x):\n    return {'a': x + 1}\n"


@pytest.mark.parametrize(
    "text",
    [
        'def f(x):\n    # why\n\n    return {"a": x + 1}  # so\n',
        "def f(\n    x,\n):\n    return {\n        'a': (x + 1),\n    }\n",
        "    def f(x):\n        return {'a': x + 1}\n",
    ],
    ids=["comments", "layout", "indented"],
)
def test_comments_and_layout_do_not_count(text: str) -> None:
    """Two texts that do the same are the same."""
    assert normalised(text) == normalised(BASE)


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace("1", "2"),
        BASE.replace("1", "1.0"),
        BASE.replace("1", "True"),
        BASE.replace("'a'", "b'a'"),
        BASE.replace("+", "-"),
        BASE.replace("x + 1", "1 + x"),
    ],
)
def test_what_it_does_counts(text: str) -> None:
    """A number of another type is another program."""
    assert normalised(text) != normalised(BASE)


def test_cells_of_a_notebook() -> None:
    """Cells without code are none, magics count as they are written, cells of other languages by their lines."""
    cells = ["%matplotlib inline\nx = 1  # one", "# only words", "%%bash\necho a\n\n"]
    assert normalised_cells(cells) == normalised_cells(["%matplotlib inline\nx=1", "%%bash\necho a"])
    assert normalised_cells(cells) != normalised_cells(["%matplotlib widget\nx=1", "%%bash\necho a"])
    assert normalised_cells(cells) != normalised_cells(["%matplotlib inline\nx=1", "%%bash\necho b"])
    assert "!ls" in normalised_cells(["if True:\n    !ls\n"])


def test_a_deep_expression_needs_no_deep_stack() -> None:
    """Texts may be long."""
    assert normalised("x = " + " + ".join(["1"] * 900))


def module(folder: Path, name: str, text: str) -> ModuleType:
    """Load a module from a text in a file of the folder."""
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


USING = """\
import json
import other_{tag}

LIMIT = {limit}

class Model:
    def fit(self):
        return {fit}

def _deep(x):
    return x + LIMIT

def helper(x):
    return _deep(x)

def unrelated():
    return {unrelated}

def decorated(function):
    return function

@decorated
def f(x):
    return json.dumps([helper(x), Model().fit(), other_{tag}.value()])
"""


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, False),
        ({"limit": 6}, True),
        ({"fit": 6}, True),
        ({"unrelated": 6}, False),
        ({"value": 6}, True),
    ],
    ids=str,
)
def test_what_a_function_uses_counts_with_it(tmp_path: Path, change: dict[str, int], counts: bool) -> None:
    """Helpers, classes, constants and modules of the user's own, however deep; what it does not use does not."""
    codes = []
    for number, values in enumerate(({}, change)):
        known = {"limit": 5, "fit": 5, "unrelated": 5, "value": 5, **values}
        folder = tmp_path / str(number)
        folder.mkdir()
        module(folder, "other_x", f"def value():\n    return {known.pop('value')}\n")
        codes.append(code_of(module(folder, "using_x", USING.format(tag="x", **known)).f))
    assert (codes[0] != codes[1]) == counts


def test_how_a_function_is_made_a_command_does_not_count(tmp_path: Path) -> None:
    """What the decorator says is in the definition."""
    text = (
        "class Flow:\n    def command(self, **options):\n        return lambda function: function\n\nflow = Flow()\n\n"
    )
    one = module(tmp_path, "named_a", f"{text}@flow.command(retries=1)\ndef f():\n    return 1\n").f
    other = module(tmp_path, "named_b", f"{text}@flow.command(retries=2)\ndef f():\n    return 1\n").f
    assert code_of(one) == code_of(other)


def test_a_partial_a_lambda_and_an_object() -> None:
    """Whatever can be called has a code."""

    class Native:
        def execute_in_workflow(self) -> int:
            return 1

    assert code_of(functools.partial(sorted, reverse=True)) != code_of(functools.partial(sorted, reverse=False))
    one = code_of(lambda x: x + 1)
    other = code_of(lambda x: x + 2)
    assert one != other
    assert "execute_in_workflow" in code_of(Native())
    assert code_of(Native()) == code_of(Native)


def test_modules_beside_a_program_count_with_it(tmp_path: Path) -> None:
    """Those that it imports and those that these import; installed ones do not."""
    (tmp_path / "near.py").write_text("from package import deep\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "deep.py").write_text("import near\n")
    (tmp_path / "unused.py").write_text("")
    found = imported_code(["%pylab\nimport near, json"], folders=[tmp_path])
    assert {Path(path).relative_to(tmp_path).as_posix() for path in found} == {
        "near.py",
        "package/__init__.py",
        "package/deep.py",
    }
