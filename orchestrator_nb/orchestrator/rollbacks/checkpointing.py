"""How the steps of a run that keep its files, or go back to them, are carried out and answered; none ever fails the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from orchestrator_nb import events as e
from orchestrator_nb.checkpoints.record import Checkpoint, headline_of
from orchestrator_nb.checkpoints.retention import tidy
from orchestrator_nb.checkpoints.rollback import finish, unfinished
from orchestrator_nb.checkpoints.snapshot import take
from orchestrator_nb.checkpoints.store import CheckpointStore, open_store
from orchestrator_nb.definition.models import CheckpointsDefinition, CommandDefinition
from orchestrator_nb.errors import CheckpointError
from orchestrator_nb.events.checkpoint import CHECKPOINT, GATE_CHECKPOINT
from orchestrator_nb.journal.owner import is_owned
from orchestrator_nb.orchestrator.display.evidence import evidence_of
from orchestrator_nb.orchestrator.rollbacks.going_back import go_back
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.pools import amount
from orchestrator_nb.plan.written import Written, located, written_by
from orchestrator_nb.ports import Step
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.step_facts import ROLLBACK

_LABELS = {"recovery": "resumed"}
_SHOWN = 50
"""So many of the files that were left out are told in an event."""


class Checkpointing:
    """Keeps the files of a run's project, and goes back to them. Its steps are called from threads of the executor.

    `state` gives where the run stands, `position` how many facts its journal has.
    """

    def __init__(
        self,
        plan: Plan,
        run_folder: Path,
        *,
        durable: bool,
        clock: Callable[[], float],
        state: Callable[[], RunState],
        position: Callable[[], int],
    ) -> None:
        self._plan, self._run_folder, self._durable, self._clock = plan, run_folder, durable, clock
        self._state, self._position = state, position

    @property
    def steps(self) -> Mapping[str, Callable[[Step], e.Event]]:
        """What it can carry out, by the names of the steps."""
        return {CHECKPOINT: self.keep, ROLLBACK: self.roll_back}

    @cached_property
    def store(self) -> CheckpointStore:
        """Where the checkpoints are. Raises CheckpointError."""
        return open_store(self._plan.folder, runs=self._run_folder.parent, durable=self._durable)

    def keep(self, step: Step) -> e.Event:
        """Take the checkpoint that a step asks for, and return the fact that it was taken, or why not."""
        begun = time.perf_counter()
        for_good = True
        try:
            store = self.store
            for_good = False
            if step.moment in ("start", "recovery"):
                mend(store)
            if step.moment == "recovery":
                self._keep_what_was_cut(store)
            taken = self._take(store, step)
            if step.name == CHECKPOINT and step.moment == "completion":
                self._forget_old(store)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
            reason = str(error) if isinstance(error, CheckpointError) else f"{type(error).__name__}: {error}"
            return e.CheckpointSkipped(
                at=self._clock(), boundary=_boundary(step), reason=reason, for_good=for_good, command=step.command,
                attempt=step.attempt, gate=_gate(step),
            )  # fmt: skip
        return e.CheckpointTaken(
            at=self._clock(), boundary=taken.kind, id=taken.id, commit=taken.commit, message=headline_of(taken),
            files=taken.files, left_out=dict(taken.skipped[:_SHOWN]), seconds=time.perf_counter() - begun,
            command=step.command, attempt=step.attempt, gate=_gate(step),
        )  # fmt: skip

    def roll_back(self, step: Step) -> e.Event:  # noqa: ARG002 - the state says what is asked for
        """Carry out the rollback that is asked for, and return the fact that the run went back, or why not."""
        state = self._state()
        asked = state.run.rollback
        assert asked is not None, "no rollback is asked for"
        return go_back(
            asked, state, run_folder=self._run_folder, project=self._plan.folder, limit=self._limit,
            durable=self._durable, clock=self._clock, position=self._position(),
        )  # fmt: skip

    def writes(self, command: str) -> Written:
        """Return the files that a command declares to write."""
        definition = self._plan.commands.get(command)
        return Written() if definition is None else self._written(definition)

    def _written(self, definition: CommandDefinition) -> Written:
        return written_by(definition, folder=self._plan.folder, parameters=self._plan.parameters)

    @property
    def _options(self) -> CheckpointsDefinition:
        return self._plan.definition.checkpoints

    @cached_property
    def _limit(self) -> int:
        size = self._options.size_limit
        return 2**63 if size == "all" else amount(size)

    @cached_property
    def _excluded(self) -> Written:
        return located(self._options.exclude, place=str(self._plan.folder), parameters=self._plan.parameters)

    def _take(self, store: CheckpointStore, step: Step) -> Checkpoint:
        if gate := _gate(step):
            return self._take_of(store, "gate", self._seen_by_gate(step), subject=gate, whole=False, step=step)
        whole = step.command is None and step.moment in self._options.at
        if step.command is not None:
            declared = [self.writes(step.command)]
        else:
            declared = self._all_declared()
        kind = _boundary(step)
        label = "failed" if kind == "left" else None
        return self._take_of(store, kind, declared, subject=step.command, whole=whole, step=step, label=label)

    def _seen_by_gate(self, step: Step) -> list[Written]:
        """Return the files to look at when a gate was passed: those of its command have just been kept."""
        return [] if step.command is not None else self._all_declared()

    def _all_declared(self) -> list[Written]:
        included = located(self._options.include, place=str(self._plan.folder), parameters=self._plan.parameters)
        return [included, *(self._written(each) for each in self._plan.commands.values())]

    def _take_of(
        self,
        store: CheckpointStore,
        kind: str,
        declared: list[Written],
        *,
        subject: str | None,
        whole: bool,
        step: Step | None = None,
        label: str | None = None,
    ) -> Checkpoint:
        state = self._state()
        run = state.run
        patterns = any(each.patterns for each in declared)
        known = [store.root / path for path in store.known(run.run)] if patterns else []
        return take(
            store,
            run=run.run,
            kind=kind,
            workflow=run.workflow,
            subject=subject,
            label=label or self._label(kind, subject),
            declared=dict.fromkeys(path for each in declared for path in each.found(known)),
            whole=whole,
            position=self._position(),
            more=evidence_of(state, step, _gate(step) if step is not None else ""),
            limit=self._limit,
            excluded=self._excluded.fits if self._excluded else None,
        )

    def _label(self, kind: str, subject: str | None) -> str | None:
        """Return what the message of a checkpoint calls its subject."""
        described = self._plan.commands.get(subject or "") if kind == "command" else None
        return described.description or None if described is not None else _LABELS.get(kind)

    def _keep_what_was_cut(self, store: CheckpointStore) -> None:
        """Take what attempts have left that died with their owner for theirs: nobody else has written it."""
        for name, record in self._state().commands.items():
            written = self.writes(name) if record.state == "pending" and record.deaths else Written()
            if written:
                self._take_of(store, "left", [written], subject=name, whole=False, label="cut")

    def _forget_old(self, store: CheckpointStore) -> None:
        options = self._options
        days = None if options.keep_for == "none" else options.keep_for / 86400
        runs, own = self._run_folder.parent, self._run_folder.name
        tidy(
            store,
            workflow=self._plan.definition.workflow,
            keep=options.keep,
            days=days,
            live=lambda run: run != own and is_owned(runs / run),
        )


def _boundary(step: Step) -> str:
    """Return the kind of checkpoint that a step asks for: of what a failed command has left, of a gate, of its moment."""
    if step.record is not None and step.record.state in {"failed", "crashed", "waiting"}:
        return "left"
    return "gate" if _gate(step) else step.moment


def _gate(step: Step) -> str:
    """Return the gate of which the step is, empty where it is of none."""
    return step.name.removeprefix(GATE_CHECKPOINT) if step.name.startswith(GATE_CHECKPOINT) else ""


def mend(store: CheckpointStore) -> None:
    """Complete every rollback that was cut by the death of its process; one that is under way is waited for."""
    for intent in unfinished(store):
        try:
            finish(store, intent)
        except CheckpointError:
            if any(each.name == intent.name for each in unfinished(store)):
                raise
