"""What a run has come to: outputs, errors and how to go on, in one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.command_result import CommandResult, command_result
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.data.stored import load
from orchestrator_nb.definition.names import instead
from orchestrator_nb.errors import UsageError
from orchestrator_nb.events import Failure, Stored
from orchestrator_nb.orchestrator.display.compliance import Compliance, compliance_of
from orchestrator_nb.orchestrator.display.shown import headline
from orchestrator_nb.orchestrator.display.views import is_shown
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.sharing import referred
from orchestrator_nb.state.transitions import DONE

ARTIFACTS = "artifacts"


class Values(Mapping[str, Any]):
    """Stored values by name, each read when it is asked for; every reading is the reader's own copy."""

    def __init__(self, stored: Mapping[str, Stored], folder: Path, live: LiveResults | None) -> None:
        self.stored = stored
        self._folder = folder
        self._live = live

    def __getitem__(self, name: str) -> Any:
        if name not in self.stored:
            there = ", ".join(f'"{known}"' for known in self.stored) or "none"
            raise KeyError(f'there is no value "{name}"; there is {there}')
        return self.load(self.stored[name])

    def load(self, stored: Stored) -> Any:
        """Return the value of any stored form of this run. Raises what `data.stored.load` raises."""
        return load(stored, artifacts=Artifacts(self._folder / ARTIFACTS), live=self._live)

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: {described(item)}" for name, item in self.stored.items()) + "}"

    def __reduce__(self) -> tuple[Any, ...]:
        # A live result stays in its process; everything else is found again in the run's folder.
        return Values, (self.stored, self._folder, None)


def described(stored: Stored) -> str:
    """Return a few words about a stored value, without reading its file."""
    if stored.form == "json" and stored.artifact is None:
        text = repr(stored.value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if stored.form == "mapping":
        items = stored.items or {}
        return "{" + ", ".join(f"{name!r}: {described(item)}" for name, item in items.items()) + "}"
    if stored.form == "live":  # its name is a key that says nothing to a reader
        return f"<{stored.type or 'a value'}, in memory>"
    size = f", {stored.size:,} bytes" if stored.size is not None else ""
    return f"<{stored.name or stored.type or stored.form}{size}>"


class RunResult(Struct, frozen=True, kw_only=True):
    """The record of a run, complete or partial.

    `state` is the run's state; `outputs` has the results of the commands that are done, `partial` what the others had
    recorded, `errors` why they failed. `shared` is the shared state. `seconds` is from start to end by the wall clock,
    `report` says which gates held, `next_steps` what to type to go on. `matrices` has for
    each cell the id of its matrix command, `milestones` for each milestone whether it is reached: then its output can be
    delivered, whatever became of the run.
    """

    run: str
    workflow: str
    state: str
    reason: str
    folder: Path
    outputs: Values
    recorded: Mapping[str, Values]
    partial: Mapping[str, Values]
    metrics: Mapping[str, Mapping[str, float]]
    artifacts: Mapping[str, Values]
    shared: Values
    errors: Mapping[str, Failure]
    deviations: Mapping[str, tuple[str, ...]]
    commands: Mapping[str, CommandRecord]
    notebooks: Mapping[str, Path]
    logs: Mapping[str, Path]
    seconds: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    report: Compliance
    next_steps: tuple[str, ...] = ()
    matrices: Mapping[str, str] = field(default_factory=dict)
    milestones: Mapping[str, bool] = field(default_factory=dict)

    @property
    def compliance(self) -> dict[str, Any]:
        """What was required of the run and what became of it, as plain JSON: whether it `complies`, the `requirements`
        of the run and the `gates` of its commands with their verdicts, `deviations` by command, and what was `relaxed`.
        """
        return self.report.to_plain()

    @property
    def succeeded(self) -> bool:
        """True when the run completed, with deviations or without."""
        return self.state == "completed"

    @property
    def exit_code(self) -> int:
        """The exit code that the command line gives: 0, 1, 3 (completed with deviations), 4 (parked) or 5 (stopped)."""
        if self.state == "completed":
            return 3 if self.deviations else 0
        return {"stopped": 5, "paused": 4}.get(self.state, 1)

    @property
    def recommendations(self) -> dict[str, tuple[str, ...]]:
        """What may help against the errors that are left, by command, and under "" how to complete the run, if it came
        to less than was planned: what can be delivered already, which commands are missing, and what to type."""
        from orchestrator_nb.orchestrator.display.advice import advice
        from orchestrator_nb.orchestrator.display.completion import completion_plan

        plan = completion_plan(
            self.state,
            commands=self.commands,
            deviations=self.deviations,
            milestones=self.milestones,
            next_steps=self.next_steps,
        )
        found = {"": tuple(plan), **{name: tuple(advice(self.commands[name])) for name in self.errors}}
        return found if found[""] else {name: texts for name, texts in found.items() if name}

    def command_result(self, command: str) -> CommandResult:
        """Return the standard record of a command, its values loaded. Raises UsageError for an unknown command."""
        record = self.commands.get(command)
        if record is None:
            raise UsageError(f'"{self.run}" has no command "{command}"; {instead(command, self.commands)}')
        success = record.state in DONE
        return command_result(
            command,
            success=success,
            output=self.outputs.stored.get(command),
            recorded=record.recorded,
            changes=(record.shared or {}) if success else {},
            metrics=record.metrics,
            load=self.outputs.load,
        )

    def summary_rows(self) -> list[dict[str, Any]]:
        """Return one row a command, in the order of the plan: command, state, attempts, seconds, and its output in
        words or what went wrong."""
        return [
            {
                "command": name,
                "state": record.state,
                "attempts": record.attempt,
                "seconds": round(record.seconds, 3),
                "output": described(self.outputs.stored[name]) if name in self.outputs else self._trouble(name),
            }
            for name, record in self.commands.items()
        ]

    def _error(self, command: str) -> dict[str, Any]:
        """Return what kind of error a failure is, where that is known."""
        error = self.commands[command].error
        if error is None:
            return {}
        return {
            "category": error.category,
            "error": error.kind,
            "severity": error.severity,
            "transient": error.transient,
            "evidence": list(error.evidence),
        }

    def _trouble(self, command: str) -> str:
        failure = self.errors.get(command)
        return self.commands[command].reason if failure is None else headline(failure)

    def to_plain(self) -> dict[str, Any]:
        """Return the result as plain JSON, values in files by their description."""
        return {
            "run": self.run,
            "workflow": self.workflow,
            "state": self.state,
            "reason": self.reason,
            "folder": str(self.folder),
            "seconds": round(self.seconds, 3),
            "parameters": dict(self.parameters),
            "outputs": {name: _plain(stored) for name, stored in self.outputs.stored.items()},
            "shared": {name: _plain(stored) for name, stored in self.shared.stored.items()},
            "partial": {
                command: {name: _plain(stored) for name, stored in values.stored.items()}
                for command, values in self.partial.items()
            },
            "metrics": {name: dict(values) for name, values in self.metrics.items()},
            "milestones": dict(self.milestones),
            "deviations": {name: list(texts) for name, texts in self.deviations.items()},
            "compliance": self.compliance,
            "errors": {
                name: {"kind": failure.kind, "message": failure.message, "cell": failure.cell, **self._error(name)}
                for name, failure in self.errors.items()
            },
            "recommendations": {name: list(texts) for name, texts in self.recommendations.items()},
            "commands": {
                name: {
                    "state": record.state,
                    "attempts": record.attempt,
                    "seconds": round(record.seconds, 3),
                    **({"reason": record.reason} if record.reason else {}),
                }
                for name, record in self.commands.items()
            },
            "notebooks": {name: str(path) for name, path in self.notebooks.items()},
            "logs": {name: str(path) for name, path in self.logs.items()},
            "next": list(self.next_steps),
        }

    def __repr__(self) -> str:
        done = sum(record.state in DONE for record in self.commands.values())
        return f"<RunResult {self.run}: {self.state}, {done} of {len(self.commands)} commands succeeded>"

    def _ipython_display_(self) -> None:
        if not is_shown(self.run):
            raise NotImplementedError  # IPython goes on to ask for the representations

    def _repr_html_(self) -> str:
        from orchestrator_nb.drawing.table import table_card
        from orchestrator_nb.orchestrator.display.failure_card import card_html

        lead = f"{self.run}: {self.state}" + (f" ({self.reason})" if self.reason else "")
        cards = (
            card_html(name, failure, self.notebooks.get(name), self.logs.get(name), cell=self.commands[name].cell)
            for name, failure in self.errors.items()
        )
        below = "".join(f'<div class="onb-card">{card}</div>' for card in cards)
        columns = ("command", "state", "attempts", "seconds", "output")
        return table_card(lead, columns, self.summary_rows(), below=below)


def result_of(
    state: RunState, folder: Path, *, live: LiveResults | None = None, next_steps: tuple[str, ...] = ()
) -> RunResult:
    """Put together what a state says, as a result; the run need not have ended."""
    commands = dict(state.commands)
    done = {name: record for name, record in commands.items() if record.state in DONE}
    outputs = {name: record.output() or Stored(form="json") for name, record in done.items()}
    more = {name: record for name, record in commands.items() if _has_more(record)}

    def values(stored: Mapping[str, Stored]) -> Values:
        return Values(stored, folder, live)

    run = state.run
    end = run.ended or max((record.ended or 0.0 for record in commands.values()), default=0.0)
    return RunResult(
        run=run.run or folder.name,
        workflow=run.workflow,
        state=run.state,
        reason=run.reason,
        folder=folder,
        parameters=dict(run.parameters),
        outputs=values(outputs),
        recorded={name: values(record.recorded) for name, record in more.items() if record.recorded and name in done},
        partial={
            name: values(record.recorded) for name, record in more.items() if record.recorded and name not in done
        },
        metrics={name: dict(record.metrics) for name, record in more.items() if record.metrics},
        artifacts={name: values(record.artifacts) for name, record in more.items() if record.artifacts},
        shared=values_of_shared(state.shared, folder),
        errors={
            name: record.failure
            for name, record in more.items()
            if record.failure is not None and record.state in ("failed", "crashed", "waiting")
        },
        deviations=dict(state.deviations),
        commands=commands,
        notebooks={name: folder / record.notebook for name, record in more.items() if record.notebook},
        logs={name: folder / record.log for name, record in more.items() if record.log},
        seconds=max(0.0, end - run.started) if run.started else 0.0,
        report=compliance_of(state, folder),
        next_steps=next_steps,
        matrices={name: planned.matrix for name, planned in state.planned.items() if planned.matrix},
        milestones=state.milestones(),
    )


def _has_more(record: CommandRecord) -> bool:
    """Whether there is anything to say of a command besides its state and its result."""
    return bool(
        record.recorded or record.metrics or record.artifacts or record.failure or record.notebook or record.log
    )


def values_of_shared(shared: Mapping[str, Any], folder: Path) -> Values:
    """Return the values of a shared state, each read when it is asked for."""
    return Values(
        {name: referred(value) or Stored(form="json", value=value) for name, value in shared.items()}, folder, None
    )


def _plain(stored: Stored) -> Any:
    if stored.form == "json" and stored.artifact is None:
        return stored.value
    if stored.form == "mapping":
        return {name: _plain(item) for name, item in (stored.items or {}).items()}
    return {"form": stored.form, "artifact": stored.artifact, "size": stored.size, "type": stored.type}
