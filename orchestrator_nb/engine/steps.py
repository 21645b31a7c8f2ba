"""Steps about an attempt that has returned, or about a run that is completing: which facts answer them, what is left."""

from __future__ import annotations

from orchestrator_nb import events as e
from orchestrator_nb.records import CommandRecord
from orchestrator_nb.state import RunState

LEADING: frozenset[type[e.Event]] = frozenset({e.AttemptReturned, e.GateChecked, e.RunCompleting})
"""The facts after which a step may be due."""

_OTHER_ANSWERS = (e.AttemptFailed, e.AttemptAbandoned, e.NoticeGiven)


def answers_step(fact: e.Event, record: CommandRecord) -> bool:
    """Whether a fact is news about a command of which an attempt has returned already."""
    if isinstance(fact, _OTHER_ANSWERS):
        return True
    return getattr(fact, "step", None) in record.outstanding


def is_due(command: str, state: RunState) -> bool:
    """Whether a step of the command is to be done now; without a name of a command, one of the run."""
    if not command:
        return state.run.state == "completing" and bool(state.run.outstanding)
    record = state.commands[command]
    return record.state == "running" and bool(record.outstanding)
