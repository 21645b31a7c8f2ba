"""Opening a run: what was checked and planned becomes a folder with a journal and a session that drives it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.data.secret_digests import SecretDigests
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.engine.outline import Outline, outline
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.identity import identity
from orchestrator_nb.journal.owner import Ownership, take_over
from orchestrator_nb.journal.store import JOURNAL, create_run
from orchestrator_nb.orchestrator.collector import collector_at_rest
from orchestrator_nb.orchestrator.display.result import ARTIFACTS
from orchestrator_nb.orchestrator.earlier.durations import earlier_seconds
from orchestrator_nb.orchestrator.earlier.errors import never_mended, not_tried_again
from orchestrator_nb.orchestrator.earlier.results import EarlierResults, Kept
from orchestrator_nb.orchestrator.frozen import Frozen, freeze_sources
from orchestrator_nb.orchestrator.overlap import admitted
from orchestrator_nb.orchestrator.reuse.verdicts import Reuse, Verdict
from orchestrator_nb.orchestrator.rollbacks.checkpoint_steps import with_checkpoints
from orchestrator_nb.orchestrator.run import GoOn, Run
from orchestrator_nb.orchestrator.session import Owned, Session
from orchestrator_nb.orchestrator.settings import recorded_settings
from orchestrator_nb.orchestrator.store.promises import weaker_promises
from orchestrator_nb.orchestrator.store.store_check import check_store
from orchestrator_nb.plan.fingerprint import canonical, fingerprint
from orchestrator_nb.plan.key import key_of
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.selection import narrowed
from orchestrator_nb.ports import Command, Observer
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.sharing import is_function
from orchestrator_nb.version import VERSION


class Opening(Struct, frozen=True, kw_only=True):
    """A plan that was checked, with all that a session needs to drive it. `go_on` resumes the run once it was left,
    `parent` is the run that it is a part of, `memory` is how much the machine has, in bytes, where it is asked for,
    `settings` are those that were given besides the definition's. `selected` are the commands that were selected, None
    for all, and `given` the results of earlier runs that stand for others; with `reuse`, what is up to date does not
    run; `left_out` commands are neither. `decide` says whether decisions are waited for (wait, now, park). `today` opens a run's workflow as it is now.
    `gates` are the functions of the session that are gates, by their address."""

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
    selected: tuple[str, ...] | None = None
    given: Mapping[str, Kept] = field(default_factory=dict)
    left_out: int = 0
    reuse: bool = False
    today: Today | None = None
    gates: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    decide: str = "park"

    def frozen(self) -> Frozen:
        """Return what the run has to keep of it."""
        return Frozen(
            definition=self.plan.definition,
            folder=self.plan.folder,
            origin=self.origin,
            defined_in=self.defined_in,
            parameters=self.plan.parameters,
            settings=self.settings,
            selected=self.selected,
            reuse=self.reuse,
        )

    def part(self, selected: tuple[str, ...], given: Mapping[str, Kept] | Collection[str]) -> Opening:
        """Return the opening of a part: the commands of it, and those whose results are given, by id."""
        kept = given if isinstance(given, Mapping) else {}
        plan = narrowed(self.plan, selected, given=given)
        left_out = len(self.plan.order) - len(plan.order)
        return replace(self, plan=plan, selected=selected, given=kept, left_out=left_out)

    def planned(self, store: Path) -> Outline:
        """Return what the journal says of the plan: each command in order, as earlier runs in the store make it known."""
        plan = self.plan
        learning = plan.definition.optimization.history
        earlier = earlier_seconds(store, plan.definition.workflow, plan.commands) if learning else {}
        found = outline(plan, slots=self.slots, seconds=earlier, memory=self.memory)
        if plan.definition.recovery.learn:
            for name, causes in never_mended(store, plan.definition.workflow, plan.commands).items():
                found.commands[name]["hopeless"] = list(causes)
        secrets = SecretDigests(store, make=True)
        for name in self._own():
            item = found.commands[name]
            said = canonical(plan.commands[name])
            item["fingerprint"] = fingerprint(name, plan=plan, commands=self.commands, said=said)
            key = key_of(name, plan=plan, commands=self.commands, secrets=secrets, said=said)
            if key:
                item["result_key"] = key
        return with_checkpoints(found._replace(left_out=self.left_out), plan, self._own())

    def forecast(self, store: Path) -> dict[str, Verdict]:
        """Return for each command whether it is up to date, nothing where reuse is not asked for. Raises StoreError."""
        if not self.reuse:
            return {}
        secrets = SecretDigests(store)
        keys = {name: key_of(name, plan=self.plan, commands=self.commands, secrets=secrets) for name in self._own()}
        earlier = EarlierResults(store, self.plan.definition.workflow)
        return self._reusing(keys, earlier).forecast()

    def _reusing(self, keys: Mapping[str, str], earlier: EarlierResults) -> Reuse:
        return Reuse(
            plan=self.plan,
            commands=self.commands,
            keys=keys,
            earlier=earlier,
            given={name: kept.record for name, kept in self.given.items()},
        )

    def _own(self) -> Collection[str]:
        """Return the commands that may run in it."""
        return self.plan.order if self.selected is None else self.selected


Today = Callable[[Path], Opening]
"""Opens the workflow of the run in a folder as it is now, with the run's parameters; nothing is checked or started."""

OpeningOf = Callable[[Frozen, Collection[str]], Opening]
"""Makes today's opening of a run that was started so; the commands named second have their results and are not
checked."""


def start_opened(opening: Opening, *, store: Path, run: str | None = None) -> Run:
    """Open a new run in the store and start it; `run` is its id, unless a new one is made.

    Raises StoreError, and where another run of the workflow is under way what its `overlap` says.
    """
    plan, opening = opening.plan, with_notifiers(opening)
    notes = check_store(store) if opening.parent is None else ()
    waited = plan.definition.coordination_timeout
    with admitted(store, plan.definition.workflow, opening.overlap, wait=waited), collector_at_rest():
        folder = create_run(store, plan.definition.workflow, run=run)
        # The journal comes last: a folder that has one has all that a resume needs.
        try:
            opening.frozen().write(folder)
            freeze_sources(that_run(opening), plan.folder, folder)
            beginning, reuse = first_facts(folder, opening, notes)
            owned = own(folder, durable=opening.durability == "full")
        except BaseException:
            if run is None and not (folder / JOURNAL).exists():
                import shutil

                shutil.rmtree(folder, ignore_errors=True)  # nothing has begun: it would only be in the way
            raise
    return begin(owned, opening, RunState(), beginning, reuse)


def with_notifiers(opening: Opening) -> Opening:
    """Return the opening with those who are told by its definition; a part of a run tells nobody. Raises UsageError."""
    if opening.parent is not None or not opening.plan.definition.notify:
        return opening
    from orchestrator_nb.orchestrator.notifying import notifiers

    return replace(opening, observers=(*opening.observers, *notifiers(opening.plan.definition)))


def that_run(opening: Opening) -> list[CommandDefinition]:
    """Return the definitions of the commands that may run in it."""
    return [opening.plan.commands[name] for name in opening._own()]


def earlier_of(folder: Path, opening: Opening) -> EarlierResults:
    """Return the results of the runs of the workflow in the store, without those of the run itself."""
    return EarlierResults(folder.parent, opening.plan.definition.workflow, besides=folder.name)


def reusing(folder: Path, opening: Opening, planned: Outline) -> Reuse | None:
    """Return what looks whether commands are up to date, None where that was not asked for."""
    if not opening.reuse:
        return None
    keys = {name: item.get("result_key", "") for name, item in planned.commands.items()}
    return opening._reusing(keys, earlier_of(folder, opening))


def begin(owned: Owned, opening: Opening, state: RunState, beginning: list[e.Event], reuse: Reuse | None = None) -> Run:
    """Have a session drive the run from its first facts, or those with which it goes on; return the run."""
    session = Session(
        owned=owned,
        state=state,
        plan=opening.plan,
        commands=opening.commands,
        slots=opening.slots,
        durable=opening.durability == "full",
        live=LiveResults(),
        observers=opening.observers,
        reuse=reuse,
        gates=opening.gates,
    )
    session.start(beginning)
    return Run(owned.folder, session=session, in_session=opening.defined_in, go_on=opening.go_on, today=opening.today)


def own(folder: Path, *, durable: bool, taking_over: bool = False) -> Owned:
    """Take a run for this process and open its journal. Raises RunRefused, StoreError."""
    ownership = take_over(folder) if taking_over else Ownership(folder)
    try:
        journal = JournalFile(folder / JOURNAL, durable=durable, clock=time.time)
    except BaseException:
        ownership.release()
        raise
    return Owned(folder=folder, ownership=ownership, journal=journal)


def first_facts(folder: Path, opening: Opening, notes: Iterable[str]) -> tuple[list[e.Event], Reuse | None]:
    """Return the facts with which a new run begins, what it takes over from earlier runs among them."""
    now = time.time()
    plan = opening.plan
    started = e.RunStarted(
        at=now,
        run=folder.name,
        workflow=plan.definition.workflow,
        format=e.FORMAT,
        parameters=plan.parameters,
        durability=opening.durability,
        slots=opening.slots,
        owner=identity(),
        version=VERSION,
        parent=opening.parent,
        settings=recorded_settings(plan.definition),
        decide=opening.decide,
    )
    notes = (*plan.notes, *weaker_promises(opening.durability), *notes)
    notices: list[e.Event] = [e.NoticeGiven(at=now, text=note) for note in notes]
    planned = opening.planned(folder.parent)
    notices += [e.NoticeGiven(at=now, text=text, command=name) for name, text in not_tried_again(planned.commands)]
    durable = opening.durability == "full"
    facts = [started, planned.planned(now), *notices]
    for name, kept in opening.given.items():
        from orchestrator_nb.orchestrator.reuse.taking_over import take_over as take_result

        reason = f"not selected, its result is that of {kept.origin}"
        facts.append(take_result(kept, name, folder=folder, now=now, reason=reason, durable=durable))
    reuse = reusing(folder, opening, planned)
    if reuse is not None:
        facts += reuse.beginning(folder, now, durable=durable)
    if opening.given and any(map(is_function, planned.merge.values())):
        from orchestrator_nb.executors.merging import Merging
        from orchestrator_nb.orchestrator.reuse.taking_over import with_merges

        merging = Merging(
            folder=plan.folder, artifacts=Artifacts(folder / ARTIFACTS, durable=durable), functions=opening.gates
        )
        facts = with_merges(facts, merging.made, shared=plan.definition.context, strategies=planned.merge)
    return facts, reuse
