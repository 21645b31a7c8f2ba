"""The verbs about what is kept, typed in this process."""

from __future__ import annotations

import json

from orchestrator_nb import Workflow
from orchestrator_nb.cli.main import run_command_line


def test_history_is_read_from_the_journals_where_the_index_is_of_no_use(store, capsys):
    """The rows are the same, and what is said about it goes to stderr, so that --json stays JSON."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    flow.run()
    capsys.readouterr()
    assert run_command_line(["history", "--json"]) == 0
    with_index = capsys.readouterr()
    assert with_index.err == ""
    (store / "history.db").unlink()
    (store / "history.db").mkdir()
    assert run_command_line(["history", "--json"]) == 0
    without = capsys.readouterr()
    assert json.loads(without.out) == json.loads(with_index.out)
    assert json.loads(without.out)["runs"][0]["succeeded"] == 1
    assert "history.db" in without.err
    assert "read from the journals" in without.err


def test_history_of_an_empty_store(store, capsys):
    """It says so, and writes nothing."""
    assert run_command_line(["history"]) == 0
    assert capsys.readouterr().out == f'there are no runs in "{store}"\n'
    assert not store.exists()
