"""The rollback of a run that nobody drives: intended in its journal first, carried out, and recorded."""

from __future__ import annotations

import time
from pathlib import Path

from orchestrator_nb import events as e
from orchestrator_nb.engine.endings import Reopen
from orchestrator_nb.engine.resume import lost_attempts, missing_parts
from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.identity import identity
from orchestrator_nb.journal.owner import Ownership
from orchestrator_nb.journal.store import JOURNAL
from orchestrator_nb.orchestrator.rollbacks.going_back import go_back
from orchestrator_nb.recovery.rollbacks import TellOfRollback
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.transitions import IllegalTransition


def roll_back_unowned(run_folder: Path, asked: e.RollbackAsked, *, project: Path) -> e.RolledBack | e.RollbackFailed:
    """Take the run, roll it back, record that, and leave it, to be resumed.

    A death in the middle leaves the intention in the journal: whoever resumes the run completes the rollback. Raises
    RunRefused where somebody owns it, and StoreError.
    """
    ownership = Ownership(run_folder)
    try:
        journal = JournalFile(run_folder / JOURNAL, clock=time.time)
        try:
            return _roll_back(journal, run_folder, asked, project)
        except IllegalTransition as error:
            raise StoreError(f'the journal "{journal.path}" tells something impossible: {error}') from error
        finally:
            journal.close()
    finally:
        ownership.release()


def _roll_back(
    journal: JournalFile,
    run_folder: Path,
    asked: e.RollbackAsked,
    project: Path,
) -> e.RolledBack | e.RollbackFailed:
    state = fold(journal.read())
    cut = state.run.rollback
    if cut is not None and (cut.to, cut.undo, cut.policy) != (asked.to, asked.undo, asked.policy):
        _carry_out(journal, state, run_folder, cut, project)
        state = fold(journal.read())
        cut = None
    if cut is not None:  # the same was asked for before and not finished
        asked = cut
    else:
        journal.append([asked])
        state.apply(asked)
    return _carry_out(journal, state, run_folder, asked, project)


def _carry_out(
    journal: JournalFile, state: RunState, run_folder: Path, asked: e.RollbackAsked, project: Path
) -> e.RolledBack | e.RollbackFailed:
    durable = state.run.durability == "full"
    answer = go_back(
        asked, state, run_folder=run_folder, project=project, durable=durable, clock=time.time,
        position=journal.position.seq, ends=True,
    )  # fmt: skip
    if isinstance(answer, e.RollbackFailed):
        journal.append([answer, *TellOfRollback()(answer, state)])
    else:
        journal.append(_leaving(state, answer))
    return answer


def _leaving(state: RunState, answer: e.RolledBack) -> list[e.Event]:
    """Return the facts that say where the run stands after the rollback, and leave it; it has ended again where it had
    before a rollback that was undone."""
    now, reason = answer.at, f"rolled back {answer.what}"
    facts: list[e.Event] = [e.RunResumed(at=now, owner=identity(), reason=reason)]
    facts += _interrupted(state, now)
    facts += [answer, *Reopen()(answer, state)]
    facts += TellOfRollback()(answer, state)
    if answer.ended:
        return [*facts, e.RunEnded(at=now, state=answer.ended, reason=answer.reason, again=True)]
    touched = {*answer.commands, *answer.results}
    facts += [fact for fact in missing_parts(state, now) if getattr(fact, "command", None) not in touched]
    return [*facts, e.RunPaused(at=now, reason=reason, leaving=True)]


def _interrupted(state: RunState, now: float) -> list[e.Event]:
    """Return the end of what was under way when the owner died; what had returned and not succeeded runs again, too."""
    reason = "the process that ran it died, and the run was rolled back"
    returned = (name for name in state.running() if state.commands[name].returned)
    return [
        *lost_attempts(state, now),
        *(
            e.AttemptInterrupted(at=now, command=name, attempt=state.commands[name].attempt, reason=reason, lost=True)
            for name in returned
        ),
    ]
