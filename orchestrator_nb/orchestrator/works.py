"""What executors are handed: the work of an attempt, put together from the plan and from what upstream commands gave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import structs

from orchestrator_nb import events as e
from orchestrator_nb.definition.matrix import FanIn
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.executors.inputs import declared_only
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.pools import amount
from orchestrator_nb.ports import BESIDES, Work
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE

_NO_RESULT = e.Stored(form="json")


class Works:
    """Makes the work of the attempts of one run, which has its files in `run_folder`."""

    def __init__(self, plan: Plan, run_folder: Path) -> None:
        self._plan = plan
        self._run_folder = run_folder
        self._timeout = _seconds(plan.definition.timeout)
        self._common: Work | None = None  # what is the same in all, so that it is put together once

    def make(self, command: str, state: RunState) -> Work:
        """Return what an executor needs to run the command's current attempt; without a command, to look at the run."""
        if not command:
            return self._work_of_run(state)
        plan, records = self._plan, state.commands
        record = records[command]
        definition = plan.commands[record.substitute or command]
        if record.parameters:  # a person has decided so, or it runs in its reduced form
            changed = {**definition.parameters, **({} if record.substitute else record.parameters)}
            definition = definition.model_copy(update={"parameters": changed})
        befores = plan.upstream[command]
        if record.substitute:
            befores = tuple(dict.fromkeys((*befores, *plan.upstream[record.substitute])))
        inputs, recorded, metrics, changes = {}, {}, {}, {}
        for name in befores:
            upstream = records[name]
            if upstream.state not in DONE:  # its trigger rule lets it start without that result
                inputs[name] = _NO_RESULT
                continue
            output = upstream.result
            if upstream.recorded:
                output = upstream.output()
                recorded[name] = upstream.recorded
            if output is not None:
                inputs[name] = output
            if upstream.metrics:
                metrics[name] = upstream.metrics
            if upstream.shared:
                changes[name] = upstream.shared
        if command in plan.fan_ins:
            for base, fan_in in plan.fan_ins[command].items():
                _gather(base, fan_in, state, inputs, recorded, metrics)
        plain = BESIDES.isdisjoint(vars(definition))  # once, as each field that was not said takes long to be read
        shared, timeout = state.shared, self._timeout
        if not plain:
            if definition.context:
                shared = declared_only(definition.context, shared)
            if definition.timeout is not None or definition.workflow is not None:  # an inner workflow has its own
                timeout = _seconds(definition.timeout)
        return structs.replace(
            self._common or self._common_work(definition, state),
            command=command,
            attempt=record.attempt,
            generation=record.generation,
            definition=definition,
            plain=plain,
            inputs=inputs,
            recorded=recorded,
            metrics=metrics,
            changes=changes,
            shared=shared,
            partial=record.partial,
            preserved=record.preserved,
            timeout=timeout,
        )

    def coming(self, command: str, attempt: int, state: RunState) -> Work:
        """Return what is known of an attempt before it begins, and before those before it have come to an end."""
        definition = self._plan.commands[command]
        common = self._common or self._common_work(definition, state)
        return structs.replace(common, command=command, attempt=attempt, definition=definition)

    def _common_work(self, definition: CommandDefinition, state: RunState) -> Work:
        """Return what is the same in the work of all commands; `definition` is there for the time being."""
        plan = self._plan
        self._common = Work(
            run=state.run.run,
            workflow=state.run.workflow,
            command="",
            attempt=0,
            generation=0,
            definition=definition,
            parameters=plan.parameters,
            kernels=plan.definition.kernels,
            imported=self._imported(state),
            merge=plan.definition.merge,
            shared_limit=amount(plan.definition.context_limit),
            folder=plan.folder,
            run_folder=self._run_folder,
        )
        return self._common

    def _imported(self, state: RunState) -> tuple[str, ...]:
        """Return what the notebooks of earlier runs had imported, where there are notebooks and it may be learnt."""
        definition = self._plan.definition
        if not definition.optimization.history or all(each.kind != "notebook" for each in state.planned.values()):
            return ()
        from orchestrator_nb.orchestrator.earlier.imports import earlier_imports

        return earlier_imports(self._run_folder.parent, definition.workflow)

    def _work_of_run(self, state: RunState) -> Work:
        """Return what is needed to look at all that the commands of the run came to."""
        done = {name: record for name, record in state.commands.items() if record.state in DONE}
        return structs.replace(
            self._common or self._common_work(self._plan.definition.commands[0], state),
            inputs={name: record.output() or _NO_RESULT for name, record in done.items()},
            recorded={name: record.recorded for name, record in done.items()},
            metrics={name: record.metrics for name, record in done.items()},
            shared=state.shared,
        )


def _seconds(timeout: float | Literal["none"] | None) -> float | None:
    return None if timeout == "none" else timeout


def _gather(
    base: str,
    fan_in: FanIn,
    state: RunState,
    inputs: dict[str, e.Stored],
    recorded: dict[str, Mapping[str, e.Stored]],
    metrics: dict[str, Mapping[str, float]],
) -> None:
    """Put the results of cells under the name of their matrix command: those that there are, by key; or that of one."""
    items = {}
    for key, cell in fan_in.cells.items():
        output = inputs.pop(cell, _NO_RESULT)
        own_records, own_metrics = recorded.pop(cell, None), metrics.pop(cell, None)
        if state.commands[cell].state in DONE:
            items[key] = output
        if fan_in.one:
            inputs[base] = output
            recorded.update({base: own_records} if own_records else {})
            metrics.update({base: own_metrics} if own_metrics else {})
            return
    inputs[base] = e.Stored(form="mapping", items=items)
