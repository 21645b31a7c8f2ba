"""The house: imports go down, modules say what they are for and stay short, what is public is what is visible."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator_nb

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "orchestrator_nb"
DEMO = PACKAGE / "demo"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if DEMO not in path.parents)
HEAVY = (
    "IPython", "cloudpickle", "ipykernel", "jupyter_client", "nbclient", "nbformat", "networkx", "numpy", "pandas",
    "papermill", "psutil", "pyarrow", "pydantic", "rich", "ruamel", "sqlalchemy", "typer", "zmq",
)  # fmt: skip
SUBMODULES = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}


def name_of(module: Path) -> str:
    return str(module.relative_to(ROOT))


def test_the_import_contract_holds():
    """Imports go down the rooms and there are no cycles, hidden ones included."""
    check = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", check], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_says_its_purpose_and_stays_short(module: Path):
    """Every module opens with a docstring and has at most 400 lines."""
    text = module.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f'"{name_of(module)}" has no docstring'
    assert len(text.splitlines()) <= 400


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_nothing_inside_imports_from_the_package_root(module: Path):
    """Inside the package a name comes from the module that defines it, never from the root and never relatively."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            if node.module == "orchestrator_nb":
                names = {alias.name for alias in node.names}
                assert names <= SUBMODULES, f"line {node.lineno}: imports a name from the package root"
        elif isinstance(node, ast.Import):
            assert all(alias.name != "orchestrator_nb" for alias in node.names), f"line {node.lineno}: imports the root"
        elif isinstance(node, ast.Name):
            assert node.id != "TYPE_CHECKING", f"line {node.lineno}: hides an import from the contract"


def test_what_is_public_is_what_is_visible():
    """Every name in `__all__` resolves, and `dir()` shows these names and no others."""
    names = orchestrator_nb.__all__
    assert names
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(orchestrator_nb, name) is not None, name
    assert sorted(name for name in dir(orchestrator_nb) if not name.startswith("_")) == sorted(names)


def test_an_unknown_name_is_an_attribute_error():
    """Names are handed on lazily, and one that does not exist fails as it does in any module."""
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = orchestrator_nb.no_such_name


def test_importing_the_package_imports_nothing_heavy():
    """`import orchestrator_nb` costs little more than Python itself: it loads none of the heavy third parties."""
    code = f"import sys, orchestrator_nb; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_a_context_needs_nothing_heavy():
    """What a kernel imports to reach its context starts quickly: it loads none of the heavy third parties."""
    code = f"import sys, orchestrator_nb.context; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


FIRST = """
import sys

from orchestrator_nb import Workflow

flow = Workflow("one", parameters={"day": "2026-01-01"}, slots=2)


@flow.command(retries=1, tags=["a"])
def first(day):
    with open("seen", "w") as file:
        file.write(" ".join(sys.modules))
    return day


flow.run(store=sys.argv[1])
"""


def test_what_is_imported_until_the_first_function_runs(tmp_path: Path):
    """A small run of functions waits for no library but the one that packs facts, and for nothing that is for networks."""
    program = tmp_path / "one.py"
    program.write_text(FIRST)
    subprocess.run([sys.executable, str(program), str(tmp_path / "store")], check=True, cwd=tmp_path)
    seen = set((tmp_path / "seen").read_text().split())
    network = {"asyncio", "concurrent.futures", "email", "http", "ssl", "urllib.request"}
    besides = {"importlib.metadata", "secrets", "sqlite3", "statistics", "xml", "zipfile"}
    assert "orchestrator_nb.engine.loop" in seen
    assert not seen & {*HEAVY, "filelock", *network, *besides}


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("orchestrator_nb.orchestrator.attaching", (*HEAVY, "asyncio", "filelock")),
        ("orchestrator_nb.orchestrator.store.history", (*HEAVY, "asyncio", "filelock")),
        ("orchestrator_nb.orchestrator.workflow", (*HEAVY, "asyncio", "filelock")),
    ],
)
def test_nobody_imports_what_only_others_need(module: str, spared: tuple[str, ...]):
    """Whoever looks at a run imports nothing that plans or runs; a workflow of functions needs none of it either."""
    code = f"import sys, {module}; print(*sys.modules.keys() & set({spared!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.split()
