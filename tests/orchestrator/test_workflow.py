"""A workflow from Python: built, planned, run, and what passes between its commands."""

from __future__ import annotations

import asyncio
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb import DefinitionError, RunFailed, Workflow, WorkflowOrchestrator, attach, context, register
from orchestrator_nb.errors import UsageError

pytestmark = pytest.mark.usefixtures("project")


def _flow(**options: Any) -> Workflow:
    return Workflow("test", **options)


def test_functions_get_the_results_that_their_arguments_name() -> None:
    """An argument named like a command is its result, one named like a parameter its value."""
    flow = _flow(parameters={"count": 3})

    @flow.command
    def numbers(count: int) -> list[int]:
        return list(range(count))

    @flow.command
    def total(numbers: list[int], extra: int = 10) -> int:
        return sum(numbers) + extra

    result = flow.run(count=5)
    assert dict(result.outputs) == {"numbers": [0, 1, 2, 3, 4], "total": 20}
    assert result.succeeded
    assert result.exit_code == 0
    assert flow.run().outputs["total"] == 13


def test_a_mutated_list_changes_nothing_for_others() -> None:
    """Everyone gets the stored form, never the producer's object."""
    flow = _flow()
    kept: list[list[int]] = []

    @flow.command
    def make() -> list[int]:
        kept.append([1, 2])
        return kept[0]

    @flow.command
    def spoil(make: list[int]) -> None:
        make.append(99)
        kept[0].append(98)

    @flow.command(after=spoil)
    def look(make: list[int]) -> list[int]:
        return make

    assert flow.run().outputs["look"] == [1, 2]


@pytest.mark.parametrize(
    ("value", "named"),
    [((1, 2), "tuple"), ({"a": {1, 2}}, r'result\["a"\]'), ({1: "x"}, "key"), (float("nan"), "nan")],
    ids=["tuple", "set", "integer key", "nan"],
)
def test_what_a_stored_form_would_change_is_refused_at_the_producer(value: Any, named: str) -> None:
    """Nothing is silently something else afterwards; the failure names the place and is not retried."""
    flow = _flow()
    flow.command(lambda: value, id="make", retries=3)
    with pytest.raises(RunFailed) as caught:
        flow.run()
    failure = caught.value.result.errors["make"]
    assert failure.kind == "result_refused"
    assert caught.value.result.commands["make"].attempt == 1

    assert re.search(named, failure.message, re.IGNORECASE)


def test_a_frame_passes_as_parquet_and_one_that_would_change_is_refused() -> None:
    """A table comes back equal, or its column is named."""
    pd = pytest.importorskip("pandas")
    flow = _flow()
    flow.command(lambda: pd.DataFrame({"n": [1, 2], "when": pd.to_datetime(["2026-01-01", "2026-01-02"])}), id="good")
    flow.command(lambda: pd.DataFrame({"n": [1, "two"]}), id="bad", optional=True)

    @flow.command
    def rows(good: Any) -> int:
        return len(good)

    result = flow.run()
    pd.testing.assert_frame_equal(
        result.outputs["good"],
        pd.DataFrame({"n": [1, 2], "when": pd.to_datetime(["2026-01-01", "2026-01-02"])}),
    )
    assert result.outputs["rows"] == 2
    assert '"n"' in result.errors["bad"].message
    assert result.exit_code == 3


def test_a_fitted_model_is_live_for_threads_and_refused_for_a_process() -> None:
    """What has no stored form stays in this process."""
    linear = pytest.importorskip("sklearn.linear_model")
    flow = _flow()

    @flow.command
    def model() -> Any:
        return linear.LinearRegression().fit([[0], [1]], [0, 2])

    @flow.command
    def slope(model: Any) -> float:
        return round(float(model.coef_[0]), 6)

    @flow.command(isolation="process", optional=True)
    def elsewhere(model: Any) -> float:
        return float(model.coef_[0])

    result = flow.run()
    assert result.outputs["slope"] == 2.0
    assert result.outputs["model"].coef_[0] == pytest.approx(2.0)
    assert "LinearRegression" in result.errors["elsewhere"].message
    assert "skops" in result.errors["elsewhere"].message


def test_recordings_metrics_and_artifacts_come_with_the_result(project: Path) -> None:
    """What a command says from inside is in the result."""
    flow = _flow()

    @flow.command
    def work() -> None:
        (project / "plot.txt").write_text("a plot")
        context.record("rows", 7)
        context.metric("tokens", 12)
        context.artifact("plot.txt")
        context.shared["model"] = "forest"
        print("working")

    @flow.command
    def after(work: dict[str, int]) -> int:
        assert context.shared["model"] == "forest"
        return work["rows"]

    run = flow.start()
    result = run.result
    assert result.outputs["after"] == 7
    assert result.metrics == {"work": {"tokens": 12.0}}
    assert result.artifacts["work"]["plot.txt"].read_text() == "a plot"
    assert result.shared == {"model": "forest"}
    assert run.logs("work") == "working\n"


def test_every_mistake_is_told_at_once_and_nothing_is_written(project: Path) -> None:
    """Unknown upstream, missing program, unknown parameter: one error, no run."""
    flow = _flow(parameters={"day": "2026-01-01"})
    flow.shell(["no-such-program-here"], id="shell", after="nobody")
    with pytest.raises(DefinitionError) as caught:
        flow.run()
    assert 'no command "nobody"' in str(caught.value)
    flow = _flow(parameters={"day": "2026-01-01"})
    flow.shell(["no-such-program-here"], id="shell")
    flow.notebook("missing.ipynb")
    flow.command(lambda absent: absent, id="function")
    with pytest.raises(DefinitionError) as caught:
        flow.run(dya="x")
    text = str(caught.value)
    assert len(caught.value.mistakes) == 4
    assert all(part in text for part in ("dya", "day", "no-such-program-here", "missing.ipynb", "absent"))
    assert not (project / "orchestrator-runs").exists()
    assert not list(project.rglob("journal.jsonl"))


def test_a_wrong_option_is_said_where_it_is_written() -> None:
    """A misspelt option fails the call that has it, naming the right one."""
    flow = _flow()
    with pytest.raises(DefinitionError, match=r'/commands/a/retrys: .*"retry"'):
        flow.command(lambda: None, id="a", retrys=2)
    with pytest.raises(UsageError, match="already"):
        flow.command(lambda: 1, id="b")
        flow.command(lambda: 2, id="b")


def test_a_failure_is_loud_at_the_border_and_survives_pickling() -> None:
    """RunFailed carries the result and the failure card; `check=False` returns the result instead."""
    flow = _flow()

    @flow.command
    def breaks() -> None:
        raise ValueError("the price is negative")

    flow.command(lambda breaks: breaks, id="follows")
    with pytest.raises(RunFailed) as caught:
        flow.run()
    text = str(caught.value)
    assert all(part in text for part in ('"breaks" failed', "ValueError: the price is negative", "follows", "resume"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.result.errors["breaks"].message == "the price is negative"
    result = flow.run(check=False)
    assert (result.state, result.exit_code) == ("failed", 1)
    assert {name: record.state for name, record in result.commands.items()} == {
        "breaks": "failed",
        "follows": "upstream_failed",
    }


def test_a_run_can_be_awaited_and_looked_at_from_elsewhere() -> None:
    """The event loop stays free while a run goes on."""
    flow = _flow()

    @flow.command
    async def slow() -> str:
        await asyncio.sleep(0.05)
        return "done"

    async def main() -> tuple[Any, int]:
        run = flow.start(wait=False)
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.ensure_future(tick())
        result = await run
        ticking.cancel()
        return result, turns

    result, turns = asyncio.run(main())
    assert result.outputs["slow"] == "done"
    assert turns > 5
    looked = attach("latest")
    assert looked.state.run.state == "completed"
    assert looked.result.outputs["slow"] == "done"
    assert "slow" in str(looked.status())
    assert "<table" in looked.status()._repr_html_()


def test_the_seeds_two_examples_run_as_written() -> None:
    """Registered names, agents as dependencies, the alias of the parallel pattern."""
    seen: list[tuple[str, Any, Any]] = []

    @register("/query")
    def query(args: str) -> dict[str, str]:
        seen.append(("query", args, None))
        return {"found": args}

    @register("/feature")
    def feature(args: str) -> dict[str, str]:
        seen.append(("feature", args, None))
        return {"designed": args}

    @register("/task")
    def task(args: str | None = None, agent: str | None = None, scope: str | None = None) -> dict[str, Any]:
        seen.append(("task", agent or args, scope))
        return {"agent": agent, "scope": scope}

    sequential = WorkflowOrchestrator(
        {
            "workflowId": "research_plan_execute_auth",
            "pattern": "sequential",
            "commands": [
                {"command": "/query", "args": "Research authentication patterns"},
                {"command": "/feature", "args": "Design auth system from research"},
                {"command": "/task", "args": "Implement auth with TDD"},
            ],
        }
    )
    parallel = WorkflowOrchestrator(
        {
            "workflowId": "parallel_component_dev",
            "pattern": "parallel_coordination",
            "commands": [
                {"command": "/task", "agent": "frontend", "scope": "UI components"},
                {"command": "/task", "agent": "backend", "scope": "API logic"},
                {
                    "command": "/task",
                    "agent": "testing",
                    "scope": "test suite",
                    "dependencies": ["frontend", "backend"],
                },
            ],
        }
    )

    async def both() -> tuple[Any, Any]:
        return await sequential.execute(), await parallel.execute()

    first, second = asyncio.run(both())
    assert [name for name, _, _ in seen[:3]] == ["query", "feature", "task"]
    assert seen[2][1] == "Implement auth with TDD"
    assert first.succeeded
    assert second.succeeded
    assert second.outputs["testing"] == {"agent": "testing", "scope": "test suite"}
    assert {seen[3][1], seen[4][1]} == {"frontend", "backend"}
    assert seen[5] == ("task", "testing", "test suite")


def test_a_definition_is_written_and_read_back(project: Path) -> None:
    """What was built in Python is a file that runs the same, where its functions can be imported."""
    (project / "steps.py").write_text("def double(n):\n    return 2 * n\n")
    flow = Workflow.load({"workflow": "w", "parameters": {"n": 4}, "commands": {"double": {"call": "steps:double"}}})
    (project / "flow.yaml").write_text(flow.to_yaml())
    again = Workflow.load(project / "flow.yaml")
    assert again.definition == flow.definition
    assert again.run(n=21).outputs["double"] == 42


def test_a_function_is_known_by_its_first_name(tmp_path: Path) -> None:
    """`after` takes functions; one that was added several times stands for its first command."""

    def made() -> int:
        return 1

    flow = Workflow("w", folder=tmp_path)
    flow.command(made, id="one")
    flow.command(made, id="two")
    flow.command(lambda: 2, id="three", after=made)
    assert flow.definition.command("three").after == ("one",)
    with pytest.raises(UsageError, match="is not a command"):
        flow.command(lambda: 3, id="four", after=lambda: 4)


def test_a_definition_that_was_read_can_be_added_to(tmp_path: Path) -> None:
    """What was read is kept, and what is added comes after it."""
    flow = Workflow.load({"workflow": "w", "parameters": {"day": 1}, "commands": {"one": {"shell": ["true"]}}})
    assert flow.name == "w"
    flow.shell(["false"], id="two", after="one")
    assert [command.id for command in flow.definition.commands] == ["one", "two"]
    assert flow.to_dict()["parameters"] == {"day": 1}
