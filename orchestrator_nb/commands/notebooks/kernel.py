"""The Jupyter kernel of a notebook: which of the installed ones it runs on, and what that one has to offer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from orchestrator_nb.commands.notebooks.file import Notebook
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.errors import Mistake
from orchestrator_nb.kernels.interpreter import launch
from orchestrator_nb.kernels.specs import installed_specs

PROBE_SECONDS = 60.0
"""How long a kernel's Python may take to say whether it can import this package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """An installed kernel, its language and its `argv` as in its kernelspec."""

    name: str
    language: str
    argv: tuple[str, ...]

    @property
    def program(self) -> str | None:
        """The path of its program, None where it cannot be found or run."""
        return _program(self.argv[0]) if self.argv else None

    @property
    def arguments(self) -> tuple[str, ...]:
        """What it is started with besides what its kernelspec says: of the Python kernel, not to write to the file of
        history that all kernels of the user share."""
        return ("--HistoryManager.hist_file=:memory:",) if self.is_ipykernel else ()

    @property
    def interpreter(self) -> tuple[str, ...] | None:
        """Of a Python kernel, the interpreter with its options; None where its command does not tell."""
        words = (sys.executable if _is_this_python(self.argv[0]) else self.argv[0], *self.argv[1:]) if self.argv else ()
        found = launch(words)
        return None if found is None else found.interpreter

    @property
    def is_ipykernel(self) -> bool:
        """Whether it is the Python kernel of Jupyter, whose options are known."""
        return any("ipykernel" in part for part in self.argv)

    @property
    def is_this_python(self) -> bool:
        """Whether it runs in the Python environment of this process."""
        program = self.program
        return program is not None and Path(program).absolute() == Path(sys.executable).absolute()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The kernel that a notebook runs on and a note where that is not the one it names; or why there is none."""

    kernel: Kernel | None = None
    note: str | None = None
    mistake: Mistake | None = None


def installed() -> dict[str, Kernel]:
    """Return all installed kernels by name."""
    return {
        name: Kernel(name=name, language=str(spec.language or ""), argv=tuple(map(str, spec.argv or ())))
        for name, spec in installed_specs().items()
    }


def choose(notebook: Notebook, wanted: str | None, kernels: Mapping[str, Kernel] | None = None) -> Choice:
    """Return the kernel for a notebook: the one `wanted`, else the notebook's own, else one of the same language.

    Without any word about its language a notebook is taken to be Python.
    """
    kernels = installed() if kernels is None else kernels
    name = wanted or notebook.kernel
    if name is not None and name.lower() in kernels:
        return _checked(kernels[name.lower()])
    if wanted is None:
        language = (notebook.language or "python").lower()
        same = [kernel for kernel in kernels.values() if kernel.language.lower() == language]
        if same:
            kernel = next((each for each in same if each.is_this_python), same[0])
            asks = f'asks for the kernel "{name}", which is not installed' if name else "names no kernel"
            note = f'the notebook "{notebook.path.name}" {asks}; "{kernel.name}" of the same language is used'
            return _checked(kernel, note)
    known = ", ".join(kernels) or "none; `pip install ipykernel` brings one for Python"
    asked = name or f"of the language {notebook.language}"
    where = "/kernel" if wanted else "/notebook"
    mistake = Mistake(
        f'there is no kernel "{asked}"',
        where,
        expected=f"an installed kernel: {known}",
        nearest=nearest(asked, kernels),
    )
    return Choice(mistake=mistake)


def kernel_can_import(kernel_name: str) -> str | None:
    """Return None when notebooks on that kernel can import this package, else the line to type for it.

    Kernels of other languages have nothing to import and are passed over. Starts the kernel's Python once for each
    version of it; for the Python of this process nothing is started.
    """
    kernel = installed().get(kernel_name.lower())
    if kernel is None or kernel.language.lower() != "python" or kernel.is_this_python:
        return None
    program = kernel.program
    if program is None:
        return None
    return _can_import(program, Path(program).stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _can_import(program: str, changed: int) -> str | None:  # noqa: ARG001  # part of the cache's key
    """Ask a Python; the time of its last change is there to ask again after an upgrade."""
    try:
        # not in the working directory, where a checkout could be found that the notebook does not find
        subprocess.run(
            [program, "-c", "import orchestrator_nb.context"],
            check=True, capture_output=True, timeout=PROBE_SECONDS, stdin=subprocess.DEVNULL, cwd=os.path.abspath(os.sep),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return f"{program} -m pip install orchestrator-nb"
    return None


def _checked(kernel: Kernel, note: str | None = None) -> Choice:
    if kernel.program is None:
        program = kernel.argv[0] if kernel.argv else "no program"
        message = f'the kernel "{kernel.name}" cannot be started: its program is not there'
        expected = "a program that can be run; install the kernel again"
        return Choice(mistake=Mistake(message, "/kernel", found=program, expected=expected))
    return Choice(kernel=kernel, note=note)


def _program(name: str) -> str | None:
    """Return what Jupyter would start for the first word of a kernelspec."""
    return sys.executable if _is_this_python(name) else shutil.which(Path(name).expanduser())


def _is_this_python(name: str) -> bool:
    """Whether Jupyter takes this first word of a kernelspec for the Python that it runs on itself."""
    major, minor = sys.version_info[:2]
    return name in ("python", f"python{major}", f"python{major}.{minor}")
