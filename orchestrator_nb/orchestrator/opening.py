"""Opening a run: a new one, or one that goes on after a pause, an end or the death of its owner."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.commands.kernel_folder import remove_dead_folders
from orchestrator_nb.commands.processes import end_leftovers
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.definition.models import WorkflowDefinition
from orchestrator_nb.engine.outline import Outline, outline
from orchestrator_nb.engine.resume import lost_attempts, lost_live_results, missing_parts
from orchestrator_nb.errors import RunRefused, StoreError
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.identity import identity
from orchestrator_nb.journal.live import remove_live
from orchestrator_nb.journal.owner import Ownership, take_over
from orchestrator_nb.journal.store import JOURNAL, create_run
from orchestrator_nb.orchestrator.collector import collector_at_rest
from orchestrator_nb.orchestrator.earlier import earlier_seconds
from orchestrator_nb.orchestrator.frozen import Frozen, freeze_sources, remove_parts
from orchestrator_nb.orchestrator.kept_results import check_kept_results
from orchestrator_nb.orchestrator.manifest import complete_manifest
from orchestrator_nb.orchestrator.overlap import admitted
from orchestrator_nb.orchestrator.promises import weaker_promises
from orchestrator_nb.orchestrator.result import ARTIFACTS
from orchestrator_nb.orchestrator.run import GoOn, Run
from orchestrator_nb.orchestrator.session import Owned, Session
from orchestrator_nb.orchestrator.settings import recorded_settings
from orchestrator_nb.orchestrator.shown import listed
from orchestrator_nb.orchestrator.store_check import check_store
from orchestrator_nb.plan.fingerprint import fingerprint
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.pools import MEMORY
from orchestrator_nb.ports import Command, Observer
from orchestrator_nb.records import PlannedCommand, planned_command
from orchestrator_nb.state import RunState, fold
from orchestrator_nb.transitions import IllegalTransition

MANY = 10
"""So many commands are named at the most where a change is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A plan that was checked, with all that a session needs to drive it. `go_on` resumes the run once it was left,
    `parent` is the run that it is a part of, `memory` is how much the machine has, in bytes, where it is asked for,
    `settings` are those that were given besides the definition's."""

    plan: Plan
    commands: Mapping[str, Command]
    origin: Path | None
    defined_in: str | None
    slots: int
    durability: str
    observers: tuple[Observer, ...]
    overlap: str = "allow"
    go_on: GoOn | None = None
    parent: str | None = None
    memory: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def frozen(self) -> Frozen:
        """Return what the run has to keep of it."""
        return Frozen(
            definition=self.plan.definition,
            folder=self.plan.folder,
            origin=self.origin,
            defined_in=self.defined_in,
            parameters=self.plan.parameters,
            settings=self.settings,
        )

    def planned(self, store: Path) -> Outline:
        """Return what the journal says of the plan: each command in order, as earlier runs in the store make it known."""
        plan = self.plan
        learning = plan.definition.optimization.history
        earlier = earlier_seconds(store, plan.definition.workflow, plan.commands) if learning else {}
        found = outline(plan, slots=self.slots, seconds=earlier, memory=self.memory)
        for name, known in self.fingerprints().items():
            found.commands[name]["fingerprint"] = known
        return found

    def fingerprints(self) -> dict[str, str]:
        """Return the fingerprint of each command."""
        return {name: fingerprint(name, plan=self.plan, commands=self.commands) for name in self.plan.order}


OpeningOf = Callable[[Frozen, Collection[str]], Opening]
"""Makes today's opening of a run that was started so; the commands named second have their results and are not
checked."""


def start_opened(opening: Opening, *, store: Path, run: str | None = None) -> Run:
    """Open a new run in the store and start it; `run` is its id, unless a new one is made.

    Raises StoreError, and where another run of the workflow is under way what its `overlap` says.
    """
    plan = opening.plan
    notes = check_store(store) if opening.parent is None else ()
    waited = plan.definition.coordination_timeout
    with admitted(store, plan.definition.workflow, opening.overlap, wait=waited), collector_at_rest():
        folder = create_run(store, plan.definition.workflow, run=run)
        # The journal comes last: a folder that has one has all that a resume needs.
        try:
            opening.frozen().write(folder)
            freeze_sources(plan.commands.values(), plan.folder, folder)
            beginning = _first_facts(folder, opening, notes)
            owned = _own(folder, durable=opening.durability == "full")
        except StoreError:
            if run is None and not (folder / JOURNAL).exists():
                shutil.rmtree(folder, ignore_errors=True)  # nothing has begun: it would only be in the way
            raise
    return _begin(owned, opening, RunState(), beginning)


@collector_at_rest()
def resume_opened(
    folder: Path,
    opening_of: OpeningOf,
    *,
    accept_changes: bool = False,
    taking_over: bool = False,
    durable: bool = True,
) -> Run:
    """Take over a run and go on with it; one that is complete is only looked at.

    Before anything is dispatched, every process that a dead owner left is ended; a living one of this host, too, when
    `taking_over`. Raises RunRefused, DefinitionError, StoreError.
    """
    notes = check_store(folder.parent)
    owned = _own(folder, durable=durable, taking_over=taking_over)
    try:
        state = _folded(owned.journal)
        frozen = Frozen.read(folder)
        end_leftovers(folder)
        Artifacts(folder / ARTIFACTS).remove_leftovers(older_than=0.0)
        remove_parts(folder)
        remove_live(folder)
        remove_dead_folders()
        settled = [name for name, record in state.commands.items() if record.state == "succeeded"]
        opening = opening_of(frozen, settled)
        if state.run.state == "new":
            beginning = _first_facts(folder, opening, notes)
            freeze_sources(opening.plan.commands.values(), opening.plan.folder, folder)
        elif state.run.state == "completed" and not state.deviations:
            complete_manifest(folder, state)
            owned.release()
            return Run(folder, go_on=opening.go_on)
        else:
            check_kept_results(state, opening.plan, Artifacts(folder / ARTIFACTS))
            beginning = _going_on(state, opening, folder.parent, accept_changes=accept_changes)
            beginning.extend(e.NoticeGiven(at=time.time(), text=note) for note in notes)
            opening.frozen().write(folder)
            left = [c for c in opening.plan.commands.values() if _is_left(c.id, state)]
            freeze_sources(left, opening.plan.folder, folder)
    except BaseException:
        owned.release()
        raise
    return _begin(owned, opening, state, beginning)


def _begin(owned: Owned, opening: Opening, state: RunState, beginning: list[e.Event]) -> Run:
    session = Session(
        owned=owned,
        state=state,
        plan=opening.plan,
        commands=opening.commands,
        slots=opening.slots,
        durable=opening.durability == "full",
        live=LiveResults(),
        observers=opening.observers,
    )
    session.start(beginning)
    return Run(owned.folder, session=session, in_session=opening.defined_in, go_on=opening.go_on)


def _own(folder: Path, *, durable: bool, taking_over: bool = False) -> Owned:
    ownership = take_over(folder) if taking_over else Ownership(folder)
    try:
        journal = JournalFile(folder / JOURNAL, durable=durable, clock=time.time)
    except BaseException:
        ownership.release()
        raise
    return Owned(folder=folder, ownership=ownership, journal=journal)


def _folded(journal: JournalFile) -> RunState:
    try:
        return fold(journal.read())
    except IllegalTransition as error:
        raise StoreError(f'the journal "{journal.path}" tells something impossible: {error}') from error


def _first_facts(folder: Path, opening: Opening, notes: Iterable[str]) -> list[e.Event]:
    now = time.time()
    plan = opening.plan
    started = e.RunStarted(
        at=now,
        run=folder.name,
        workflow=plan.definition.workflow,
        parameters=plan.parameters,
        durability=opening.durability,
        slots=opening.slots,
        owner=identity(),
        version=_version(),
        parent=opening.parent,
        settings=recorded_settings(plan.definition),
    )
    notes = (*plan.notes, *weaker_promises(opening.durability), *notes)
    notices: list[e.Event] = [e.NoticeGiven(at=now, text=note) for note in notes]
    return [started, opening.planned(folder.parent).planned(now), *notices]


def _going_on(state: RunState, opening: Opening, store: Path, *, accept_changes: bool) -> list[e.Event]:
    """Return the facts with which a run goes on: a new owner, what its death cost, what is missing, what changed."""
    now = time.time()
    planned = opening.planned(store)
    changes = _changes(state, planned.commands, accept_changes=accept_changes)
    lost, missing = lost_attempts(state, now), missing_parts(state, now, rerouted=_rerouted(state, planned.commands))
    plan = opening.plan
    live = lost_live_results(
        state,
        inputs={name: upstream for name, upstream in plan.upstream.items() if name in state.commands},
        order=[name for name in plan.order if name in state.commands],
        now=now,
        before=[*lost, *missing],
    )
    facts: list[e.Event] = [e.RunResumed(at=now, owner=identity(), slots=opening.slots), *lost, *missing, *live]
    if changes:
        facts.append(e.DefinitionChanged(at=now, changes=tuple(changes)))
        facts.append(planned.planned(now))
    return facts


def _changes(state: RunState, planned: Mapping[str, Mapping[str, Any]], *, accept_changes: bool) -> list[str]:
    """Return in words what differs from the run's plan. Raises RunRefused if it touches what has succeeded."""
    changes, touched = [], []
    for name, item in planned.items():
        before = state.planned.get(name)
        if before is None:
            changes.append(f'"{name}" is new')
        elif before.fingerprint != item["fingerprint"]:
            changes.append(f'"{name}" has changed')
            if state.commands[name].state == "succeeded":
                touched.append(name)
        elif list(before.upstream) != item["upstream"]:
            changes.append(f'"{name}" follows {listed(item["upstream"], MANY) or "nothing"} now')
        elif before.needs != item.get("needs") or before.priority != item.get("priority", 0):
            changes.append(f'"{name}" has other resources or another priority now')
        elif _route(before) != _route(planned_command(item)):
            changes.append(f'"{name}" has another trigger rule or condition now')
    changes.extend(f'"{name}" is gone' for name in state.planned if name not in planned)
    if touched and not accept_changes:
        names = ", ".join(f'"{name}"' for name in touched)
        msg = (
            f"{names} succeeded in this run and changed since; to keep what was made before, resume with "
            f"--accept-changes (accept_changes=True), or start a new run"
        )
        raise RunRefused(msg)
    return changes


def _route(planned: PlannedCommand) -> tuple[object, ...]:
    """Return what says whether a command runs."""
    return planned.upstream, planned.trigger_rule, planned.when


def _rerouted(state: RunState, planned: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the commands that were there before and of which something else says now whether they run."""
    known = ((name, state.planned.get(name), planned_command(item)) for name, item in planned.items())
    return {name for name, before, item in known if before is not None and _route(before) != _route(item)}


def _is_left(name: str, state: RunState) -> bool:
    return name not in state.commands or state.commands[name].state != "succeeded"


def machine_memory(definition: WorkflowDefinition) -> int | None:
    """Return how many bytes of memory the machine has, None where no command of the workflow takes any."""
    if not any(MEMORY in command.resources for command in definition.commands):
        return None
    import psutil

    return int(psutil.virtual_memory().total)


def cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def _version() -> str:
    try:
        return version("orchestrator-nb")
    except PackageNotFoundError:
        return "unknown"
