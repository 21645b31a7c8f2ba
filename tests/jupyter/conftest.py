"""A shell of IPython as a kernel has it, without one."""

from __future__ import annotations

import os
import time
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
def until():
    """Wait until something holds."""

    def wait(holds, seconds=30.0):
        end = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < end, "it did not come to hold in time"
            time.sleep(0.01)
        return found

    return wait


@pytest.fixture
def package_path(monkeypatch):
    """Have kernels import this package, wherever it is."""
    found = Path(orchestrator_nb.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(found), *filter(None, [os.environ.get("PYTHONPATH")])]))
