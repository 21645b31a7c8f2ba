"""The seed's control interface: a thin face over the same objects."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.errors import RunNotFound, UsageError
from orchestrator_nb.executors.failures import failure_of
from orchestrator_nb.journal.store import find_run, find_store
from orchestrator_nb.orchestrator.attaching import attach
from orchestrator_nb.orchestrator.control.asking import Answer
from orchestrator_nb.orchestrator.display.result import RunResult
from orchestrator_nb.orchestrator.display.status import Status
from orchestrator_nb.orchestrator.rollbacks.rollback_report import RollbackReport
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.workflow import Workflow
from orchestrator_nb.plan.plan import Plan

Definition = Mapping[str, Any] | str | os.PathLike[str]


@dataclass(slots=True, kw_only=True)
class WorkflowInstance:
    """A workflow that was checked and may be executed; `run` is its run once it is."""

    workflow_id: str
    workflow: Workflow
    plan: Plan
    parameters: Mapping[str, Any]
    run: Run | None = None


class WorkflowOrchestrator:
    """A workflow given as the seed's dictionary (camelCase or not), to be executed and awaited.

    The control methods take a `workflow_id`: the workflow's name, for its run in this orchestrator or else its latest
    run in the store, or the id of a run. They raise RunNotFound for one that is not there, and what the methods of
    `Run` raise.
    """

    def __init__(
        self,
        definition: Definition | None = None,
        *,
        store: str | os.PathLike[str] | None = None,
        context: Mapping[str, Any] | None = None,
        quality_requirements: Sequence[str | Mapping[str, Any]] | None = None,
        optimization: Mapping[str, Any] | None = None,
        monitoring: Mapping[str, Any] | None = None,
        recovery: Mapping[str, Any] | str | None = None,
    ) -> None:
        """Read the definition, if one is given: a dictionary or a file. The other inputs are those of every run of
        this orchestrator, as `Workflow.start` takes them. Raises DefinitionError with all mistakes."""
        self._workflow = None if definition is None else Workflow.load(definition)
        self._options: dict[str, Any] = {
            "store": store,
            "context": context,
            "quality_requirements": quality_requirements,
            "optimization": optimization,
            "monitoring": monitoring,
            "recovery": recovery,
        }
        self._store = store
        self._runs: dict[str, Run] = {}

    @property
    def workflow(self) -> Workflow:
        """The workflow that it was made with. Raises UsageError when there was none."""
        if self._workflow is None:
            raise UsageError("this orchestrator was made without a definition; give one to `initialize_workflow`")
        return self._workflow

    def execute(self, **parameters: Any) -> Execution:
        """Start a run; await what is returned for its result."""
        run = self.workflow.start(wait=False, parameters=parameters, **self._options)
        self._runs[self.workflow.name] = run
        return Execution(run)

    # ── the lifecycle ───────────────────────────────────────────────────────────────────────────────────────────

    async def initialize_workflow(
        self, definition: Definition | None = None, parameters: Mapping[str, Any] | None = None
    ) -> WorkflowInstance:
        """Check everything and return an instance to execute; nothing is run. Raises DefinitionError."""
        flow = self.workflow if definition is None else Workflow.load(definition)
        given = dict(parameters or {})
        plan = await asyncio.to_thread(flow.plan, given)
        return WorkflowInstance(workflow_id=flow.name, workflow=flow, plan=plan, parameters=given)

    async def execute_workflow(self, instance: WorkflowInstance) -> RunResult:
        """Run it to its end and return the result. Raises RunFailed when it did not complete."""
        instance.run = instance.workflow.start(wait=False, parameters=instance.parameters, **self._options)
        self._runs[instance.workflow_id] = instance.run
        return await instance.run

    async def pause_workflow(self, workflow_id: str) -> None:
        """Start nothing new; what runs goes on to its end. Returns when that is recorded."""
        await asyncio.to_thread(self._run(workflow_id).pause)

    async def resume_workflow(self, workflow_id: str) -> None:
        """Go on after a pause, or take up here a run that nobody drives."""
        await asyncio.to_thread(self._run(workflow_id).resume)

    async def terminate_workflow(self, workflow_id: str, reason: str) -> None:
        """End what runs and the run; returns when nothing of it is left."""
        run = self._run(workflow_id)
        await asyncio.to_thread(run.stop, reason)
        await asyncio.to_thread(run.wait, check=False)

    # ── the state ───────────────────────────────────────────────────────────────────────────────────────────────

    async def save_workflow_state(self, workflow_id: str) -> dict[str, Any]:
        """Return the state as plain JSON, to be kept and given to `restore_workflow_state`."""
        return await asyncio.to_thread(self._run(workflow_id).saved)

    async def restore_workflow_state(self, workflow_id: str, state: Mapping[str, Any]) -> None:
        """Put a run that nobody drives back to a saved state; what came after runs again when it is resumed."""
        await asyncio.to_thread(self._run(workflow_id).restore, state)

    async def get_workflow_status(self, workflow_id: str) -> Status:
        """Return how it stands."""
        return await asyncio.to_thread(self._run(workflow_id).status)

    async def get_execution_metrics(self, workflow_id: str) -> dict[str, Any]:
        """Return what it cost: total, per command, waits, attempts, in seconds."""
        return await asyncio.to_thread(self._run(workflow_id).metrics)

    # ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def handle_workflow_error(
        self, workflow_id: str, error: BaseException | Mapping[str, Any], *, command: str | None = None
    ) -> dict[str, Any]:
        """Record an error that was noticed outside, and return what the policies decided.

        The error is an exception or a dictionary with ``message``, perhaps ``command`` and ``types`` (names of exception
        classes, most derived first). With a command whose attempt is under way, that attempt has failed and is ended,
        and the policies decide: ``decision`` is retry, adapt (its reduced form or its fallback is next), ask (a person)
        or give_up; else a notice is recorded and it is none. ``error`` says what kind of error it is, with its
        ``category`` and ``severity``. ``events`` are the facts in question.
        """
        message, types, named = _described(error)
        run, about = self._run(workflow_id), command or named
        if about is None:
            answer = await asyncio.to_thread(run.give_notice, message)
        else:
            answer = await asyncio.to_thread(run.report_failure, about, message, types=types)
        return _decision(answer, about)

    async def rollback_workflow(self, workflow_id: str, checkpoint_id: str) -> RollbackReport:
        """Take it back to a checkpoint (``command_completion_clean``, its number, its commit) or to the moment after a
        command; what came later runs again when it is resumed. Returns what that came to."""
        report: RollbackReport = await asyncio.to_thread(self._run(workflow_id).rollback, to=checkpoint_id)
        return report

    def _run(self, workflow_id: str) -> Run:
        for name, run in self._runs.items():
            if workflow_id in (name, run.id):
                return run
        start = None if self._workflow is None else self._workflow.folder
        store = find_store(self._store, start=start)
        try:
            return attach(find_run(store, "latest", workflow=workflow_id).name, store=store)
        except RunNotFound:
            return attach(workflow_id, store=store)


class Execution:
    """A run under way: awaiting it gives its RunResult, or raises RunFailed."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __await__(self) -> Any:
        return self.run.__await__()

    def result(self) -> RunResult:
        """Wait for it without an event loop."""
        return self.run.wait()


def _described(error: BaseException | Mapping[str, Any]) -> tuple[str, tuple[str, ...], str | None]:
    """Return message, types and command of an error as it was given. Raises UsageError."""
    if isinstance(error, BaseException):
        failure = failure_of(error)
        return failure.message, failure.types, None
    message = error.get("message")
    types = error.get("types", ())
    if not isinstance(message, str) or isinstance(types, str):
        raise UsageError(
            'an error is an exception, or a dictionary with "message" (text), "command" and "types" (list)'
        )
    command = error.get("command", error.get("command_id", error.get("commandId")))
    return message, tuple(map(str, types)), None if command is None else str(command)


def _decision(answer: Answer | None, command: str | None) -> dict[str, Any]:
    facts = [] if answer is None else [fact for fact in answer.turn if getattr(fact, "command", None) == command]
    failed = any(isinstance(fact, e.AttemptFailed) for fact in facts)
    retry = next((fact for fact in facts if isinstance(fact, e.RetryScheduled)), None)
    decided: dict[str, Any] = {
        "command": command,
        "recorded": "failure" if failed else "notice",
        "decision": None,
        "events": facts or ([] if answer is None else [answer.event]),
    }
    for fact in facts:
        if isinstance(fact, e.ErrorClassified):
            decided.update(error=fact.error, category=fact.category, severity=fact.severity)
        elif isinstance(fact, e.DecisionRequested):
            decided.update(decision="ask", number=fact.number, options=fact.options)
        elif isinstance(fact, e.CommandAdapted):
            decided["decision"] = "adapt"
    if retry is not None:
        decided["decision"] = decided["decision"] or "retry"
        decided.update(due=retry.due, retry=retry.retry, retries=retry.retries)
    elif failed:
        decided["decision"] = decided["decision"] or "give_up"
    return decided
