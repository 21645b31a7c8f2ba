"""What the Tab key offers behind the magic."""

from __future__ import annotations

import subprocess
import sys

import pytest
from IPython.core.completer import provisionalcompleter

from orchestrator_nb import Workflow
from orchestrator_nb.jupyter.completion import complete
from orchestrator_nb.orchestrator.verbs import VERBS


@pytest.fixture
def names(project):
    """A session with a workflow that was run, in a folder with a definition."""
    flow = Workflow("sales", parameters={"day": "2026-01-01"})
    flow.command(lambda day: day, id="load")
    flow.run()
    (project / "sales.yaml").write_text("workflow: sales\ncommands: {a: {call: 'steps:a'}}\n")
    (project / "notes.txt").write_text("")
    (project / "notebooks").mkdir()
    return {"sales": flow, "other": 3}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%workflow sta", ["status"]),
        ("found = %workflow pla", ["plan"]),
        ("%workflow run ", ["sales", "notebooks/", "sales.yaml"]),
        ("%workflow run sales --re", ["--reuse"]),
        ("%workflow run sales -p ", ["day"]),
        ("%workflow why latest ", ["load"]),
        ("%workflow logs latest l", ["load"]),
        ("%workflow status lat", ["latest"]),
        ("%workflow stop latest --gr", ["--grace"]),
        ("%%workflow sales --r", ["--run", "--reuse"]),
        ("%workflow why l", ["load", "latest"]),
        ("%workflow why load ", ["--store", "--to"]),
        ("%workflow why nothing lo", []),
        ("%workflow run sales --only ", ["load"]),
        ("%workflow run sales --overlap ", ["refuse", "wait", "skip", "allow"]),
        ("%workflow run sales --slots ", []),
        ("%workflow resume --from ", ["load"]),
        ("%workflow rollback --to lo", ["load"]),
        ("%workflow report --kind s", ["summary"]),
        ("%workflow dashboard q", ["quality"]),
        ("%workflow trends b", ["busy"]),
        ("%workflow history --workflow ", ["sales"]),
        ("%workflow rate lat", ["latest"]),
        ("%time workflow sta", None),
        ("workflow sta", None),
    ],
)
def test_what_fits_the_place_is_offered(names, line, offered):
    """Verbs, options, runs, commands, workflows, parameters and files, each where it may stand."""
    assert complete(line, names) == offered


def test_all_verbs_and_runs_are_offered(names):
    """At the beginning every verb; behind a verb about runs the runs of the store, the latest first."""
    assert complete("%workflow ", names) == list(VERBS)
    runs = complete("%workflow status ", names)
    assert runs is not None
    assert runs[0] == "latest"
    assert runs[1].startswith("sales-")


def test_the_completer_of_the_shell_offers_nothing_else(shell):
    """Neither Python's keywords nor files are mixed in."""
    shell.Completer.use_jedi = False
    text = "1 + 1\n%workflow resu"
    with provisionalcompleter():
        assert list(shell.Completer.completions("%workflow reso", len("%workflow reso"))) == []
        found = list(shell.Completer.completions(text, len(text)))
    assert [item.text for item in found] == ["resume"]
    assert found[0].start == len("1 + 1\n%workflow ")


def test_what_is_offered_is_what_there_is():
    """The names that the Tab key knows without importing what makes reports and dashboards are all of them."""
    from orchestrator_nb.analytics.dashboards import DASHBOARDS
    from orchestrator_nb.analytics.reports import KINDS
    from orchestrator_nb.jupyter import arguments

    assert tuple(KINDS) == arguments.REPORTS
    assert tuple(DASHBOARDS) == arguments.DASHBOARDS


def test_the_tab_key_waits_for_no_import():
    """What is offered behind an option or a verb with few choices is there at once: nothing is imported for it."""
    code = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "orchestrator_nb")
from orchestrator_nb.jupyter.completion import complete
before = set(sys.modules)
assert complete("%workflow report --kind s", {}) == ["summary"]
assert complete("%workflow dashboard q", {}) == ["quality"]
assert set(sys.modules) == before, set(sys.modules) - before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
