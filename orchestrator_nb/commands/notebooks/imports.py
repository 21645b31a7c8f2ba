"""What is imported before the kernels of a run are forked: what its notebooks import, or what the user says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from orchestrator_nb.commands.notebooks import file as notebook_file
from orchestrator_nb.commands.notebooks.file import Notebook
from orchestrator_nb.commands.notebooks.kernel import Kernel
from orchestrator_nb.definition.models import KernelsDefinition
from orchestrator_nb.kernels.imports import imported
from orchestrator_nb.kernels.preload import bearable, fit
from orchestrator_nb.ports import Work

SOURCES = "sources"
"""Where a run keeps the notebooks as they were when it started, relative to its folder."""

PRELOAD = "ORCHESTRATOR_NB_PRELOAD"
"""The environment variable that names, with commas between, what is to be imported before the fork instead."""


def fitting(kernel: Kernel | None, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the names that may be imported before kernels like this one are forked, as far as that is known
    here: what another environment has installed is known there. None stands for a kernel of this environment."""
    return fit(names) if kernel is None or kernel.is_this_python else bearable(names)


def named(kernel: Kernel | None = None) -> tuple[str, ...] | None:
    """Return what the user has named to be imported before the fork, None where nothing was said about it."""
    found = os.environ.get(PRELOAD)
    return None if found is None else fitting(kernel, (name.strip() for name in found.split(",") if name.strip()))


def preload(work: Work, notebook: Notebook, kernel: Kernel, cwd: Path) -> tuple[str, ...]:
    """Return the modules to import before the kernels of this run are forked: what all its notebooks import,
    and what those of earlier runs were seen to.

    All kernels of a run come from one server, so one that is needed by many is imported once.
    """
    wanted = named(kernel)
    if wanted is not None:
        return wanted
    for part in (work.definition.kernels, work.kernels):
        if part is not None and part.preload is not None:
            return fitting(kernel, part.preload)
    sources = work.run_folder / SOURCES
    try:
        paths = sorted(path for path in sources.iterdir() if path.suffix == ".ipynb")
    except OSError:
        paths = []
    if notebook.path not in paths:
        paths.append(notebook.path)
    places = tuple(dict.fromkeys((cwd, work.folder.absolute())))
    return _fitting(tuple((path, path.stat().st_mtime_ns) for path in paths), places, work.imported, kernel)


def preload_notes(kernels: KernelsDefinition | None, kernel: Kernel | None) -> list[str]:
    """Return what there is to say of the modules that are to be imported before the fork."""
    wanted = () if kernels is None else kernels.preload or ()
    left = [name for name in wanted if name not in fitting(kernel, wanted)]
    why = "not imported before the kernels are forked: it is not installed, may be edited at any time, or bears no fork"
    return [f'the module "{name}" is {why}' for name in left]


@lru_cache(maxsize=64)
def _fitting(
    notebooks: Sequence[tuple[Path, int]], places: Sequence[Path], earlier: Sequence[str], kernel: Kernel
) -> tuple[str, ...]:
    """Read all notebooks once; the time of their last change is there to tell versions apart."""
    cells = [cell.source for path, _ in notebooks for cell in notebook_file.read(path).cells if cell.runs]
    return fitting(kernel, [*imported(cells, places), *earlier])
