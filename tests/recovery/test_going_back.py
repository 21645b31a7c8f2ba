"""When going back step by step is proposed: cascading failures, and failures of which no checkpoint was taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.recovery.rollbacks import CASCADE, ProposeStepByStep, why_step_back
from orchestrator_nb.state.run_state import RunState, fold

FAILURE = e.Failure(kind="exception", message="no")
KEPT: dict[str, Any] = {"steps": ["checkpoint"]}


def _ended(ends: Sequence[str], *, upstream: Mapping[str, str], kept: bool, policy: str | None) -> RunState:
    """Return the state after commands that ended one a second: "good", "bad", or "bare" (bad, no files declared)."""
    names = [f"{end}{number}" for number, end in enumerate(ends)]
    commands: dict[str, Any] = {name: {} if name.startswith("bare") else KEPT for name in names}
    commands.update({name: {"upstream": [of]} for name, of in upstream.items()})
    steps = {} if policy is None else {"failure": [policy]}
    facts: list[e.Event] = [
        e.RunStarted(at=0.0, run="r", workflow="w"), e.RunPlanned(at=0.0, commands=commands, steps=steps),
    ]  # fmt: skip
    for at, name in enumerate(names, start=1):
        this: dict[str, Any] = {"at": float(at), "command": name, "attempt": 1}
        taken = {"id": f"r/{at:06d}", "commit": "c", "message": "m", "seconds": 0.1, "files": 1}
        facts.append(e.AttemptStarted(**this))
        if name.startswith("good"):
            facts += [
                e.AttemptReturned(**this, seconds=1.0), e.CheckpointTaken(**this, **taken, boundary="command"),
                e.CommandSucceeded(**this),
            ]  # fmt: skip
            continue
        facts += [
            e.AttemptFailed(**this, seconds=1.0, failure=FAILURE),
            e.CommandFailed(at=float(at), command=name, reason="no"),
        ]
        if kept and not name.startswith("bare"):
            facts.append(e.CheckpointTaken(**this, **taken, boundary="left"))
    facts += [e.UpstreamFailed(at=99.0, command=name, upstream=(of,)) for name, of in upstream.items()]
    return fold([*facts, e.RunCompleting(at=100.0)])


def ended(
    *ends: str, upstream: Mapping[str, str] | None = None, kept: bool = True, policy: str | None = "ask"
) -> RunState:
    return _ended(ends, upstream=upstream or {}, kept=kept, policy=policy)


@pytest.mark.parametrize("policy", ["ask", "rollback"])
def test_failures_one_after_another_propose_it(policy: str) -> None:
    """In the order in which the commands ended, with no success between; the words say what to type."""
    state = ended("good", *["bad"] * CASCADE, policy=policy)
    (notice,) = ProposeStepByStep()(e.RunCompleting(at=100.0), state)
    assert isinstance(notice, e.NoticeGiven)
    assert notice.text.startswith(f"{CASCADE} commands failed one after another; to go back step by step")
    assert 'attach("r").rollback_step_by_step(check=' in notice.text
    assert "orchestrator-nb checkpoints r" in notice.text


def test_a_success_between_failures_breaks_the_row() -> None:
    """As many failures, each for a reason of its own, are undone one by one."""
    assert why_step_back(ended("good", "bad", "good", "bad", "good", "bad")) is None


def test_a_failure_that_holds_back_many_proposes_it() -> None:
    """One held back less is the everyday case."""
    held = {f"later{number}": "bad1" for number in range(CASCADE)}
    assert why_step_back(ended("good", "bad", upstream=held)) == f'{CASCADE} commands did not run because of "bad1"'
    del held["later0"]
    assert why_step_back(ended("good", "bad", upstream=held)) is None


def test_a_failure_of_which_no_checkpoint_was_taken_proposes_it() -> None:
    """What such a command left cannot be undone by itself; one that declares no files has left none."""
    assert why_step_back(ended("good", "bad", kept=False)) == 'there is no checkpoint of what "bad1" left'
    assert (
        why_step_back(ended("good", "bad", "bad", kept=False))
        == 'there is no checkpoint of what "bad1" and 1 more left'
    )
    assert why_step_back(ended("good", "bare", kept=False)) is None


@pytest.mark.parametrize(
    ("ends", "policy"), [(["bad"] * CASCADE, "ask"), (["good", *["bad"] * CASCADE], None), (["good", "good"], "ask")]
)
def test_it_is_not_proposed_for_nothing(ends: list[str], policy: str | None) -> None:
    """Without a success there is nothing to step back over; without the policy or a failure nobody wants it."""
    state = ended(*ends, policy=policy)
    assert list(ProposeStepByStep()(e.RunCompleting(at=100.0), state)) == []
