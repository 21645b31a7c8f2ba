"""What every policy keeps: it answers its own kinds only, the same each time, with facts that the state allows."""

from __future__ import annotations

import copy

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.engine.endings import ENDINGS
from orchestrator_nb.orchestrator.policies import POLICIES
from orchestrator_nb.ports import Policy
from orchestrator_nb.state.run_state import RunState, fold

FAILURE = e.Failure(kind="exception", message="no", types=("ConnectionError", "OSError", "Exception"))
BEGINNING: list[e.Event] = [
    e.RunStarted(at=1.0, run="r", workflow="w"),
    e.RunPlanned(
        at=1.0,
        commands={
            "a": {"optional": True},
            "b": {"upstream": ["a"], "optional": True},
            "c": {"retries": 0, "escalation": {}},
            "d": {"retries": 0, "fallback": "e"},
            "e": {"standby": True},
            "f": {"steps": ["checkpoint"]},
        },
        steps={"failure": ("rollback",)},
    ),
    e.AttemptStarted(at=2.0, command="a", attempt=1),
]
MOMENTS: dict[str, list[e.Event]] = {
    "returned": [e.AttemptReturned(at=3.0, command="a", attempt=1, seconds=1.0)],
    "failed": [e.AttemptFailed(at=3.0, command="a", attempt=1, seconds=1.0, failure=FAILURE)],
    "abandoned": [e.AttemptAbandoned(at=3.0, command="a", attempt=1, seconds=1.0, failure=FAILURE)],
    "given up": [
        e.AttemptFailed(at=3.0, command="a", attempt=1, seconds=1.0, failure=FAILURE),
        e.CommandFailed(at=3.0, command="a", reason="no"),
    ],
    "left to a person": [
        e.AttemptStarted(at=2.0, command="c", attempt=1),
        e.AttemptFailed(at=3.0, command="c", attempt=1, seconds=1.0, failure=FAILURE),
    ],
    "replaced": [
        e.AttemptStarted(at=2.0, command="d", attempt=1),
        e.AttemptFailed(at=3.0, command="d", attempt=1, seconds=1.0, failure=FAILURE),
    ],
    "decided": [
        e.AttemptStarted(at=2.0, command="c", attempt=1),
        e.AttemptFailed(at=3.0, command="c", attempt=1, seconds=1.0, failure=FAILURE),
        e.DecisionRequested(at=3.0, number=1, command="c", question="how?", options=("retry", "fail")),
        e.DecisionMade(at=4.0, number=1, command="c", answer="retry"),
    ],
    "held back": [
        e.AttemptFailed(at=3.0, command="a", attempt=1, seconds=1.0, failure=FAILURE),
        e.CommandFailed(at=3.0, command="a", reason="no"),
        e.UpstreamFailed(at=3.0, command="b", upstream=("a",)),
    ],
}


ROLLBACK: list[e.Event] = [
    e.AttemptReturned(at=3.0, command="a", attempt=1, seconds=1.0),
    e.CommandSucceeded(at=3.0, command="a", attempt=1),
    e.RollbackAsked(at=4.0, rollback="x", undo=("a",)),
]
MOMENTS["left files"] = [
    e.AttemptStarted(at=2.0, command="f", attempt=1),
    e.AttemptFailed(at=3.0, command="f", attempt=1, seconds=1.0, failure=FAILURE),
    e.CommandFailed(at=3.0, command="f", reason="no"),
]
MOMENTS["critical"] = [
    e.RunPlanned(at=1.0, commands={"f": {"steps": ["checkpoint"]}}, steps={"pause": ("checkpoint",)}),
    e.AttemptStarted(at=2.0, command="f", attempt=1),
    e.AttemptReturned(at=3.0, command="f", attempt=1, seconds=1.0),
    e.CheckpointTaken(at=3.0, boundary="command", id="r/1", commit="c", command="f", attempt=1),
    e.CommandSucceeded(at=3.0, command="f", attempt=1),
    e.CommandReopened(at=3.0, command="f", reason="once more"),
    e.AttemptStarted(at=4.0, command="f", attempt=2),
    e.AttemptFailed(at=5.0, command="f", attempt=2, seconds=1.0, failure=FAILURE),
    e.ErrorClassified(
        at=5.0, command="f", attempt=2, category="quality_errors", error="compliance_violation", severity="critical"
    ),
]
MOMENTS["rolled back by itself"] = [
    *ROLLBACK,
    e.RolledBack(at=5.0, rollback="x", what="without a", removed=("a.txt",), because="no"),
]
MOMENTS["short of memory"] = [e.MemoryProbed(at=3.0, available=2**20, total=2**30)]
MOMENTS["short of time"] = [e.DeadlineNear(at=3.0, deadline=10.0)]
MOMENTS["rolled back"] = [*ROLLBACK, e.RolledBack(at=5.0, rollback="x", what="without a", commands=("a",))]


def _moments() -> list[tuple[str, e.Event, RunState]]:
    return [(name, events[-1], fold([*BEGINNING, *events])) for name, events in MOMENTS.items()]


@pytest.mark.parametrize("policy", [*POLICIES, *ENDINGS], ids=lambda policy: type(policy).__name__)
def test_a_policy_keeps_its_contract(policy: Policy) -> None:
    """It decides only about kinds that it answers, changes nothing, repeats itself, and its answers can be applied."""
    assert policy.kinds
    assert set(policy.decides) <= set(policy.kinds)
    assert policy.__doc__
    answered = 0
    for name, event, state in _moments():
        if type(event) not in policy.kinds:
            continue
        before = copy.deepcopy(state.__dict__)
        answer = list(policy(event, state))
        assert list(policy(event, state)) == answer, name
        assert state.__dict__ == before, name
        for fact in answer:
            state.apply(fact)
        answered += bool(answer)
    assert answered or e.RunCompleting in policy.kinds
