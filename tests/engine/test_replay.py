"""Deciding once more: simulated runs replay to the same decisions, forged ones do not, other facts may be tried."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.engine.replay import replay, what_if
from orchestrator_nb.engine.simulation import Outcome
from orchestrator_nb.engine.simulator import simulate
from orchestrator_nb.recovery.optional import Optional
from orchestrator_nb.recovery.retry import Retry

POLICIES = (Retry(), Optional())
NO = e.Failure(kind="exception", message="no", types=("builtins.ConnectionError",))


@st.composite
def plans(draw: st.DrawFn) -> e.RunPlanned:
    """Plans with durations, optional commands, resources; some of it in each."""
    pools = {"cpu": 3, "db": 1}
    commands = {}
    for number in range(draw(st.integers(1, 12))):
        item: dict[str, object] = {
            "upstream": [f"c{earlier}" for earlier in range(number) if draw(st.integers(0, 4)) == 0]
        }
        if draw(st.booleans()):
            item["seconds"] = float(draw(st.integers(1, 50)))
        if draw(st.integers(0, 5)) == 0:
            item["optional"] = True
        if draw(st.integers(0, 5)) == 0:
            item["needs"] = {"cpu": draw(st.integers(1, 3)), "db": 1}
        commands[f"c{number}"] = item
    return e.RunPlanned(at=0.0, commands=commands, pools=pools)


@given(plans(), st.randoms(use_true_random=False))
def test_equal_facts_lead_to_equal_decisions(plan: e.RunPlanned, random: object) -> None:
    """Whatever fails and however wrong the durations were, a replay decides the same in the same order."""
    faults = {
        name: [Outcome(failure=NO)] * random.randrange(6)
        for name in plan.commands  # type: ignore[attr-defined]
    }
    seconds = {name: random.uniform(0.1, 90.0) for name in plan.commands}  # type: ignore[attr-defined]
    run = simulate(plan, slots=3, durations=seconds, outcomes=faults, policies=POLICIES)
    again = replay(run.events, policies=POLICIES)
    assert again.same, again.difference
    assert again.decisions >= len(run.timeline)


def test_a_decision_that_nobody_would_take_is_found() -> None:
    """A journal in which commands start in another order, or not at all, is not what this scheduler decides."""
    run = simulate({"a": [], "b": [], "c": ["a"]}, slots=1)
    events = list(run.events)
    assert replay(events, policies=POLICIES).same
    first = next(number for number, event in enumerate(events) if isinstance(event, e.AttemptStarted))
    forged = [*events[:first], e.AttemptStarted(at=0.0, command="b", attempt=1), *events[first + 1 :]]
    told = replay(forged, policies=POLICIES)
    assert told.difference == "recorded: AttemptStarted b 1; decided now: AttemptStarted a 1"
    cut = events[: events.index(next(event for event in events if isinstance(event, e.RunCompleting)))]
    assert replay(cut, policies=POLICIES).difference == "recorded: nothing; decided now: RunCompleting"


def test_what_would_have_been_with_other_slots_durations_and_faults() -> None:
    """A recorded run is the beginning of as many experiments as one likes."""
    recorded = simulate({"a": [], "b": [], "c": ["a", "b"]}, slots=2, durations={"a": 10.0, "b": 6.0, "c": 1.0}).events
    assert what_if(recorded).makespan == 11.0
    assert what_if(recorded, slots=1).makespan == 17.0
    assert what_if(recorded, durations={"a": 2.0}).makespan == 7.0
    failed = what_if(recorded, outcomes={"b": [Outcome(failure=NO)]})
    assert failed.state == "failed"
    assert [row.command for row in failed.timeline] == ["b", "a"]
