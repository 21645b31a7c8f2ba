"""A shell of IPython as a kernel has it, without one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import orchestrator_nb


@pytest.fixture
def shell(project):
    """A shell with the magic loaded, in an empty project."""
    InteractiveShell.clear_instance()
    started = InteractiveShell.instance()
    started.run_line_magic("load_ext", "orchestrator_nb")
    yield started
    started.run_line_magic("unload_ext", "orchestrator_nb")
    InteractiveShell.clear_instance()


@pytest.fixture
def package_path(monkeypatch):
    """Have kernels import this package, wherever it is."""
    found = Path(orchestrator_nb.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(found), *filter(None, [os.environ.get("PYTHONPATH")])]))
