"""A plan as its user looks at it, and real runs decided once more."""

from __future__ import annotations

import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb import events as e
from orchestrator_nb.engine.replay import replay, what_if
from orchestrator_nb.errors import DefinitionError
from orchestrator_nb.journal.file import read
from orchestrator_nb.orchestrator.earlier.durations import earlier_seconds
from orchestrator_nb.orchestrator.session import POLICIES

pytestmark = pytest.mark.usefixtures("project")


def sales(**options: object) -> Workflow:
    """Five commands: two ways from load to report, one much longer than the other."""
    flow = Workflow("sales", slots=2, pools={"db": 2}, **options)
    flow.shell(["true"], id="load", duration=5, writes=["raw"])
    flow.shell(["true"], id="clean", reads=["raw"], duration=10, resources={"db": 1})
    flow.shell(["true"], id="model", after="clean", duration=60, resources={"db": 2})
    flow.shell(["true"], id="copy", after="load", duration=30, resources={"db": 1})
    flow.shell(["true"], id="report", after=["model", "copy"], duration=1)
    return flow


def test_a_plan_tells_critical_path_batches_and_predictions() -> None:
    """Without running anything; the prediction is what the very scheduler would do."""
    plan = sales().plan()
    assert plan.critical_path() == ["load", "clean", "model", "report"]
    assert plan.batches() == [["load"], ["clean", "copy"], ["model"], ["report"]]
    assert plan.predicted() == {1: 106.0, 2: 96.0}  # the model waits for the whole pool, of which the copy has a part
    assert plan.simulate(slots=2, durations={"copy": 1.0}).makespan == 76.0


def test_a_plan_says_what_cannot_run_together_and_why() -> None:
    """Waiting, and pools that do not suffice for both."""
    plan = sales().plan()
    assert plan.apart("load", "model") == '"model" waits for "load", through clean'
    assert plan.apart("model", "copy") == 'together they take 3 of "db", and there are 2'
    assert plan.apart("clean", "copy") is None
    (conflict,) = plan.conflicts()
    assert conflict.commands == ("clean", "model", "copy")
    assert conflict.at_once == 2
    flow = Workflow("w")
    flow.shell(["true"], id="a", writes=["out"], exclusive=True)
    flow.shell(["true"], id="b", writes=["out"], exclusive=True)
    assert [(found.kind, found.commands) for found in flow.plan().conflicts()] == [("writers", ("a", "b"))]


def test_a_plan_is_a_listing_a_frame_and_a_picture() -> None:
    """Each tells the same plan."""
    plan = sales().plan()
    listing = repr(plan)
    assert "critical path: load → clean → model → report (76 s)" in listing
    assert "predicted: 1 slot 1 min 46 s, 2 slots 96 s" in listing
    assert 'conflict: "clean", "model" and "copy" take from "db", of which there are 2; 2 at a time' in listing
    frame = plan.to_frame()
    assert list(frame.index) == list(plan.order)
    assert list(frame[frame.critical].index) == plan.critical_path()
    assert frame.loc["clean", "why"] == 'load: reads "raw", which "load" writes'
    picture = ElementTree.fromstring(plan._repr_svg_())
    words = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert set(plan.order) <= set(words)
    edges = [
        path for path in picture.iter("{http://www.w3.org/2000/svg}path") if "edge" in path.get("class", "").split()
    ]
    assert len(edges) == len(plan.edges)
    assert sum("inferred" in path.attrib["class"] for path in edges) == 1


def test_needs_that_can_never_be_met_are_mistakes() -> None:
    """Unknown pools with the nearest one, more than there is, and more slots than this run has."""
    flow = Workflow("w", pools={"db": 2}, slots=4)
    flow.shell(["true"], id="a", resources={"dbx": 1})
    flow.shell(["true"], id="b", resources={"db": 3, "cpu": 5})
    with pytest.raises(DefinitionError) as told:
        flow.plan()
    assert [(mistake.path, mistake.nearest) for mistake in told.value.mistakes] == [
        ("/commands/a/resources/dbx", "db"),
        ("/commands/b/resources/db", None),
        ("/commands/b/resources/cpu", None),
    ]
    wide = Workflow("w", slots=4)
    wide.shell(["true"], id="a", resources={"cpu": 3})
    assert wide.plan().predicted() == {3: 1.0, 4: 1.0}
    with pytest.raises(DefinitionError, match="it takes 3 slots, and there are 2"):
        wide.start(slots=2)
    greedy = Workflow("w")
    greedy.shell(["true"], id="a", resources={"memory": "900TB"})
    with pytest.raises(DefinitionError, match='could never start: it takes 900TB of "memory"'):
        greedy.plan()


def test_resources_hold_in_a_real_run(project: Path) -> None:
    """No two commands that need the whole pool are under way at once."""
    flow = Workflow("w", slots=4, pools={"db": 2})
    for name in ("a", "b", "c"):
        flow.shell(["sleep", "0.1"], id=name, resources={"db": "all"})
    flow.shell(["sleep", "0.1"], id="free")
    run = flow.start()
    running: set[str] = set()
    for event in read(run.folder / "journal.jsonl"):
        if isinstance(event, e.AttemptStarted):
            running.add(event.command)
        elif isinstance(event, e.CommandSucceeded):
            running.discard(event.command)
        assert len(running & {"a", "b", "c"}) <= 1
    assert run.result.succeeded


@pytest.mark.parametrize("slots", [1, 2])
def test_a_real_run_replays_to_the_same_decisions(project: Path, slots: int) -> None:
    """With failures, retries, a resume in between, and whatever order the commands ended in."""
    flow = Workflow("w", slots=slots)
    tries: list[int] = []

    @flow.command(retries=2, retry_delay=0.01)
    def shaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return 1

    @flow.command(retries=0)
    def broken() -> int:
        if len(tries) < 4:
            raise ValueError("no")
        return 2

    @flow.command
    def slow() -> int:
        time.sleep(0.02)
        return 3

    @flow.command(after=[shaky, slow])
    def both(shaky: int, slow: int) -> int:
        return shaky + slow

    @flow.command(after="broken")
    def last(broken: int) -> int:
        return broken

    flow.run(check=False)
    tries.append(1)
    run = flow.resume()
    assert run.result.succeeded
    recorded = list(read(run.folder / "journal.jsonl"))
    again = replay(recorded, policies=POLICIES)
    assert again.same, again.difference
    assert again.decisions > 15
    assert what_if(recorded, policies=POLICIES).state == "failed"  # nobody goes on with it here
    assert what_if(recorded, slots=4, outcomes={"broken": ()}, policies=POLICIES).state == "completed"


def test_durations_are_learned_from_earlier_runs(project: Path) -> None:
    """The median of what returned in the latest runs; it is recorded with the plan of the next one."""
    flow = Workflow("w", slots=1)
    flow.shell(["sleep", "0.2"], id="short")
    flow.shell(["sleep", "0.9"], id="long")
    first = flow.start()
    store = first.folder.parent
    seconds = earlier_seconds(store, "w", ["short", "long", "other"])
    assert 0.2 <= seconds["short"] < 0.9 <= seconds["long"]
    assert flow.plan().seconds == seconds
    second = flow.start()
    planned = next(event for event in read(second.folder / "journal.jsonl") if isinstance(event, e.RunPlanned))
    assert planned.commands["long"]["seconds"] == seconds["long"]
    starts = [event.command for event in read(second.folder / "journal.jsonl") if isinstance(event, e.AttemptStarted)]
    assert starts == ["long", "short"]
    assert earlier_seconds(store, "another", ["short"]) == {}
