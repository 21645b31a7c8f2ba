"""What reacts to the facts of a run, in the order in which it is asked."""

from __future__ import annotations

from orchestrator_nb.ports import Policy
from orchestrator_nb.recovery.classification import Classification
from orchestrator_nb.recovery.deadline import BeforeDeadline
from orchestrator_nb.recovery.decided import Decided
from orchestrator_nb.recovery.escalation import Escalation
from orchestrator_nb.recovery.optional import Optional
from orchestrator_nb.recovery.pressure import FewerWorkers
from orchestrator_nb.recovery.retry import Retry
from orchestrator_nb.recovery.rollbacks import ProposeStepByStep, RollBackCritical, RollBackFailed, TellOfRollback
from orchestrator_nb.recovery.substitution import Substitution

POLICIES: tuple[Policy, ...] = (
    Decided(), Retry(), Substitution(), Escalation(), Optional(), Classification(), RollBackFailed(),
    RollBackCritical(), ProposeStepByStep(), TellOfRollback(), FewerWorkers(), BeforeDeadline(),
)  # fmt: skip
"""The first that decides about a failure wins: what a person decided, then a retry, then the question to a person."""
