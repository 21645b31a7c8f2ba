"""Going on with a run: after a pause, an end or the death of its owner."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from msgspec.structs import replace

from orchestrator_nb import events as e
from orchestrator_nb.commands.notebooks.kernel_folder import remove_dead_folders
from orchestrator_nb.commands.processes import end_leftovers
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.live import remove_live
from orchestrator_nb.orchestrator.collector import collector_at_rest
from orchestrator_nb.orchestrator.display.result import ARTIFACTS
from orchestrator_nb.orchestrator.frozen import Frozen, freeze_sources, remove_parts
from orchestrator_nb.orchestrator.going_on import going_on, is_left
from orchestrator_nb.orchestrator.opening import (
    Opening,
    OpeningOf,
    begin,
    earlier_of,
    first_facts,
    own,
    reusing,
    that_run,
    with_notifiers,
)
from orchestrator_nb.orchestrator.reuse.kept_results import check_kept_results
from orchestrator_nb.orchestrator.reuse.parts import given_to
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.store.manifest import complete_manifest
from orchestrator_nb.orchestrator.store.store_check import check_store
from orchestrator_nb.plan.selection import narrowed, read_selection, select
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.transitions import DONE, IllegalTransition


@collector_at_rest()
def resume_opened(
    folder: Path,
    opening_of: OpeningOf,
    *,
    accept_changes: bool = False,
    taking_over: bool = False,
    durable: bool = True,
    start_from: Sequence[str] = (),
    admission: AbstractContextManager[None] | None = None,
) -> Run:
    """Take over a run and go on with it; one that is complete is only looked at.

    Where other runs of the workflow count, `admission` is what `overlap.admitted` gives.

    What is selected by `start_from` runs again, and everything downstream of it. Before anything is dispatched, every
    process that a dead owner left is ended; a living one of this host, too, when `taking_over`.

    Raises RunRefused, DefinitionError, StoreError.
    """
    notes = check_store(folder.parent)
    with admission or nullcontext():
        owned = own(folder, durable=durable, taking_over=taking_over)
    try:
        state = _folded(owned.journal)
        frozen = Frozen.read(folder)
        end_leftovers(folder)
        Artifacts(folder / ARTIFACTS).remove_leftovers(older_than=0.0)
        remove_parts(folder)
        remove_live(folder)
        remove_dead_folders()
        opening, again = _opened_again(state, frozen, opening_of, start_from)
        if state.run.state == "new":
            if frozen.selected is not None:
                earlier = earlier_of(folder, opening)
                opening = opening.part(frozen.selected, given_to(opening.plan, frozen.selected, earlier))
            beginning, reuse = first_facts(folder, opening, notes)
            freeze_sources(that_run(opening), opening.plan.folder, folder)
        elif _is_complete(state) and not again:
            complete_manifest(folder, state)
            owned.release()
            return Run(folder, go_on=opening.go_on, today=opening.today)
        else:
            if frozen.selected is not None:
                there = [name for name in opening.plan.order if name in state.planned]
                opening = opening.part(
                    tuple(name for name in there if name in frozen.selected),
                    [name for name in there if name not in frozen.selected],
                )
            check_kept_results(state, opening.plan, Artifacts(folder / ARTIFACTS), again=again)
            planned = opening.planned(folder.parent)
            beginning = going_on(
                state,
                opening.plan,
                planned,
                slots=opening.slots,
                accept_changes=accept_changes,
                again=again,
                decide=opening.decide,
            )
            beginning.extend(e.NoticeGiven(at=time.time(), text=note) for note in notes)
            reuse = reusing(folder, opening, planned)
            opening.frozen().write(folder)
            left = [command for command in that_run(opening) if command.id in again or is_left(command.id, state)]
            freeze_sources(left, opening.plan.folder, folder)
        opening = with_notifiers(opening)
    except BaseException:
        owned.release()
        raise
    return begin(owned, opening, state, beginning, reuse)


def _is_complete(state: RunState) -> bool:
    """Whether there is nothing to go on with."""
    return state.run.state == "completed" and not state.deviations and state.run.rollback is None


def _opened_again(
    state: RunState, frozen: Frozen, opening_of: OpeningOf, start_from: Sequence[str]
) -> tuple[Opening, Collection[str]]:
    """Return today's opening of a run that is there, and the commands that are to run again."""
    known = [name for name, record in state.commands.items() if record.state in DONE]
    if frozen.selected is not None:
        whole = opening_of(frozen, [command.id for command in frozen.definition.commands]).plan
        known += [name for name in whole.order if name not in frozen.selected]
    if not start_from:
        opening = opening_of(frozen, known)
        return replace(opening, reuse=frozen.reuse), ()
    plan = opening_of(frozen, known).plan
    if frozen.selected is not None:
        plan = narrowed(plan, [name for name in frozen.selected if name in plan.commands])
    again = set(select(read_selection(start_from=start_from), plan))
    # What runs again is checked, and what succeeded before is not.
    opening = opening_of(frozen, [name for name in known if name not in again])
    return replace(opening, reuse=frozen.reuse), again


def _folded(journal: JournalFile) -> RunState:
    try:
        return fold(journal.read())
    except IllegalTransition as error:
        raise StoreError(f'the journal "{journal.path}" tells something impossible: {error}') from error
