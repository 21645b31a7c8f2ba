"""What reacts to the facts of a run, in the order in which it is asked."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.orchestrator.late_import import late_import
from orchestrator_nb.ports import Policy
from orchestrator_nb.state.run_state import RunState

Kinds = tuple[type[e.Event], ...]


class OnDemand:
    """A policy of the room `recovery` that is imported with the first fact that it answers: a run in which nothing
    fails does without most of them. `kinds` and `decides` are those of its class."""

    def __init__(self, where: str, kinds: Kinds, decides: Kinds = ()) -> None:
        self.where, self.kinds, self.decides = where, kinds, decides

    @cached_property
    def policy(self) -> Policy:
        """The policy itself."""
        module, _, name = self.where.partition(":")
        made: Any = getattr(late_import(f"orchestrator_nb.recovery.{module}"), name)()
        return made  # type: ignore[no-any-return]

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return the facts that follow, as the policy finds them."""
        return self.policy(event, state)


_LOST = (e.AttemptFailed, e.AttemptAbandoned)
_GIVEN_UP = (e.CommandFailed, e.CommandCrashed)

POLICIES: tuple[OnDemand, ...] = (
    OnDemand("decided:Decided", (e.DecisionMade, e.AttemptFailed), (e.AttemptFailed,)),
    OnDemand("retry:Retry", (e.AttemptFailed, e.ResourcesProbed, e.RetryDue), (e.AttemptFailed,)),
    OnDemand("substitution:Substitution", (*_LOST, e.RetryDue, e.CommandFailed), _LOST),
    OnDemand("escalation:Escalation", (*_LOST, e.DecisionDue, e.DecisionRequested, e.RunResumed), _LOST),
    OnDemand("optional:Optional", (*_GIVEN_UP, e.UpstreamFailed)),
    OnDemand("classification:Classification", _LOST),
    OnDemand("rollbacks:RollBackFailed", _GIVEN_UP),
    OnDemand("rollbacks:RollBackCritical", (e.ErrorClassified,)),
    OnDemand("rollbacks:ProposeStepByStep", (e.RunCompleting,)),
    OnDemand("rollbacks:TellOfRollback", (e.RolledBack, e.RollbackFailed)),
    OnDemand("pressure:FewerWorkers", (e.MemoryProbed,)),
    OnDemand("deadline:BeforeDeadline", (e.DeadlineNear,)),
)
"""The first that decides about a failure wins: what a person decided, then a retry, then the question to a person."""
