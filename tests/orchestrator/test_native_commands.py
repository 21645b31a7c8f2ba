"""Native commands in real runs: their state goes from attempt to attempt, their hints and records are kept."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb import CommandResult, DefinitionError, RunFailed, Workflow, context, register
from orchestrator_nb import events as e
from orchestrator_nb.journal.file import read

pytestmark = pytest.mark.usefixtures("project")

COUNTER = """
import os
from pathlib import Path

class Counter:
    def __init__(self):
        self.done = []

    def execute_in_workflow(self, arguments, context, environment):
        for number in range(arguments["upto"]):
            if number not in self.done:
                with open("ledger", "a") as file:
                    file.write(f"{number}\\n")
                self.done.append(number)
            if number == 1 and context.attempt == 1:
                raise ConnectionError("the line broke")
        return self.done

    def preserve_state(self):
        return {"done": self.done}

    def restore_state(self, state):
        self.done = state["done"]
"""


def _events(run: Any, kind: type[e.Event]) -> list[Any]:
    return [event for event in read(run.folder / "journal.jsonl") if isinstance(event, kind)]


def test_the_state_of_a_failed_attempt_is_given_to_the_next(project: Path) -> None:
    """A class is made anew for each attempt and goes on with what the one before had preserved."""
    (project / "steps.py").write_text(COUNTER)
    flow = Workflow.load({"workflow": "w", "commands": {"count": {
        "call": "steps:Counter", "parameters": {"upto": 4}, "retry_delay": 0.01}}})  # fmt: skip
    run = flow.start()
    assert run.result.outputs["count"] == [0, 1, 2, 3]
    assert (project / "ledger").read_text().split() == ["0", "1", "2", "3"]
    (preserved,) = _events(run, e.StatePreserved)
    assert preserved.attempt == 1
    assert preserved.value.value == {"done": [0, 1]}


def test_the_state_leaves_a_process_of_its_own_too(project: Path) -> None:
    """With isolation, the state comes back from the process that failed and goes into the next one."""
    (project / "steps.py").write_text(COUNTER)
    flow = Workflow.load({"workflow": "w", "commands": {"count": {
        "call": "steps:Counter", "parameters": {"upto": 3}, "isolation": "process", "retry_delay": 0.01}}})  # fmt: skip
    assert flow.run().outputs["count"] == [0, 1, 2]
    assert (project / "ledger").read_text().split() == ["0", "1", "2"]


def test_an_interrupt_preserves_the_state_for_the_resumed_run() -> None:
    """A command that is asked to end hands over its state, and the resumed run gives it back."""
    flow = Workflow("w")
    began, waits = threading.Event(), True
    given: list[Any] = []

    class Patient:
        def __init__(self) -> None:
            self.step = 0

        def execute_in_workflow(self, arguments: Any, context: Any, environment: Any) -> int:
            self.step += 1
            began.set()
            while waits:
                context.progress(0.5)
            return self.step

        def preserve_state(self) -> dict[str, int]:
            return {"step": self.step}

        def restore_state(self, state: dict[str, int]) -> None:
            given.append(state)
            self.step = state["step"]

    flow.command(Patient, id="patient")
    run = flow.start(wait=False)
    assert began.wait(20)
    run.interrupt("lunch")
    assert run.wait(20, check=False).state == "paused"
    assert run.state.commands["patient"].preserved == e.Stored(form="json", value={"step": 1})
    waits = False
    assert flow.resume().result.outputs["patient"] == 2
    assert given == [{"step": 1}]


def test_a_run_that_failed_hands_state_and_partial_results_to_its_resumed_self() -> None:
    """A new generation of what failed goes on from there; one of what succeeded would not."""
    flow = Workflow("w")
    broken = True
    seen: list[Any] = []

    class Worker:
        def execute_in_workflow(self, arguments: Any, context: Any, environment: Any) -> str:
            seen.append(dict(context.partial))
            context.record("half", 1)
            if broken:
                raise ValueError("not yet")
            return "done"

        def preserve_state(self) -> str:
            return "state"

        def restore_state(self, state: str) -> None:
            seen.append(state)

    flow.command(Worker(), id="worker")
    flow.run(check=False)
    broken = False
    assert flow.resume().result.outputs["worker"] == "done"
    assert seen == [{}, "state", {"half": 1}]


@pytest.mark.parametrize(
    ("answer", "attempts", "transient"),
    [
        (None, 1, None),
        ("retry", 3, True),
        ({"retry": True, "parameters": {"size": 1}}, 3, True),
        ("fail", 1, False),
        ({"message": "ask the operator"}, 1, None),
    ],
)
def test_what_a_command_says_about_its_failure_is_recorded_and_heeded(
    answer: Any, attempts: int, transient: Any
) -> None:
    """handle_error decides whether a repetition may help, against what the exception's type would say."""
    flow = Workflow("w")
    heard: list[BaseException] = []

    class Command:
        def execute_in_workflow(self, arguments: Any, context: Any, environment: Any) -> None:
            raise KeyError(context.attempt)

        def handle_error(self, error: BaseException) -> Any:
            heard.append(error)
            return answer

    flow.command(Command(), id="a", **({"retries": 2, "retry_delay": 0.01} if transient else {}))
    result = flow.run(check=False)
    failure = result.errors["a"]
    assert result.commands["a"].attempt == attempts
    assert len(heard) == attempts
    assert all(isinstance(error, KeyError) for error in heard)
    assert (failure.transient, failure.advice) == (transient, answer)
    assert failure.types[0] == "KeyError"


def test_a_hint_to_fail_stops_the_retries_that_were_asked_for() -> None:
    """A command that knows that it cannot succeed is not tried again, whatever `retries` says."""
    flow = Workflow("w")

    class Command:
        def execute_in_workflow(self, arguments: Any, context: Any, environment: Any) -> None:
            raise ConnectionError("gone for good")

        def handle_error(self, error: BaseException) -> str:
            return "fail"

    flow.command(Command(), id="a", retries=5, retry_delay=0.01)
    assert flow.run(check=False).commands["a"].attempt == 1


def test_what_goes_wrong_in_the_contract_does_not_hide_the_failure() -> None:
    """A preserve_state or handle_error that fails is a notice; the command's own failure stays the failure."""
    flow = Workflow("w")

    class Command:
        def execute_in_workflow(self, arguments: Any, context: Any, environment: Any) -> None:
            raise ValueError("the real one")

        def preserve_state(self) -> Any:
            return object()

        def handle_error(self, error: BaseException) -> Any:
            raise RuntimeError("no idea")

    flow.command(Command(), id="a")
    run = flow.start(check=False)
    assert run.result.errors["a"].message == "the real one"
    preserving, handling = (notice.text for notice in run.state.notices)
    assert "its state could not be preserved" in preserving
    assert "object" in preserving
    assert "its handle_error failed: RuntimeError: no idea" in handling


@pytest.mark.parametrize("verdict", [False, {"passed": False, "rmse": 9.5}])
def test_a_command_that_is_not_content_with_its_work_fails_for_good(verdict: Any) -> None:
    """validate_quality_gates is asked after the work, and its no is a failure that no retry mends."""
    flow = Workflow("w")

    class Command:
        def execute_in_workflow(self, arguments: Any, context: Any, environment: Any) -> int:
            return 1

        def validate_quality_gates(self, gates: list[Any]) -> Any:
            assert gates == []
            return verdict

    flow.command(Command(), id="a", retries=2)
    with pytest.raises(RunFailed, match="validate_quality_gates"):
        flow.run()
    assert flow.run(check=False).errors["a"].kind == "gate"


def test_a_native_command_gets_arguments_context_and_environment(project: Path) -> None:
    """What the definition gives comes by name, references resolved; the context has the seed's fields."""
    flow = Workflow("sales", parameters={"day": "monday"})
    seen: dict[str, Any] = {}

    class Query:
        async def execute_in_workflow(self, arguments: Any, context: Any, environment: Any) -> str:
            seen.update(arguments)
            assert context.workflow_id == "sales"
            assert context.execution_phase == "executing"
            assert context.shared_state["mood"] == "good"
            assert environment.folder == project
            assert environment.run_folder.name == context.run_id
            return "answer"

    flow.command(_in_good_mood, id="first")
    flow.command(
        Query, id="query", after="first", args="what ${{ parameters.day }}", agent="scout", parameters={"rows": "${{ first }}"}
    )  # fmt: skip
    assert flow.run().outputs["query"] == "answer"
    assert seen == {"rows": 3, "args": "what monday", "agent": "scout"}


def _in_good_mood() -> int:
    context.shared["mood"] = "good"
    context.metric("rmse", 2.5)
    context.record("note", "kept")
    context.record("next_command_context", {"hint": "be quick"})
    return 3


def test_every_kind_of_command_leaves_the_same_record() -> None:
    """A function, and a native command that returns a record, are seen alike from outside and by what comes after."""
    flow = Workflow("w")
    flow.command(_in_good_mood, id="legacy")

    class Native:
        def execute_in_workflow(self, arguments: Any, context: Any, environment: Any) -> CommandResult:
            return CommandResult(
                primary_outputs=3,
                state_changes={"mood": "good"},
                workflow_data={"note": "kept"},
                quality_metrics={"rmse": 2.5},
                next_command_context={"hint": "be quick"},
            )

    flow.command(Native(), id="native", after="legacy")
    seen: list[Any] = []
    flow.command(lambda: seen.extend(context.previous_results), id="last", after=["legacy", "native"])
    result = flow.run()
    expected = {
        "success": True,
        "primary_outputs": 3,
        "state_changes": {"mood": "good"},
        "workflow_data": {"note": "kept"},
        "quality_metrics": {"rmse": 2.5},
        "next_command_context": {"hint": "be quick"},
    }
    assert seen == [{**expected, "command": "legacy"}, {**expected, "command": "native"}]
    assert result.command_result("native").to_plain() == {**expected, "command": "native"}
    assert result.command_result("legacy") == CommandResult(**expected, command="legacy")


def test_a_record_without_success_is_a_failure_that_keeps_what_it_held() -> None:
    """What the record holds is recorded as partial result, its changes of the shared state are not made."""
    flow = Workflow("w")

    class Native:
        def execute_in_workflow(self, arguments: Any, context: Any, environment: Any) -> CommandResult:
            return CommandResult(success=False, workflow_data={"rows": 5}, state_changes={"mood": "bad"})

    flow.command(Native(), id="native")
    result = flow.run(check=False)
    record = result.command_result("native")
    assert not record.success
    assert record.workflow_data == {"rows": 5}
    assert record.state_changes == {}
    assert result.shared == {}


def test_a_class_can_be_registered_under_a_name() -> None:
    """`/query` may stand for a native command as it does for a function."""

    @register("/native.test")
    class Query:
        def execute_in_workflow(self, arguments: Any, context: Any, environment: Any) -> str:
            return f"{arguments['args']}!"

    flow = Workflow("w")
    flow.command("/native.test", id="q", args="hello")
    assert flow.run().outputs["q"] == "hello!"


def test_mistakes_in_a_native_command_are_found_before_the_run() -> None:
    """One that cannot be made, or whose methods take something else, is named with what is expected."""

    class Needy:
        def __init__(self, connection: Any) -> None:
            self.connection = connection

        def execute_in_workflow(self, arguments: Any) -> None:
            """Take too little."""

    flow = Workflow("w")
    flow.command(Needy, id="a")
    with pytest.raises(DefinitionError) as caught:
        flow.plan()
    made, called = caught.value.mistakes
    assert "cannot be made: missing a required argument: 'connection'" in made.message
    assert made.path == "/commands/a/call"
    assert called.expected == "execute_in_workflow(arguments, context, environment)"


@pytest.mark.kernel
def test_a_notebook_reads_the_records_of_what_came_before(project: Path) -> None:
    """In a kernel, the records of upstream commands are the same dictionaries."""
    import nbformat

    cell = nbformat.v4.new_code_cell(
        "from orchestrator_nb import context\n(before,) = context.previous_results\ncontext.record('seen', before)\n"
    )
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": "p"}})
    nbformat.write(notebook, project / "look.ipynb")
    flow = Workflow("w")
    flow.command(_in_good_mood, id="first")
    flow.notebook("look.ipynb", after="first")
    result = flow.run()
    assert result.outputs["look"]["seen"] == result.command_result("first").to_plain()
