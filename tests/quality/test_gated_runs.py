"""Gates in real runs: expressions, functions, baselines, warnings, requirements, and resumed runs."""

from __future__ import annotations

import pandas as pd
import pytest

from orchestrator_nb import RunFailed, Workflow, attach, context
from orchestrator_nb.errors import DefinitionError
from orchestrator_nb.journal.file import read


def kinds(result):
    return [type(event).__name__ for event in read(result.folder / "journal.jsonl")]


def test_a_gate_looks_at_results_records_metrics_and_tables(project):
    """By their names; of a table there are its rows and columns, of what came before whatever has a name."""
    flow = Workflow("w", parameters={"least": 2})

    @flow.command(gates=["rows == 3", "len(columns) == 1", "missing == 0", "parameters.least < rows", "note == 'ok'"])
    def clean():
        context.metric("missing", 0)
        context.record("note", "ok")
        return pd.DataFrame({"x": [1, 2, 3]})

    flow.command(lambda clean: {"rmse": 2.5}, id="model", after="clean", gates=["rmse < 3.5", "clean.rows > 2"])
    result = flow.run()
    assert {gate.verdict for record in result.commands.values() for gate in record.gates.values()} == {"passed"}
    assert result.commands["model"].gates["rmse < 3.5"].value == 2.5
    assert result.state == "completed"
    assert not result.deviations


def test_a_bad_gate_fails_its_command_and_says_what_was_found(project):
    """It is not tried again, what follows does not run, and the message has the value."""
    flow = Workflow("w")
    flow.command(lambda: {"rmse": 4.5}, id="model", gates=["rmse < 3.5"], retries=2)
    flow.command(lambda model: 1, id="after", after="model")
    with pytest.raises(RunFailed, match=r'the gate "rmse < 3\.5" failed: rmse is 4\.5') as caught:
        flow.run()
    result = caught.value.result
    assert (result.errors["model"].kind, result.commands["model"].attempt) == ("gate", 1)
    assert result.commands["after"].state == "upstream_failed"


def test_a_gate_that_cannot_be_worked_out_is_said_as_such(project):
    """An error of the gate, and not a verdict about the result."""
    flow = Workflow("w")
    flow.command(lambda: {"rmse": 4.5}, id="model", gates=["rsme < 3.5"])
    with pytest.raises(RunFailed, match=r"could not be checked: .*there is no \"rsme\"; there is .*\"rmse\""):
        flow.run()


def test_a_gate_that_only_warns_lets_the_run_complete_with_deviations(project):
    """It says so in the result, and the exit code is 3."""
    flow = Workflow("w")
    flow.command(lambda: {"rmse": 4.5}, id="model", gates=[{"gate": "rmse < 3.5", "blocking": False}])
    result = flow.run()
    assert result.deviations == {"model": ('the gate "rmse < 3.5" failed: rmse is 4.5',)}
    assert result.exit_code == 3


def test_a_baseline_is_the_last_run_that_completed(project):
    """Without one it holds; a run that failed is none."""

    def run(rows):
        flow = Workflow("w", parameters={"rows": 0})
        flow.command(lambda rows: {"rows": rows}, id="load", gates=["rows >= 0.9 * baseline.rows"])
        return flow.run(rows=rows, check=False)

    first = run(100)
    assert first.state == "completed"
    assert "there is no baseline yet" in first.commands["load"].gates["rows >= 0.9 * baseline.rows"].message
    worse = run(89)
    assert worse.state == "failed"
    gate = worse.commands["load"].gates["rows >= 0.9 * baseline.rows"]
    assert gate.value == {"rows": 89, "baseline.rows": 100}
    assert run(90).state == "completed"
    assert run(81).state == "completed"  # of 90


def enough(rows, least=10):
    assert rows >= least, f"only {rows} of {least} rows"


def test_a_function_is_a_gate(project):
    """Its arguments are options and results by name; an assertion that does not hold is its verdict."""
    flow = Workflow("w")
    flow.command(lambda: {"rows": 7}, id="load", gates=[{"gate": enough, "options": {"least": 5}, "name": "enough"}])
    assert flow.run().commands["load"].gates["enough"].verdict == "passed"
    flow = Workflow("w")
    flow.command(lambda: {"rows": 7}, id="load", gates=[enough, lambda rows: rows != 7])
    with pytest.raises(RunFailed, match='"function" failed: it gave False') as caught:
        flow.run()
    assert "only 7 of 10 rows" in str(caught.value)


def test_a_function_that_breaks_is_an_error_of_the_gate(project):
    """Whatever it raises besides an assertion."""
    flow = Workflow("w")
    flow.command(lambda: {"rows": 0}, id="load", gates=[{"gate": lambda rows: 1 / rows, "name": "share"}])
    with pytest.raises(RunFailed, match='the gate "share" could not be checked: ZeroDivisionError'):
        flow.run()


def test_what_is_required_of_a_run_decides_its_end(project):
    """Over the results of all commands; an error with the reason, which a resumed run checks anew."""
    flow = Workflow("w", quality_requirements=["model.rmse < 3.5", "load.rows > 1"])
    flow.command(lambda: {"rows": 7}, id="load")
    flow.command(lambda: {"rmse": 4.5}, id="model")
    with pytest.raises(RunFailed, match=r"the gate \"model.rmse < 3.5\" failed: model.rmse is 4.5") as caught:
        flow.run()
    result = caught.value.result
    assert (result.state, result.compliance["complies"]) == ("error", False)
    assert [item["verdict"] for item in result.compliance["requirements"]] == ["failed", "passed"]

    easier = Workflow("w", quality_requirements=["model.rmse < 5", "load.rows > 1"])
    easier.command(lambda: {"rows": 7}, id="load")
    easier.command(lambda: {"rmse": 4.5}, id="model")
    resumed = easier.resume(result.run, accept_changes=True)
    assert (resumed.result.state, resumed.result.compliance["complies"]) == ("completed", True)
    assert attach(result.run).state.commands["model"].attempt == 1


def test_a_run_without_gates_has_none_of_their_facts(project):
    """Neither a fact more nor a step."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    assert kinds(flow.run()) == [
        "RunStarted", "RunPlanned", "AttemptStarted", "AttemptReturned", "CommandSucceeded", "RunCompleting", "RunEnded",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ("rmse <", "cannot be read"),
        ("1 < 2", "looks at nothing"),
        ("steps_of_nobody:check", 'there is no module "steps_of_nobody"'),
        ({"gate": "rmse < 1", "options": {"x": 1}}, "takes no options"),
        ({"gate": enough, "options": {"most": 1}}, 'takes no "most"'),
    ],
)
def test_mistakes_of_gates_are_found_before_anything_runs(project, gate, said):
    """Each with its place in the definition."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a", gates=[gate])
    with pytest.raises(DefinitionError, match=said) as caught:
        flow.plan()
    assert caught.value.mistakes[0].path.startswith("/commands/a/gates/0")


def test_two_gates_of_one_name_are_a_mistake(project):
    """A verdict has to say which it is of."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="a", gates=["result == 1", "result == 1"])
    with pytest.raises(DefinitionError, match='two gates are called "result == 1"'):
        flow.plan()
