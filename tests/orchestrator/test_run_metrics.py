"""What a run cost, as it shows itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from orchestrator_nb import Workflow, context
from orchestrator_nb.orchestrator.display.run_metrics import LONGEST_PATH, RunMetrics


@pytest.fixture
def found(project):
    """The figures of a run of two commands, one of which failed."""
    flow = Workflow("w", slots=1)

    @flow.command
    def load():
        context.metric("rows", 3)
        context.metric("share", 0.123456)

    @flow.command(after="load")
    def broken():
        raise ValueError("no <b>")

    return flow.start(check=False).metrics()


def test_the_figures_are_a_mapping_that_is_read_as_sentences_and_a_table(found):
    """Whoever looks sees words, whoever goes on with it has the plain figures."""
    assert found["attempts"] == 2
    lines = str(found).splitlines()
    assert lines[0].startswith(f"{found['run']}: failed, ")
    assert "2 attempts, 0 retries" in lines[0]
    assert "slots used: " in lines[1]
    assert "load → broken" in lines[2]
    columns = lines[3].split()
    assert (columns[:5], columns[-1]) == (["command", "state", "attempts", "time", "waited"], "recorded")
    assert "kernel" not in columns
    assert lines[4].startswith("load ")
    assert lines[4].endswith("rows 3, share 0.1235")
    assert lines[5].split()[:2] == ["broken", "failed"]
    assert repr(found) == str(found)
    assert json.loads(json.dumps(found)) == dict(found)


def test_the_card_has_the_same(found):
    """A notebook shows the sentences and the table, columns in which there is nothing left out."""
    html = found._repr_html_()
    for text in (
        "2 attempts",
        "slots used",
        "critical path",
        "<td>load</td>",
        "recorded",
        "rows 3",
        'data-state="failed"',
    ):
        assert text in html
    assert ">kernel<" not in html


def test_of_a_long_way_both_ends_are_named():
    """A critical path of hundreds of commands is one line."""
    path = [f"c{number}" for number in range(300)]
    figures = {
        "run": "r", "state": "completed", "seconds": 1.0, "busy": 1.0, "parallelism": 1.0, "attempts": 1, "retries": 1,
        "efficiency": None, "overhead": 0.5, "wait": 0.0, "waste": 0.0, "critical_path": path,
        "critical_path_seconds": 1.0, "commands": {},
    }  # fmt: skip
    first, second, third = str(RunMetrics(figures)).splitlines()
    assert first.endswith("1 attempt, 1 retry")
    assert "slots used: nothing to say, coordination: 50%" in second
    assert third.endswith("c5 → 288 more → c294 → c295 → c296 → c297 → c298 → c299")
    assert third.count("→") == LONGEST_PATH


def test_the_command_line_prints_the_same(found):
    """In a terminal it is the same text, and plain JSON where that is asked for."""
    code = "import sys; from orchestrator_nb.cli.main import main; sys.argv[0] = 'orchestrator-nb'; main()"
    shown, plain = (
        subprocess.run(
            [sys.executable, "-c", code, "metrics", *more], capture_output=True, text=True, check=True
        ).stdout
        for more in ([], ["--json"])
    )
    assert shown.rstrip("\n") == str(found)
    assert json.loads(plain) == dict(found)
