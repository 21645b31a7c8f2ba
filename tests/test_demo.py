"""The demo as a newcomer runs it: from the command line, killed in its middle, and resumed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator_nb import attach

COMMAND = [sys.executable, "-c", "from orchestrator_nb.cli.main import main; main()"]
# The shell command of the demo is found as `python`, as it is in an activated environment.
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.kernel
def test_the_demo_is_killed_in_its_middle_and_resumed(project):
    """After kill -9 the printed command goes on: nothing that succeeded runs again, and the report is whole."""
    environment = {**ENVIRONMENT, "ORCHESTRATOR_NB_STORE": str(project.parent / "store")}
    out = project / "out.txt"
    with out.open("w", encoding="utf-8") as file:
        process = subprocess.Popen([*COMMAND, "demo"], stdout=file, stderr=file, env=environment)
        end = time.monotonic() + 120
        while "gentoo       started" not in out.read_text(encoding="utf-8"):
            assert process.poll() is None, out.read_text(encoding="utf-8")
            assert time.monotonic() < end
            time.sleep(0.05)
        process.kill()
        process.wait(30)

    text = out.read_text(encoding="utf-8")
    before = {name: record.attempt for name, record in attach().state.commands.items() if record.state == "succeeded"}
    assert {"verify", "clean"} <= before.keys()
    assert not (project / "orchestrator-demo" / "report.html").exists()

    found = re.search(r"orchestrator-nb (resume \S+)", text)
    assert found, text
    resumed = subprocess.run(
        [*COMMAND, *found[1].split(), "--json", "--progress", "none"],
        capture_output=True, text=True, timeout=240, env=environment,
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    result = json.loads(resumed.stdout)
    assert {name: result["commands"][name]["attempts"] for name in before} == before
    assert {command["state"] for command in result["commands"].values()} == {"succeeded"}

    compared = attach().result.outputs["compare"].set_index("species")
    assert compared["birds"].to_dict() == {"Adelie": 146, "Chinstrap": 68, "Gentoo": 119}
    assert (compared["rmse_own_model"] < compared["rmse_one_for_all"]).all()
    assert "<svg" in (project / "orchestrator-demo" / "report.html").read_text(encoding="utf-8")
    notebooks = [Path(path) for path in result["notebooks"].values()]
    assert len(notebooks) == 7
    assert all(path.is_file() for path in notebooks)
