"""Saving the state of a run, and going back to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator_nb import Workflow, attach
from orchestrator_nb import events as e
from orchestrator_nb.errors import RunRefused, UsageError
from orchestrator_nb.journal.file import read


def flow_of(ran):
    """Return a workflow of three commands that note that they ran."""
    flow = Workflow("w")
    flow.command(lambda: ran.append("a") or 1, id="a")
    flow.command(lambda a: ran.append("b") or a + 1, id="b")
    flow.command(lambda b: ran.append("c") or b + 1, id="c")
    return flow


def test_what_came_after_the_saved_state_runs_again(project):
    """A completed run is put back to where its first command had succeeded; only the others run again."""
    ran: list[str] = []
    flow = flow_of(ran)
    saved = []

    def save(events, state):
        if any(isinstance(event, e.CommandSucceeded) and event.command == "a" for event in events):
            saved.append(run_of().save("state.json"))

    def run_of():
        return attach("latest")

    flow.start(observers=(save,))
    assert json.loads(saved[0].read_text())["state"]["commands"]["a"]["state"] == "succeeded"
    run = flow.restore("state.json")
    assert run.state.run.state == "paused"
    assert [run.state.commands[name].state for name in "abc"] == ["succeeded", "pending", "pending"]
    run.resume()
    assert run.wait(20).outputs["c"] == 3
    assert ran == ["a", "b", "c", "b", "c"]
    reopened = [event.command for event in read(run.folder / "journal.jsonl") if isinstance(event, e.CommandReopened)]
    assert reopened == ["b", "c"]


def test_the_latest_state_is_restored_without_running_anything_again(project):
    """A state that is the present one reopens nothing, and the run completes at once."""
    ran: list[str] = []
    run = flow_of(ran).start()
    run.save("state.json")
    assert run.restore("state.json") == []
    run.resume()
    assert run.wait(20).outputs["c"] == 3
    assert ran == ["a", "b", "c"]


def test_a_state_that_is_not_this_runs_past_is_refused(project):
    """Of another run, changed by hand, of another journal, or no state at all: said, and nothing is written."""
    flow = flow_of([])
    first, second = flow.start(), flow.start()
    first.save("first.json")
    with pytest.raises(UsageError, match=f'a state of "{first.id}", not of "{second.id}"'):
        second.restore("first.json")
    document = json.loads(Path("first.json").read_text())
    size = (first.folder / "journal.jsonl").stat().st_size
    with pytest.raises(UsageError, match="not a beginning of"):
        first.restore({**document, "position": {**document["position"], "hash": "0" * 32}})
    changed = json.loads(json.dumps(document))
    changed["state"]["commands"]["b"]["state"] = "failed"
    with pytest.raises(UsageError, match="not what its journal said"):
        first.restore(changed)
    Path("none.json").write_text("[]")
    with pytest.raises(UsageError, match="no saved state"):
        first.restore("none.json")
    with pytest.raises(UsageError, match="cannot be read"):
        first.restore("nowhere.json")
    with pytest.raises(UsageError, match="incomplete"):
        first.restore({"run": first.id})
    assert (first.folder / "journal.jsonl").stat().st_size == size


def test_a_run_that_somebody_owns_is_saved_and_not_restored(owner):
    """Looking is always possible; going back needs the run for itself."""
    process, run = owner()
    run.save("state.json")
    with pytest.raises(RunRefused, match=f"process {process.pid}"):
        run.restore("state.json")
    process.kill()
    process.wait(30)
    run.restore("state.json")
    assert run.state.commands["slow"].state == "pending"
    Path("go").touch()
    run.resume()
    assert run.wait(30).outputs["last"] == 3
