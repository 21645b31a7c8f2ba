"""Kernelspecs that are read once, and again as soon as anything about them has changed."""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest

from orchestrator_nb.kernels.specs import installed_specs


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory in which Jupyter looks for kernelspecs, with one of them."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    write(tmp_path, "mine", "python")
    return tmp_path


def write(place, name, language):
    folder = place / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    spec = {"argv": [sys.executable, "-m", "none"], "display_name": name, "language": language}
    (folder / "kernel.json").write_text(json.dumps(spec))


def test_they_are_read_once(place):
    """Where nothing has changed the very same are returned."""
    assert installed_specs()["mine"].language == "python"
    assert installed_specs()["mine"] is installed_specs()["mine"]


def test_what_changes_is_seen_at_once(place, tmp_path_factory, monkeypatch):
    """One that comes, is edited or goes, and another place to look in."""
    before = installed_specs()["mine"]
    write(place, "other", "julia")
    assert installed_specs()["other"].language == "julia"
    path = place / "kernels" / "mine" / "kernel.json"
    was = path.stat().st_mtime_ns
    write(place, "mine", "ruby")
    os.utime(path, ns=(was + 1, was + 1))
    assert installed_specs()["mine"].language == "ruby"
    assert before.language == "python"
    shutil.rmtree(place / "kernels" / "other")
    assert "other" not in installed_specs()
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path_factory.mktemp("empty")))
    assert "mine" not in installed_specs()
