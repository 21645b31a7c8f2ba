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

LATER = (
    # what looks at a run, tells of it and ends it
    "analytics", "checkpoints", "cli", "drawing", "jupyter", "quality", "recovery",
    "orchestrator.display.failure_card", "orchestrator.display.picture", "orchestrator.metrics",
    "orchestrator.next_steps", "orchestrator.notifying", "orchestrator.run_context", "orchestrator.store.leaving",
    "orchestrator.store.manifest", "orchestrator.store.saved", "state.timing",
    # what goes on with it, and what takes over from other runs
    "orchestrator.going_on", "orchestrator.resuming", "orchestrator.reuse.parts", "orchestrator.reuse.taking_over",
    # what other kinds of commands need, and other ways of writing them
    "commands.notebooks", "commands.processes", "commands.shell", "definition.expressions",
    "definition.json_text", "definition.matrix_check", "definition.yaml_text", "engine.conditions", "engine.simulator",
    "executors.process", "kernels.imported", "orchestrator.inner_workflow",
)  # fmt: skip
"""Modules and rooms of ours that a run of functions needs later than its first function, if at all."""


def _loaded(program: str, folder: Path) -> set[str]:
    """Return the modules that are loaded when the program's function runs."""
    path = folder / "one.py"
    path.write_text(program)
    subprocess.run([sys.executable, str(path), str(folder / "store")], check=True, cwd=folder)
    return set((folder / "seen").read_text().split())


def test_what_is_imported_until_the_first_function_runs(tmp_path: Path):
    """A small run of functions waits for no library but the one that packs facts, and for nothing that is for networks,
    processes, other kinds of commands or the end of the run."""
    seen = _loaded(FIRST, tmp_path)
    network = {"asyncio", "concurrent.futures", "email", "http", "socket", "ssl", "urllib.request"}
    besides = {
        "getpass", "html", "importlib.metadata", "importlib.resources", "logging", "multiprocessing", "pickle",
        "secrets", "shutil", "sqlite3", "statistics", "sysconfig", "tempfile", "xml", "zipfile",
    }  # fmt: skip
    assert "orchestrator_nb.engine.loop" in seen
    assert sorted(seen & {*HEAVY, "filelock", *network, *besides}) == []
    ours = {name.removeprefix("orchestrator_nb.") for name in seen if name.startswith("orchestrator_nb.")}
    assert sorted(name for name in ours if name.startswith(LATER)) == []


def test_nothing_compiles_its_methods_on_the_way_to_the_first_function(tmp_path: Path):
    """The values of a run are structs: a dataclass compiles its methods when it is made, each time a program starts."""
    program = "import dataclasses\n\nmade = []\n" + FIRST.replace("import sys\n", """import sys

of = dataclasses._process_class


def told(cls, *given, **named):
    made.append(f"{cls.__module__}.{cls.__qualname__}")
    return of(cls, *given, **named)


dataclasses._process_class = told
""", 1).replace('" ".join(sys.modules)', '" ".join(made)')  # fmt: skip
    assert not _loaded(program, tmp_path)


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
