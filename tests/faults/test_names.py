"""Names whose bytes are no UTF-8, as other systems leave them: folders, files and texts; nothing of a run fails for them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from orchestrator_nb import attach
from orchestrator_nb.cli.main import run_command_line
from orchestrator_nb.orchestrator.store.audit import audit_run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="file systems that take any bytes for a name")

STEPS = """\
from pathlib import Path

from orchestrator_nb import context


def a():
    context.progress(0.5, "caf\\udce9")
    Path("caf\\udce9.txt").write_text("1")
    context.artifact("caf\\udce9.txt")
    return 1


def b():
    if not Path("go").exists():
        raise ValueError("caf\\udce9")
    return 2
"""


def test_a_project_in_a_folder_whose_name_is_no_utf_8(tmp_path, monkeypatch, capfd):
    """It is run, told about, resumed and audited like any other, its definition's name included."""
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ORCHESTRATOR_NB_STORE", os.fspath(folder / "store"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("names_steps.py").write_text(STEPS)
    Path("fl\udcf6w.yaml").write_text(
        "workflow: w\ncommands:\n  a: {call: 'names_steps:a'}\n  b: {call: 'names_steps:b', after: [a], retries: 0}\n"
    )
    assert run_command_line(["run", "fl\udcf6w.yaml", "--progress", "none"]) == 1
    out, err = capfd.readouterr()
    assert err == ""
    assert "ValueError: caf\\udce9" in out
    run = attach("latest")
    assert (run.folder / "summary.md").read_text(encoding="utf-8").count("caf\\udce9") >= 1
    Path("go").touch()
    for verb in (["resume", "latest", "--progress", "none"], ["status"], ["audit"], ["history"], ["report"]):
        assert run_command_line(verb) == 0, capfd.readouterr()
        out, err = capfd.readouterr()
        assert "without its" not in out + err
    assert run_command_line(["run", "fl\udcf6w.yaml", "--reuse", "--json", "--progress", "none"]) == 0
    assert json.loads(capfd.readouterr().out)["outputs"] == {"a": 1, "b": 2}
    assert audit_run(attach("latest").folder) == []
