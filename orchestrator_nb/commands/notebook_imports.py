"""What is imported before the kernels of a run are forked, and whether they may be: from the code of its notebooks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from orchestrator_nb.commands import notebook_file
from orchestrator_nb.commands.notebook_file import Notebook
from orchestrator_nb.commands.notebook_kernel import Kernel
from orchestrator_nb.kernels.imports import imported
from orchestrator_nb.kernels.preload import fit
from orchestrator_nb.ports import Work

SOURCES = "sources"
"""Where a run keeps the notebooks as they were when it started, relative to its folder."""

PRELOAD = "ORCHESTRATOR_NB_PRELOAD"
"""The environment variable that names, with commas between, what is to be imported before the fork instead."""


def why_plain(kernel: Kernel) -> str | None:
    """Return why this kernel must be started plainly, None where it may be forked."""
    if not kernel.is_ipykernel:
        return f'the kernel "{kernel.name}" is not the Python kernel of Jupyter'
    if not kernel.is_this_python:
        return f'the kernel "{kernel.name}" does not run in the Python environment of this process'
    return None


def named() -> tuple[str, ...] | None:
    """Return what the user has named to be imported before the fork, None where nothing was said about it."""
    found = os.environ.get(PRELOAD)
    return None if found is None else fit(name.strip() for name in found.split(",") if name.strip())


def preload(work: Work, notebook: Notebook, cwd: Path) -> tuple[str, ...]:
    """Return the modules to import before the kernels of this run are forked: what all its notebooks import.

    All kernels of a run come from one server, so one that is needed by many is imported once.
    """
    wanted = named()
    if wanted is not None:
        return wanted
    sources = work.run_folder / SOURCES
    try:
        paths = sorted(path for path in sources.iterdir() if path.suffix == ".ipynb")
    except OSError:
        paths = []
    if notebook.path not in paths:
        paths.append(notebook.path)
    places = tuple(dict.fromkeys((cwd, work.folder.absolute())))
    return _fit(tuple((path, path.stat().st_mtime_ns) for path in paths), places)


@lru_cache(maxsize=64)
def _fit(notebooks: Sequence[tuple[Path, int]], places: Sequence[Path]) -> tuple[str, ...]:
    """Read all notebooks once; the time of their last change is there to tell versions apart."""
    cells = [cell.source for path, _ in notebooks for cell in notebook_file.read(path).cells if cell.runs]
    return fit(imported(cells, places))
