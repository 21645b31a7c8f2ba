"""What a run is given besides its parameters: it acts, it is recorded with its defaults, and a resume keeps it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from orchestrator_nb import Workflow, WorkflowOrchestrator, attach, context
from orchestrator_nb import events as e
from orchestrator_nb.errors import DefinitionError, RunFailed, RunRefused
from orchestrator_nb.journal.file import scan
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.earlier import durations as earlier
from orchestrator_nb.orchestrator.store.promises import weaker_promises


def recorded(run, kind):
    events = (event for turn, _ in scan(run.folder / JOURNAL) for event in turn)
    return [event for event in events if isinstance(event, kind)]


def notices(run):
    return [event.text for event in recorded(run, e.NoticeGiven)]


def test_the_context_is_what_commands_find_shared(project):
    """What the run is given is added to the definition's, key by key; commands read it and change it."""
    flow = Workflow("w", context={"tries": 1, "day": "monday"})

    @flow.command
    def first():
        context.shared["tries"] = context.shared["tries"] + 1
        return dict(context.shared)

    run = flow.start(context={"day": "tuesday", "host": "here"})
    assert run.result.outputs["first"] == {"tries": 2, "day": "tuesday", "host": "here"}
    assert run.result.shared == {"tries": 2, "day": "tuesday", "host": "here"}


def test_all_inputs_are_recorded_with_their_defaults(project):
    """The journal says under which settings a run was started, those too that nobody gave."""
    flow = Workflow("w", quality_requirements=["a < 3.5"], monitoring={"interval": 2})
    flow.command(lambda: 1, id="a")
    run = flow.start(quality_requirements=["a > 0", "a < 3.5"], recovery="none")
    assert recorded(run, e.RunStarted)[0].settings == {
        "context": {},
        "quality_requirements": ["a < 3.5", "a > 0"],
        "recovery": {
            "retries": 0,
            "retry_delay": None,
            "learn": True,
            "retry_budget": None,
            "memory_reserve": None,
            "rules": [],
            "escalation": None,
        },
        "optimization": {"history": True, "adaptive": True},
        "monitoring": {"interval": 2.0, "log_size": 10 * 2**20, "resources": True, "audit": False},
        "deadline": None,
    }


def test_mistakes_in_settings_are_told_with_all_others(project):
    """Nothing runs, and every mistake of settings and parameters is there at once."""
    flow = Workflow("w", parameters={"day": 1})
    flow.command(lambda day: day, id="a")
    with pytest.raises(DefinitionError) as caught:
        flow.start(monitoring={"intervl": 1}, recovery={"retries": -1}, deadline="soon", dya=3)
    paths = [mistake.path for mistake in caught.value.mistakes]
    assert [mistake.nearest for mistake in caught.value.mistakes if mistake.path == "/monitoring/intervl"] == [
        "interval"
    ]
    assert {"/monitoring/intervl", "/recovery/retries", "/deadline"} < set(paths)
    assert any("dya" in str(mistake) for mistake in caught.value.mistakes)
    assert not list(project.rglob(JOURNAL))


@pytest.mark.parametrize(("given", "attempts"), [({"retries": 2, "retry_delay": 0.01}, 3), ("none", 1)])
def test_recovery_counts_where_a_command_says_nothing(project, given, attempts):
    """The workflow's retries are those of a command without its own, and of no other."""
    flow = Workflow("w", recovery={"retries": 1, "retry_delay": 0.01})

    def failing():
        raise ConnectionError("no")

    flow.command(failing, id="a", optional=True)
    flow.command(failing, id="b", optional=True, retries=0)
    flow.command(failing, id="c", optional=True, idempotent=False)
    commands = flow.start(recovery=given).result.commands
    assert [commands[name].attempt for name in ("a", "b", "c")] == [attempts, 1, 1]


def test_a_deadline_stops_the_run(project):
    """When it has passed, what runs is ended, the rest is cancelled, and the reason says so."""
    flow = Workflow("w")
    flow.shell([sys.executable, "-c", "import time; time.sleep(600)"], id="long")
    flow.command(lambda: 1, id="after", after="long")
    run = flow.start(deadline=0.5, check=False)
    assert (run.result.state, run.result.reason) == ("stopped", "its deadline of 0.5 s has passed")
    assert run.result.commands["after"].state == "cancelled"


def test_a_resumed_run_has_its_deadline_and_settings_again(project):
    """What was given at the start holds after a resume, whose time begins anew."""
    (project / "steps.py").write_text(
        "import time, pathlib\ndef slow():\n    while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
    )
    (project / "flow.yaml").write_text(
        "workflow: w\ncommands:\n  slow: {call: 'steps:slow', isolation: process}\n  b: {call: 'steps:slow', after: [slow]}\n"
    )
    run = Workflow.load("flow.yaml").start(deadline=0.4, context={"day": "monday"}, check=False)
    assert run.result.state == "stopped"
    again = attach(run.id)
    again.resume()
    again.wait(check=False)
    assert "deadline of 0.4 s" in again.result.reason
    Path("go").touch()
    assert json.loads((run.folder / "definition.json").read_text())["settings"] == {
        "context": {"day": "monday"},
        "deadline": 0.4,
    }


def test_a_start_waits_for_another_run_no_longer_than_its_coordination_timeout(project, store):
    """With `overlap: wait` it gives up when the time is over, and names the run."""
    begun, go = threading.Event(), threading.Event()
    flow = Workflow("w", overlap="wait", coordination_timeout=0.3)
    flow.command(lambda: (begun.set(), go.wait(60), 1)[2], id="a")
    run = flow.start(wait=False, overlap="allow")
    assert begun.wait(30)
    with pytest.raises(RunRefused, match=f'"{run.id}" .* coordination timeout of 0.3 s'):
        flow.start()
    go.set()
    run.wait()


def test_how_much_is_kept_of_a_log_is_a_setting(project):
    """Half of the size is the head of what was printed, half its tail, and between them is how much is missing."""
    flow = Workflow("w", monitoring={"log_size": 4096})

    @flow.command
    def talk():
        print("first")
        print("x\n" * 100_000)
        print("last")

    text = flow.start().result.logs["talk"].read_text()
    assert len(text) < 6000
    assert text.startswith("first\n")
    assert text.rstrip().endswith("last")
    assert "left out" in text


def test_nothing_is_learned_where_that_is_switched_off(project, monkeypatch):
    """Durations of earlier runs order the next one, unless the workflow does not want it."""
    monkeypatch.setattr(earlier, "WORTH", 0.0)
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    flow.start()
    known = [
        recorded(flow.start(optimization=options), e.RunPlanned)[0]
        for options in ({}, {"history": False}, {"adaptive": False})
    ]
    assert [("seconds" in plan.commands["a"], plan.adaptive) for plan in known] == [
        (True, True), (False, True), (True, False),
    ]  # fmt: skip


def test_what_nothing_acts_on_is_named(project):
    """An option without an effect is said in the plan, in the journal and so to everyone who watches."""
    flow = Workflow("w", coordination_timeout=3)
    flow.command(lambda: 1, id="a")
    notes = flow.plan().notes
    assert [note.split(" has ")[0] for note in notes] == ['"coordination_timeout"']
    assert [text for text in notices(flow.start()) if "effect" in text] == list(notes)


def test_a_weaker_promise_is_said_with_the_run(project):
    """Durability `process` and a system that can promise less are named; at full strength nothing is said."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    assert any("power cut" in text for text in notices(flow.start(durability="process")))
    assert not any("power cut" in text for text in notices(flow.start()))
    assert list(weaker_promises("full", platform="linux")) == []
    assert len(list(weaker_promises("process", platform="win32"))) == 2


def test_the_orchestrator_takes_all_six_inputs(project):
    """The definition and the five others are given at once and hold for its runs."""
    flow = {"workflowId": "w", "commands": [{"call": "steps:tell"}]}
    (project / "steps.py").write_text(
        "from orchestrator_nb import context\ndef tell():\n    return context.shared['who']\n"
    )
    orchestrator = WorkflowOrchestrator(
        flow, context={"who": "me"}, quality_requirements=["tell == 'me'"], optimization={"history": False},
        monitoring={"interval": 1}, recovery="none",
    )  # fmt: skip

    async def execute():
        return await orchestrator.execute()

    result = asyncio.run(execute())
    assert result.outputs["tell"] == "me"
    assert recorded(attach(result.run), e.RunStarted)[0].settings["optimization"]["history"] is False


# ── declared outputs ────────────────────────────────────────────────────────────────────────────────────────────


def test_declared_outputs_are_there(project):
    """They may be keys of the result or be recorded by name, as plain values, tables and files."""
    flow = Workflow("w")

    @flow.command(outputs={"rows": "integer", "clean": "table", "plot": "file", "any": "any"})
    def clean():
        Path("plot.svg").write_text("<svg/>")
        context.record("clean", pd.DataFrame({"a": [1]}))
        context.artifact("plot.svg", "plot")
        return {"rows": 3, "any": None}

    assert flow.run().succeeded


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_declared_output_that_is_not_given_fails_the_command(project, isolation):
    """All that is missing or of another type is named, with what there was; nothing is tried again."""
    (project / "steps.py").write_text("def clean():\n    return {'rows': 'three', 'rest': 1}\n")
    flow = Workflow.load({"workflow": "w", "commands": {"clean": {
        "call": "steps:clean", "isolation": isolation, "retries": 2,
        "outputs": {"rows": "integer", "clean": "table", "rest": "number"},
    }}})  # fmt: skip
    with pytest.raises(RunFailed) as caught:
        flow.run()
    failure = caught.value.result.errors["clean"]
    assert failure.kind == "result_refused"
    assert '"rows": found the text "three"; expected' in failure.message
    assert '"clean" is missing' in failure.message
    assert 'it gave "rows", "rest"' in failure.message
    assert caught.value.result.commands["clean"].attempt == 1


# ── compliance ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("required", "optional", "complies"), [((), False, True), (("a.rows > 0",), False, True), ((), True, False)]
)
def test_the_result_says_what_was_required_and_what_became_of_it(project, required, optional, complies):
    """A run complies when all that was required of it holds and nothing deviates."""
    flow = Workflow("w", quality_requirements=required)
    flow.command(lambda: 1 / 0 if optional else {"rows": 1}, id="a", optional=optional)
    result = flow.run()
    assert result.compliance["complies"] is complies
    assert [item["verdict"] for item in result.compliance["requirements"]] == ["passed"] * len(required)
    assert list(result.compliance["deviations"]) == (["a"] if optional else [])
    assert result.to_plain()["compliance"] == result.compliance
