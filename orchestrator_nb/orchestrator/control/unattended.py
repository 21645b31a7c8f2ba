"""A request to a run that nobody drives: who asks takes the lock, records what it comes to, and leaves."""

from __future__ import annotations

import time
from pathlib import Path

from msgspec import structs

from orchestrator_nb import events as e
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.requests import Request, facts_of
from orchestrator_nb.engine.simulator import VirtualExecutor, make_scheduler
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.identity import asker
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.journal.owner import Ownership
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.policies import POLICIES
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.transitions import IllegalTransition


def record_request(run_folder: Path, request: Request) -> e.Event:
    """Record what a request comes to, with all that follows from it, in the journal of a run that nobody drives.

    Returns the fact that it came to; a notice, which is not recorded, where it came to nothing. Nothing is started.
    Raises RunRefused where somebody owns the run, StoreError.
    """
    ownership = Ownership(run_folder)
    try:
        journal = JournalFile(run_folder / JOURNAL, clock=time.time)
        try:
            state = fold(journal.read())
            (fact,) = facts_of(structs.replace(request, by=asker()), state, time.time())
            if not isinstance(fact, e.NoticeGiven):
                journal.append(_with_answers(fact, state))
        except IllegalTransition as error:
            raise StoreError(f'the journal "{journal.path}" tells something impossible: {error}') from error
        finally:
            journal.close()
    finally:
        ownership.release()
    return fact


def _with_answers(fact: e.Event, state: RunState) -> list[e.Event]:
    """Return a fact and what the policies of a run answer to it."""
    loop = Loop(
        state=state,
        scheduler=make_scheduler({}, slots=1),
        policies=POLICIES,
        journal=JournalInMemory(),
        executor=VirtualExecutor({}, {}),
        make_work=VirtualExecutor.work,
        clock=time.time,
    )
    return loop.decide(fact)
