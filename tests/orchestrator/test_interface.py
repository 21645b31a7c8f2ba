"""The seed's eleven control methods: awaitable, and the same run behind them."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from orchestrator_nb import RunFailed, WorkflowOrchestrator, register
from orchestrator_nb.errors import DefinitionError, RunNotFound, RunNotRunning, UsageError

DEFINITION = {
    "workflowId": "auth",
    "commands": [
        {"commandId": "one", "command": "/wait-at-gate"},
        {"commandId": "two", "command": "/after-gate", "dependencies": ["one"]},
    ],
}

pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture(name="gate")
def _gate():
    """Two registered commands, the first of which waits for the gate (`go`) and says that it has begun."""

    class Gate:
        began = threading.Event()
        again = threading.Event()
        go = threading.Event()

    @register("/wait-at-gate")
    def one() -> int:
        (Gate.again if Gate.began.is_set() else Gate.began).set()
        if not Gate.go.wait(20):
            raise TimeoutError("nobody opened the gate")
        return 1

    @register("/after-gate")
    def two(one: int) -> int:
        return one + 1

    yield Gate
    Gate.go.set()


async def begun(orchestrator: WorkflowOrchestrator, gate: Any) -> asyncio.Task[Any]:
    """Execute the workflow in a task, and return when its first command is under way."""
    instance = await orchestrator.initialize_workflow()
    assert instance.workflow_id == "auth"
    assert list(instance.plan.order) == ["one", "two"]
    task = asyncio.ensure_future(orchestrator.execute_workflow(instance))
    assert await asyncio.to_thread(gate.began.wait, 20)
    return task


def test_execute_pause_resume_and_the_figures(gate):
    """A paused run finishes what runs and starts nothing; resumed it completes; status and metrics follow."""

    async def story():
        orchestrator = WorkflowOrchestrator(DEFINITION)
        task = await begun(orchestrator, gate)
        await orchestrator.pause_workflow("auth")
        assert (await orchestrator.get_workflow_status("auth")).state == "paused"
        gate.go.set()
        await asyncio.sleep(0)
        assert not task.done()
        await orchestrator.resume_workflow("auth")
        result = await asyncio.wait_for(task, 20)
        assert result.outputs["two"] == 2
        metrics = await orchestrator.get_execution_metrics(result.run)
        assert metrics["commands"]["two"]["attempts"] == 1
        assert (await orchestrator.get_workflow_status("auth")).state == "completed"

    asyncio.run(story())


def test_terminate_returns_when_nothing_is_left(gate):
    """The run is stopped with the reason; whoever awaited it gets RunFailed; a second call finds nothing running."""

    async def story():
        orchestrator = WorkflowOrchestrator(DEFINITION)
        task = await begun(orchestrator, gate)
        threading.Timer(0.2, gate.go.set).start()
        await orchestrator.terminate_workflow("auth", "not today")
        status = await orchestrator.get_workflow_status("auth")
        assert (status.state, status.reason, status.owned) == ("stopped", "not today", False)
        with pytest.raises(RunFailed):
            await task
        with pytest.raises(RunNotRunning):
            await orchestrator.terminate_workflow("auth", "again")

    asyncio.run(story())


def test_save_and_restore(gate):
    """A state is plain data; the run goes on from there when it is resumed."""

    async def story():
        orchestrator = WorkflowOrchestrator(DEFINITION)
        task = await begun(orchestrator, gate)
        state = await orchestrator.save_workflow_state("auth")
        assert state["state"]["commands"]["one"]["state"] == "running"
        gate.go.set()
        await task
        await orchestrator.restore_workflow_state("auth", state)
        assert (await orchestrator.get_workflow_status("auth")).rows[0]["state"] == "ready"
        await orchestrator.resume_workflow("auth")
        run = orchestrator._run("auth")
        assert (await asyncio.to_thread(run.wait, 20)).outputs["two"] == 2

    asyncio.run(story())


def test_an_error_that_was_noticed_outside_is_decided_about(gate):
    """About a command under way it is a failure and the policies decide; else it is a notice."""

    async def story():
        orchestrator = WorkflowOrchestrator(DEFINITION)
        task = await begun(orchestrator, gate)
        noted = await orchestrator.handle_workflow_error("auth", {"message": "the disk is getting full"})
        assert (noted["recorded"], noted["decision"]) == ("notice", None)
        passing = await orchestrator.handle_workflow_error("auth", ConnectionError("lost the link"), command="one")
        assert (passing["recorded"], passing["decision"], passing["retry"]) == ("failure", "retry", 1)
        assert (passing["error"], passing["severity"]) == ("network_connectivity", "major")
        # The next attempt: what is reported now is nothing that a repetition mends.
        assert await asyncio.to_thread(gate.again.wait, 20)
        final = await orchestrator.handle_workflow_error(
            "auth", {"message": "no", "command": "one", "types": ["NameError"]}
        )
        assert final["decision"] == "give_up"
        with pytest.raises(RunFailed, match="no"):
            await asyncio.wait_for(task, 20)
        assert orchestrator._run("auth").state.commands["one"].attempt == 2

    asyncio.run(story())


def test_an_error_may_be_left_to_a_person(gate):
    """Where the recovery says so, the decision is to ask; the answer is taken, whether the run has parked by then or not."""

    async def story():
        orchestrator = WorkflowOrchestrator(DEFINITION, recovery={"escalation": True})
        task = await begun(orchestrator, gate)
        error = {"message": "no", "command": "one", "types": ["NameError"]}
        asked = await orchestrator.handle_workflow_error("auth", error)
        assert (asked["decision"], asked["number"], asked["options"]) == ("ask", 1, ("retry", "skip", "fail"))
        run = orchestrator._run("auth")
        await asyncio.to_thread(run.decide, 1, "fail")
        with pytest.raises(RunFailed):
            await asyncio.wait_for(task, 20)
        assert run.state.commands["one"].state == "failed"

    asyncio.run(story())


def test_rollback_and_mistakes_are_said(gate):
    """There is nothing to roll back to before there are checkpoints; unknown workflows and bad definitions are named."""

    async def story():
        orchestrator = WorkflowOrchestrator(DEFINITION)
        with pytest.raises(RunNotFound):
            await orchestrator.pause_workflow("auth")
        gate.go.set()
        await orchestrator.execute()
        with pytest.raises(UsageError, match="there are no checkpoints"):
            await orchestrator.rollback_workflow("auth", "before")
        with pytest.raises(DefinitionError):
            await orchestrator.initialize_workflow({"workflowId": "x", "commands": [{"command": "/nowhere"}]})
        with pytest.raises(UsageError, match="without a definition"):
            await WorkflowOrchestrator().initialize_workflow()
        with pytest.raises(UsageError, match='a dictionary with "message"'):
            await orchestrator.handle_workflow_error("auth", {"text": "?"})

    begun_at = time.monotonic()
    asyncio.run(story())
    assert time.monotonic() - begun_at < 20
