"""The compliance report of a run: what was required, what held, what was relaxed, in three forms and as an object."""

from __future__ import annotations

import json

import pytest

from orchestrator_nb import GateResult, RunFailed, Workflow, attach


def flow_of(rmse=4.5, least=1, **options):
    flow = Workflow("w", quality_requirements=[f"load.rows >= {least}"], **options)
    flow.command(lambda: {"rows": 7}, id="load", gates=[{"gate": "rows > 5", "name": "enough"}])
    warned = {"gate": "rmse < 3.5", "blocking": False}
    flow.command(lambda load: {"rmse": rmse}, id="model", after="load", gates=[warned])
    return flow


def test_the_report_has_every_gate_and_all_that_was_relaxed(project):
    """In the run's folder as JSON, Markdown and HTML, and as an object that says the same."""
    result = flow_of().run()
    told = json.loads((result.folder / "compliance.json").read_text())
    assert told == result.compliance == attach(result.run).compliance().to_plain()
    assert (told["complies"], told["state"]) == (False, "completed")
    assert [(gate["gate"], gate["verdict"]) for gate in told["gates"]] == [
        ("enough", "passed"),
        ("rmse < 3.5", "failed"),
    ]
    assert [gate["verdict"] for gate in told["requirements"]] == ["passed"]
    assert told["relaxed"] == ['the gate "rmse < 3.5" of model only warns: rmse is 4.5']
    for name in ("compliance.md", "compliance.html"):
        text = (result.folder / name).read_text()
        assert "does not comply" in text
        assert "rmse is 4.5" in text


def test_a_run_that_keeps_everything_complies(project):
    """Nothing is relaxed, and every gate passed."""
    report = flow_of(rmse=2.0).start(wait=True).compliance()
    assert report.complies is True
    assert all(gate.passed for gate in report.gates)
    assert "3 of 3 gates passed" in str(report)


def test_a_requirement_that_does_not_hold_is_the_reason_of_the_end(project):
    """The run is in error, says which one, and what was not come to is not checked."""
    with pytest.raises(RunFailed) as caught:
        flow_of(least=100).run()
    result = caught.value.result
    assert (result.state, result.compliance["complies"]) == ("error", False)
    assert "load.rows >= 100" in result.reason
    assert (result.folder / "compliance.md").exists()


def test_the_gates_of_what_did_not_run_are_not_checked(project):
    """They stand in the report all the same."""
    flow = Workflow("w")
    flow.command(lambda: 1 / 0, id="a", gates=["rows > 1"])
    result = flow.run(check=False)
    assert [gate["verdict"] for gate in result.compliance["gates"]] == ["not checked"]


def test_a_reused_result_has_its_verdict_from_where_it_ran(project):
    """Its gates are a part of what makes it up to date."""
    (project / "steps.py").write_text("def load():\n    return {'rows': 7}\n")

    def run(gate):
        flow = Workflow("w")
        flow._add("load", {"call": "steps:load", "gates": [gate]})
        return flow.run(reuse=True)

    first = run("rows > 5")
    again = run("rows > 5")
    assert again.commands["load"].state == "reused"
    assert again.compliance["complies"]
    assert again.compliance["gates"][0]["origin"] == first.run
    assert run("rows > 6").commands["load"].state == "succeeded"


def test_a_run_without_gates_writes_no_report(project):
    """There is nothing to report; whoever asks gets a short one."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    run = flow.start(wait=True)
    assert not list(run.folder.glob("compliance.*"))
    assert run.compliance().complies


def test_a_verdict_is_shown_as_text_and_as_html():
    """What a person reads, with nothing of it taken for markup."""
    result = GateResult(gate="rows > 1", command="load", verdict="failed", message="rows is <b>0</b>")
    assert str(result) == "✗ load: rows > 1 (failed): rows is <b>0</b>"
    assert "&lt;b&gt;0" in result._repr_html_()
    assert result.to_plain()["verdict"] == "failed"
