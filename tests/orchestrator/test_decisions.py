"""Decisions of real runs: asked, shown, and answered from wherever, with and without a living owner."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from orchestrator_nb import RunFailed, Workflow, attach
from orchestrator_nb import events as e
from orchestrator_nb.cli.app import app
from orchestrator_nb.engine.replay import replay
from orchestrator_nb.engine.requests import Decide
from orchestrator_nb.errors import RunRefused, UsageError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.owner import Ownership
from orchestrator_nb.orchestrator.control.unattended import record_request
from orchestrator_nb.orchestrator.policies import POLICIES

ASKING = """\
workflow: w
recovery: {escalation: {guided: 10m}}
commands:
  load: {call: 'asked:load', parameters: {size: 9}, retries: 0}
  use: {call: 'asked:use', after: [load]}
  other: {call: 'asked:other'}
"""

STEPS = """\
def load(size):
    if size > 5:
        raise ValueError(f"{size} is too much")
    return size


def use(load):
    return load if isinstance(load, dict) else load * 2


def other():
    return "there"
"""


@pytest.fixture
def asking(project):
    """The file of a workflow whose first command fails with the parameters that it has."""
    (project / "asked.py").write_text(STEPS)
    (project / "asking.yaml").write_text(ASKING)
    return project / "asking.yaml"


def facts(run, kind):
    return [event for event in read(run.folder / "journal.jsonl") if isinstance(event, kind)]


def test_a_run_without_anybody_parks_and_says_what_to_type(asking):
    """Exit code 4, the question, and the two commands; what does not depend on it was done."""
    result = Workflow.load(asking).run(check=False, decide="park")
    assert (result.state, result.exit_code) == ("paused", 4)
    assert result.reason == "parked: decision 1 is pending"
    assert result.outputs["other"] == "there"
    assert result.next_steps == (
        f"to decide: orchestrator-nb decide {result.run} 1 retry|skip|fail",
        f"to go on: orchestrator-nb resume {result.run}",
    )
    run = attach("latest")
    (decision,) = run.decisions()
    assert (decision.number, decision.command, decision.level, decision.is_open) == (1, "load", 2, True)
    assert decision.evidence["message"] == "9 is too much"
    assert "waits for decision 1: retry or skip or fail" in str(run.why("load"))
    assert "retry: try it again" in str(run.status())


def test_the_border_is_loud_about_a_parked_run(asking):
    """A notebook or cron job that runs the workflow learns that it is not done."""
    with pytest.raises(RunFailed, match="orchestrator-nb decide"):
        Workflow.load(asking).run(decide="park")


def test_an_answer_to_a_parked_run_is_recorded_with_its_effect_and_resumed(asking):
    """Nobody drives it: who decides takes the lock, records, leaves; a resume goes on from there."""
    flow = Workflow.load(asking)
    flow.run(check=False, decide="park")
    run = attach("latest")
    run.decide(1, "retry", note="half will do", parameters={"size": 4})
    assert not run.is_running
    (made,) = facts(run, e.DecisionMade)
    assert (made.answer, made.parameters, made.note, made.by_default) == ("retry", {"size": 4}, "half will do", False)
    assert made.by["pid"]
    assert facts(run, e.RetryScheduled)[0].at == made.at
    result = flow.resume(check=False, decide="park").result
    assert (result.state, result.outputs["use"], result.exit_code) == ("completed", 8, 3)
    assert "with size = 4" in result.deviations["load"][0]
    assert facts(run, e.AttemptStarted)[-1].command == "use"
    again = replay(read(run.folder / "journal.jsonl"), policies=POLICIES)
    assert again.same, again.difference


def test_a_result_made_with_other_parameters_is_not_reused(asking):
    """It is not the result of the command as it is written."""
    flow = Workflow.load(asking)
    flow.run(check=False, decide="park")
    attach("latest").decide(1, "retry", parameters={"size": 4})
    flow.resume(decide="park")
    result = flow.run(check=False, decide="park", reuse=True)
    assert result.commands["other"].state == "reused"
    assert result.commands["load"].state == "waiting"


def test_a_living_owner_waits_and_is_answered(asking):
    """The run of this process goes on as soon as the answer is there."""
    run = Workflow.load(asking).start(wait=False, decide="wait")
    open_ = _until_asked(run)
    with pytest.raises(UsageError, match="answers: retry, skip, fail"):
        run.decide(open_.number, "pray")
    run.decide(open_.number, "skip")
    result = run.wait(30)
    assert (result.state, result.commands["use"].state, result.exit_code) == ("completed", "skipped", 3)


def test_the_owner_is_asked_through_its_inbox(asking):
    """A handle that does not own the run has its answer recorded by the one that does."""
    run = Workflow.load(asking).start(wait=False, decide="wait")
    _until_asked(run)
    other = attach(run.id)
    other.escalate("load", "hurry up")
    assert [(decision.number, decision.level) for decision in other.decisions() if decision.is_open] == [(2, 3)]
    other.decide(2, "done", parameters={"rows": 3})
    result = run.wait(30)
    assert result.outputs["load"] == {"rows": 3}
    assert facts(run, e.DecisionRequested)[1].by["pid"]
    assert "attempt 2 was done by hand" in str(run.why("load"))


def test_nobody_decides_past_an_owner(asking):
    """While somebody holds the run, whoever is no owner is refused, and nothing is recorded."""
    Workflow.load(asking).run(check=False, decide="park")
    run = attach("latest")
    ownership = Ownership(run.folder)
    try:
        with pytest.raises(RunRefused):
            record_request(run.folder, Decide(number=1, answer="skip"))
    finally:
        ownership.release()
    assert facts(run, e.DecisionMade) == []


def test_the_command_line_decides(asking):
    """run parks with 4, decisions shows it, decide answers it, resume completes with deviations: 3."""
    cli = CliRunner()
    ran = cli.invoke(app, ["run", str(asking), "--progress", "none", "--decide", "park"])
    assert ran.exit_code == 4, ran.output
    assert "orchestrator-nb decide" in ran.output
    shown = cli.invoke(app, ["decisions", "latest", "--json"])
    (told,) = json.loads(shown.output)
    assert (told["number"], told["options"], told["is_open"]) == (1, ["retry", "skip", "fail"], True)
    assert "level 2, guided recovery" in cli.invoke(app, ["decisions"]).output
    decided = cli.invoke(app, ["decide", "latest", "1", "retry", "-p", "size", "3", "--note", "small"])
    assert decided.exit_code == 0, decided.output
    assert "orchestrator-nb resume" in decided.output
    resumed = cli.invoke(app, ["resume", "--progress", "none", "--json"])
    assert resumed.exit_code == 3, resumed.output
    assert json.loads(resumed.output)["outputs"]["use"] == 6


def test_escalating_from_the_command_line(asking):
    """It shows what is asked; a command that has ended is refused with a sentence."""
    cli = CliRunner()
    cli.invoke(app, ["run", str(asking), "--progress", "none", "--decide", "park"])
    asked = cli.invoke(app, ["escalate", "latest", "load", "--reason", "nobody answers"])
    assert asked.exit_code == 0, asked.output
    assert "decision 2 (level 3, manual intervention)" in asked.output
    with pytest.raises(UsageError, match="has come to its end"):
        attach("latest").escalate("other")


def test_ways_of_deciding_are_named():
    """Another word is a mistake in the call."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    with pytest.raises(UsageError, match="decide is one of wait, now, park"):
        flow.run(decide="later")


def _until_asked(run):
    """Return the first decision that is open, as soon as it is."""
    for event in run.watch():
        if isinstance(event, e.DecisionRequested):
            break
    return next(decision for decision in run.decisions() if decision.is_open)


def test_without_a_word_a_run_that_nobody_watches_parks(asking):
    """There is no terminal and no live notebook here: nothing hangs."""
    assert Workflow.load(asking).run(check=False).exit_code == 4


def test_what_nobody_mends_is_handed_over_with_its_story(asking):
    """At the fourth level the run parks, and two files in its folder say what happened and how to hand it back."""
    asking.write_text(ASKING.replace("guided: 10m", "guided: 10ms, manual: 10ms"))
    result = Workflow.load(asking).run(check=False, decide="wait")
    assert (result.state, result.exit_code) == ("paused", 4)
    document = json.loads((result.folder / "handoff.json").read_text())
    (item,) = document["handed_over"]
    assert (item["command"], item["decision"], item["waits_for_it"]) == ("load", 3, ["use"])
    assert item["failure"]["message"] == "9 is too much"
    assert any("attempt 1 failed" in fact for fact in item["what_was_tried"])
    assert item["how_to_hand_back"]["done"] == f'orchestrator-nb decide {result.run} 3 "done"'
    text = (result.folder / "handoff.md").read_text()
    assert "ValueError: 9 is too much" in text
    assert f"orchestrator-nb resume {result.run}" in text
    run = attach("latest")
    run.decide(3, "done", parameters={"rows": 1})
    assert Workflow.load(asking).resume(check=False, decide="park").result.outputs["use"] == {"rows": 1}


def test_what_is_done_about_failures_can_be_edited_before_a_resume(asking):
    """Fail, edit, resume: other retries, rules and limits count from then on, and the change is told."""
    flow = Workflow.load(asking)
    flow.run(check=False, decide="park")
    attach("latest").decide(1, "retry")
    asking.write_text(
        ASKING.replace("guided: 10m}", "default: fail, guided: 20ms}, rules: [{message: much, transient: false}]")
    )
    result = Workflow.load(asking).resume(check=False, decide="now").result
    assert (result.state, result.commands["load"].error.evidence[-1]) == ("failed", "rule 1 of the definition")
    (changed,) = facts(attach("latest"), e.DefinitionChanged)
    assert '"load" is treated otherwise when it fails now' in changed.changes
    assert result.recommendations["load"][0].startswith("read the traceback")
    assert result.to_plain()["errors"]["load"]["error"] == "command_failure"


def test_what_was_left_out_is_taken_up_by_a_resume(asking):
    """A run that completed without a command goes on with it, and with what needed it, when that is mended."""
    flow = Workflow.load(asking)
    flow.run(check=False, decide="park")
    attach("latest").decide(1, "skip")
    assert Workflow.load(asking).resume(check=False, decide="park").result.exit_code == 3
    asking.write_text(ASKING.replace("size: 9", "size: 2"))
    result = Workflow.load(asking).resume(check=False, decide="park").result
    assert (result.exit_code, result.outputs["use"], result.commands["other"].attempt) == (0, 4, 1)
