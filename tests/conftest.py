"""What all tests share: a project of their own to work in, and how Hypothesis looks for counterexamples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The machine may be slow, so no deadlines; in CI a failure has to mean the change, so the same examples every time.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait until something holds, and return what it gave."""

    def wait(holds: Callable[[], Any], seconds: float = 30.0) -> Any:
        end = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < end, "it did not come to hold in time"
            time.sleep(0.01)
        return found

    return wait


class Environment:
    """An environment of Python with a kernel: the packages of this one, and what is put into `packages` before them."""

    def __init__(self, name: str, home: Path, jupyter: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
        self.prefix = str(home)
        self.python = str(home / "bin" / "python")
        place = sysconfig.get_path("purelib", vars={"base": self.prefix, "platbase": self.prefix})
        self.packages = home / os.path.relpath(place, home)
        (self.packages / "others.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        argv = [self.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = jupyter / "kernels" / name
        spec.mkdir(parents=True)
        spec.joinpath("kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": "python"}))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Environment]:
    """Return a function that makes an environment of Python whose kernel has the name that it is given."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return lambda name: Environment(name, tmp_path / f"environment-{name}", tmp_path / "jupyter")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own, named in the environment, so that child processes find it too."""
    folder = tmp_path / "store"
    monkeypatch.setenv("ORCHESTRATOR_NB_STORE", str(folder))
    return folder


@pytest.fixture
def project(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder as the working directory, with a store of its own beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    # What was imported from the folder is gone with it; the next project may have modules of the same names.
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
