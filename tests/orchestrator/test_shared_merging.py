"""Shared values that own functions merge: called once for each change, recorded, and named where they fail."""

from __future__ import annotations

import threading
from pathlib import Path

import pandas as pd
import pytest

from orchestrator_nb import RunFailed, Workflow, attach, context
from orchestrator_nb import events as e
from orchestrator_nb.errors import DefinitionError, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.state.run_state import fold

MERGES = """\
from pathlib import Path


def both(before, given):
    with open("called", "a") as file:
        file.write(f"{before} {given}\\n")
    return {**before, **given, "merges": before.get("merges", 0) + 1}


def breaks(before, given):
    raise ValueError(f"{given} is not for me")


def odd(before, given):
    return {given, before}


def waits(before, given):
    with open("merging", "a") as file:
        file.write("now\\n")
    import time
    while not Path("go").exists():
        time.sleep(0.02)
    return [before, given]
"""


@pytest.fixture
def merges(project):
    """The folder of a definition with a module of functions that merge."""
    (project / "merges.py").write_text(MERGES)
    return project


def sharing(merge, values, **options):
    """Return a workflow whose commands begin together and each share one of these values under k."""
    together = threading.Barrier(len(values), timeout=20)
    flow = Workflow("w", merge={"k": merge}, slots=len(values), **options)

    def share(value):
        together.wait()
        context.shared["k"] = value
        return True

    for number, value in enumerate(values):
        flow.command(lambda value=value: share(value), id=f"c{number}")
    return flow


def facts(folder, kind):
    return [event for event in read(folder / "journal.jsonl") if isinstance(event, kind)]


def test_each_change_is_merged_with_what_the_one_before_has_made(merges):
    """One call for each change after the first, never two at a time, each recorded with its version."""
    result = sharing("merges:both", [{"a": 1}, {"b": 2}, {"c": 3}]).run()
    assert result.shared["k"] == {"a": 1, "b": 2, "c": 3, "merges": 2}
    assert len(Path("called").read_text().splitlines()) == 2
    state = attach("latest").state
    assert [version.made.get("k", {}).get("merges") for version in state.versions] == [None, 1, 2]
    assert [len(event.values) for event in facts(result.folder, e.SharedMerged)] == [0, 1, 1]


def test_reading_the_journal_again_calls_no_function(merges):
    """The state is that which was recorded, though the function is gone."""
    result = sharing("merges:both", [{"a": 1}, {"b": 2}]).run()
    Path("merges.py").unlink()
    Path("called").unlink()
    assert fold(read(result.folder / "journal.jsonl")).shared["k"] == {"a": 1, "b": 2, "merges": 1}
    assert not Path("called").exists()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("breaks", r'shared\["k"\] is merged by merges:breaks, which raised ValueError: .* is not for me'),
        ("odd", r'shared\["k"\] is merged by merges:odd, which returned what cannot be kept: .*set'),
    ],
)
def test_a_merge_that_fails_fails_its_command(merges, function, said):
    """The command, the key and the function are named; what was there before stays."""
    with pytest.raises(RunFailed, match=said) as caught:
        sharing(f"merges:{function}", [1, 2]).run()
    result = caught.value.result
    ((name, failure),) = result.errors.items()
    assert (failure.kind, failure.stage, failure.transient) == ("conflict", "merging the shared state", False)
    other = {"c0": 2, "c1": 1}[name]
    assert result.shared["k"] == other
    assert result.commands[name].error.kind == "state_synchronization_failure"


def test_tables_are_merged_and_kept_in_files(merges):
    """The function gets whole tables, and what it returns is a table for whoever asks."""
    frames = [pd.DataFrame({"x": [number]}) for number in range(3)]
    result = sharing(lambda before, given: pd.concat([before, given], ignore_index=True), frames).run()
    assert sorted(result.shared["k"]["x"]) == [0, 1, 2]
    assert {version.changes["k"]["$stored"]["form"] for version in attach("latest").state.versions} == {"parquet"}


def test_a_function_that_cannot_be_used_is_named_before_the_run(merges):
    """It is missing, is no function, or does not take two values; code in data is never run."""
    for named, said in (
        ("merges:gone", 'has no "gone"'),
        ("merges:Path.cwd", "does not take two values"),
        ("nowhere:f", 'no module "nowhere"'),
    ):
        with pytest.raises(DefinitionError, match=said):
            sharing(named, [1]).plan()
    with pytest.raises(DefinitionError, match="merge"):
        sharing("lambda a, b: a", [1]).plan()


def test_a_definition_names_a_function_in_either_way(merges):
    """As a mapping or as its address; it is written as the address and reads back as the same."""
    for spelled in ("merges:both", {"function": "merges:both"}):
        flow = Workflow("w", merge={"k": spelled})
        flow.shell(["true"], id="a")
        assert flow.definition.merge == {"k": "merges:both"}
        assert flow.to_dict()["merge"] == {"k": "merges:both"}


def test_a_merge_is_not_reused_and_an_earlier_change_is_merged_when_it_is_taken(merges):
    """With `reuse` the command runs and says why; a change that is taken over from another run is merged first."""
    flow = Workflow("w", merge={"k": "merges:both"}, context={"k": {"from": 0}})

    def one():
        context.shared["k"] = {"a": 1}
        return 1

    flow.command(one)
    flow.command(lambda one: context.shared["k"]["merges"], id="two", after="one")
    assert flow.run().outputs["two"] == 1
    again = flow.start(reuse=True, wait=True)
    declined = facts(again.folder, e.ReuseDeclined)
    assert 'shared["k"] is merged by a function' in declined[0].reason
    part = flow.run(only="two")
    assert part.outputs["two"] == 1
    assert facts(part.folder, e.CommandReused)[0].merged == {"k": {"from": 0, "a": 1, "merges": 1}}


def test_undoing_what_a_function_has_mixed_in_is_refused_with_what_to_undo_too(merges):
    """Going back to before both, or undoing both, gives what was there then."""
    flow = Workflow("w", merge={"k": "merges:both"}, context={"k": {}})
    for name, after in (("a", ()), ("b", "a")):
        flow.command(lambda name=name: context.shared.update({"k": {name: 1}}), id=name, after=after)
    run = flow.start(wait=True)
    with pytest.raises(UsageError, match='undo "b" as well'):
        run.rollback(undo=["a"], dry_run=True)
    run.rollback(undo=["b"])
    assert run.state.shared["k"] == {"a": 1, "merges": 1}


def test_a_run_that_was_killed_while_it_merged_merges_alone_again(merges, until):
    """The command that had returned does not run a second time."""
    Path("flow.yaml").write_text(
        "workflow: w\ncontext: {k: 0}\nmerge: {k: {function: 'merges:waits'}}\ncommands:\n  one: {call: 'steps:one'}\n"
    )
    Path("steps.py").write_text(
        "from orchestrator_nb import context\n\n\ndef one():\n    open('ran', 'a').write('x')\n"
        "    context.shared['k'] = 1\n"
    )
    import os
    import subprocess
    import sys

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    code = "from orchestrator_nb import Workflow; Workflow.load('flow.yaml').run()"
    owner = subprocess.Popen([sys.executable, "-c", code], env=environment)
    until(Path("merging").exists)
    owner.kill()
    owner.wait()
    Path("go").touch()
    Workflow.load("flow.yaml").resume()
    assert attach("latest").result.shared["k"] == [0, 1]
    assert (Path("ran").read_text(), len(Path("merging").read_text().splitlines())) == ("x", 2)


def test_stopping_does_not_wait_for_a_merge(merges, until):
    """The attempt is let go of, and the run ends as stopped."""
    flow = Workflow("w", merge={"k": "merges:waits"}, context={"k": 0})
    flow.command(lambda: context.shared.update(k=1), id="one")
    run = flow.start(wait=False)
    until(Path("merging").exists)
    run.stop("not today", grace=0.0)
    assert run.wait(timeout=30, check=False).state == "stopped"
    Path("go").touch()
