"""What an executor is handed of a definition: whether there is anything to heed, and for how long it may take."""

from __future__ import annotations

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.commands.callable import CallableCommand
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.engine.outline import outline
from orchestrator_nb.orchestrator.works import Works
from orchestrator_nb.plan.plan import make_plan
from orchestrator_nb.ports import BESIDES
from orchestrator_nb.state.run_state import fold

SAID = {
    "context": {"model": "string"},
    "cwd": ".",
    "environment": {"A": "1"},
    "gates": [{"gate": "targets"}],
    "isolation": "thread",
    "outputs": {"rows": "integer"},
    "reads": ["data/*.csv"],
    "targets": {"seconds": 3},
    "timeout": 7,
    "writes": ["out.csv"],
}
"""Every field that is heeded besides what a command runs, except for the inner workflow, which is not run here."""


def step():
    return 1


@pytest.fixture
def work_of(tmp_path):
    """Return a function that gives the work of the first attempt of a command with these fields."""

    def work_of(workflow=None, **fields):
        command = {"call": "session:step", **fields}
        loaded = read_definition({"workflow": "w", "commands": {"step": command}, **(workflow or {})}, folder=tmp_path)
        plan = make_plan(
            loaded.definition, folder=tmp_path, commands={"call": CallableCommand({"step": step})}, parameters={},
            place=loaded.placed,
        )  # fmt: skip
        started = e.AttemptStarted(at=2.0, command="step", attempt=1)
        begun = e.RunStarted(at=0.0, run="r", workflow="w", settings={"context": {"model": "tree", "other": 1}})
        state = fold([begun, outline(plan, slots=1).planned(1.0), started])
        return Works(plan, tmp_path / "run").make("step", state)

    return work_of


def test_work_is_plain_where_its_definition_says_nothing_besides(work_of):
    """Parameters, retries, a priority: nothing that whoever runs the command has to heed."""
    assert work_of(retries=3, priority=2, description="it steps", tags=["a"]).plain


@pytest.mark.parametrize("name", sorted(SAID))
def test_work_is_not_plain_where_anything_has_to_be_heeded(work_of, name):
    """Each field for which the executor has to do something is found."""
    assert not work_of(**{name: SAID[name]}).plain


def test_all_that_is_heeded_is_a_field_of_a_command():
    """No name is written otherwise than in the definition, where it would never be found."""
    assert {*SAID, "workflow"} == BESIDES
    assert CommandDefinition.model_fields.keys() >= BESIDES


@pytest.mark.parametrize(
    ("of_workflow", "own", "expected"),
    [({}, {}, 3600.0), ({"timeout": 5}, {}, 5.0), ({"timeout": 5}, {"timeout": 7}, 7.0),
     ({"timeout": 5}, {"timeout": "none"}, None), ({"timeout": "none"}, {}, None)],
)  # fmt: skip
def test_the_timeout_is_the_commands_own_or_that_of_the_workflow(work_of, of_workflow, own, expected):
    """What the command says comes first; `none` is no limit."""
    assert work_of(of_workflow, **own).timeout == expected


def test_of_the_shared_state_it_has_what_it_declares(work_of):
    """All of it where it declares nothing."""
    assert work_of().shared == {"model": "tree", "other": 1}
    assert work_of(context={"model": "string"}).shared == {"model": "tree"}
