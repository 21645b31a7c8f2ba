"""Imports that are done once, before any kernel is forked, and what makes one of them unfit for it."""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import site
import stat
import sys
import sysconfig
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

NATIVE_THREADS = ("numpy", "scipy", "pyarrow", "pandas")
"""Libraries whose own threads, below Python, are known to survive a fork: they are stopped before it and started anew,
or never needed by the child."""

LAZY = {
    "pandas": ("pandas.io.formats.html", "pandas.io.formats.string", "pandas.core.computation.api"),
    "pyarrow": ("pyarrow.pandas_compat", "pyarrow.compute"),
    "numpy": ("numpy.random", "numpy.linalg"),
    "matplotlib.pyplot": ("matplotlib.backends.backend_agg", "matplotlib.font_manager"),
}
"""What a library imports only when it is used for the first time, which in a notebook is soon."""

NEVER = frozenset({
    "antigravity", "bokeh", "cupy", "dask", "distributed", "gevent", "grpc", "grpc_tools", "ipyparallel", "ipywidgets",
    "jax", "jaxlib", "keras", "mpi4py", "orchestrator_nb", "papermill", "pyspark", "ray", "tensorflow", "this", "torch",
    "torchvision", "vaex",
})  # fmt: skip
"""Libraries that are left to the kernels: known to break when their process forks, to hold connections or devices, or
to look at the kernel while they are imported."""

HARMLESS_FILES = frozenset({"/dev/null", "/dev/urandom", "/dev/random"})
"""Files that processes may share, since they have no position."""


class UnfitModule(Exception):
    """A module did something while it was imported that kernels forked afterwards would suffer from."""

    def __init__(self, module: str, why: str) -> None:
        super().__init__(f'"{module}" {why} while it was imported')
        self.module = module


@dataclass(slots=True)
class Preloaded:
    """What the server had before the preloads, and which variables of the environment they changed.

    `modules` are the names of modules that a kernel has, too, when it is started from nothing.
    """

    modules: frozenset[str]
    variables: dict[str, str | None] = field(default_factory=dict)


def fit(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the names that may be preloaded in this interpreter: modules below its site-packages.

    A project's own modules and those installed in editable form lie elsewhere, and change under one's hands.
    """
    folders = site_folders()
    known: dict[str, bool] = {}
    wanted = set(names)
    for name in wanted:
        top = name.partition(".")[0]
        if top not in known:
            known[top] = top not in NEVER and _is_installed(top, folders)
    return tuple(sorted(name for name in wanted if known[name.partition(".")[0]]))


def bearable(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the names that are not known to bear no fork; whether they are installed, and how, the server of
    their interpreter is to find out."""
    return tuple(sorted({name for name in names if name.partition(".")[0] not in NEVER}))


def site_folders() -> list[str]:
    """Return the directories that packages are installed into."""
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return [folder for folder in map(os.path.realpath, folders) if os.path.isdir(folder)]


def preload(names: Iterable[str]) -> Preloaded:
    """Import modules; a missing or broken one is left to the notebook, which will say so itself.

    Raises UnfitModule where an import started a thread, opened a file or printed something: what has been done then
    cannot be undone, so no kernel may be forked from this process.
    """
    done = Preloaded(frozenset(sys.modules))
    before = dict(os.environ)
    for name in names:
        _import(name)
        for lazy in LAZY.get(name, ()):
            _import(lazy)
    for variable in before.keys() | os.environ.keys():
        if before.get(variable) != os.environ.get(variable):
            done.variables[variable] = os.environ.get(variable)
    return done


def os_threads() -> int:
    """Return how many threads this process has, those that Python does not know of included."""
    return len(os.listdir("/proc/self/task"))


def open_files() -> frozenset[str]:
    """Return the descriptors of this process that its children would share with it, as number and target."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:  # the one that the listing itself was read from
            continue
        if target not in HARMLESS_FILES:
            found.add(f"{number}: {target}")
    return frozenset(found)


def _is_installed(top: str, folders: Sequence[str]) -> bool:
    if top in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.machinery.PathFinder.find_spec(top, list(folders))
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    places = [spec.origin] if spec.origin is not None else list(spec.submodule_search_locations or ())
    return bool(places) and all(_is_below(place, folders) for place in places)


def _is_below(path: str, folders: Sequence[str]) -> bool:
    real = os.path.realpath(path)
    return any(real.startswith(folder + os.sep) for folder in folders)


def _stranger(names: Iterable[str]) -> str | None:
    """Return the first of these modules whose file is neither Python's nor in site-packages."""
    paths = {os.path.realpath(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib")}
    folders = [*site_folders(), *paths]
    for name in sorted(names):
        path = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(path, str) and not _is_below(path, folders):
            return name
    return None


def _import(name: str) -> None:
    had, threads, files, written = set(sys.modules), os_threads(), open_files(), _written()
    with suppress(BaseException):  # whatever it raises, the notebook that imports it is to see it
        importlib.import_module(name)
    if threading.active_count() > 1:
        other = next(thread.name for thread in threading.enumerate() if thread is not threading.main_thread())
        raise UnfitModule(name, f'started the thread "{other}"')
    known = any(library in sys.modules and library not in had for library in NATIVE_THREADS)
    if os_threads() > threads and not known and name.partition(".")[0] not in NATIVE_THREADS:
        raise UnfitModule(name, "started a thread")
    opened = open_files() - files
    if opened:
        raise UnfitModule(name, f"opened {min(opened).partition(': ')[2]}")
    if _written() > written:
        raise UnfitModule(name, "printed or warned")
    stranger = _stranger(sys.modules.keys() - had)
    if stranger is not None:
        raise UnfitModule(name, f'brought in "{stranger}", which does not lie in site-packages,')


def _written() -> int:
    """Return how many bytes went to standard output and error, which are files here."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return sum(found.st_size for found in map(os.fstat, (1, 2)) if stat.S_ISREG(found.st_mode))
