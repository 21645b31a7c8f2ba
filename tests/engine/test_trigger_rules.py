"""Trigger rules: what each says, and what scheduler, state, resume and replay make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.engine.replay import replay
from orchestrator_nb.engine.resume import missing_parts
from orchestrator_nb.engine.simulation import Outcome, Simulation
from orchestrator_nb.engine.simulator import simulate
from orchestrator_nb.recovery.optional import Optional
from orchestrator_nb.recovery.retry import Retry
from orchestrator_nb.state.run_state import fold
from orchestrator_nb.state.transitions import FINAL, IllegalTransition
from orchestrator_nb.state.trigger_rules import TRIGGER_RULES, tally_of, verdict, why_skipped

FAILURE = e.Failure(kind="exception", message="no", transient=False)
FAILS = [Outcome(failure=FAILURE)]
POLICIES = (Retry(), Optional())

# Rule, states of the upstream, what Airflow does: its TriggerRuleDep, read row by row.
AIRFLOW = [
    ("all_success", "succeeded succeeded", "start"),
    ("all_success", "succeeded pending", "wait"),
    ("all_success", "skipped pending", "skip"),
    ("all_success", "failed pending", "fail"),
    ("all_success", "failed skipped", "fail"),
    ("all_failed", "failed upstream_failed", "start"),
    ("all_failed", "failed pending", "wait"),
    ("all_failed", "succeeded pending", "skip"),
    ("all_failed", "skipped failed", "skip"),
    ("all_done", "succeeded failed skipped upstream_failed", "start"),
    ("all_done", "succeeded running", "wait"),
    ("all_skipped", "skipped skipped", "start"),
    ("all_skipped", "skipped pending", "wait"),
    ("all_skipped", "succeeded pending", "skip"),
    ("all_skipped", "upstream_failed skipped", "skip"),
    ("one_failed", "failed running", "start"),
    ("one_failed", "upstream_failed pending", "start"),
    ("one_failed", "succeeded pending", "wait"),
    ("one_failed", "succeeded skipped", "skip"),
    ("one_success", "succeeded running", "start"),
    ("one_success", "failed pending", "wait"),
    ("one_success", "skipped skipped", "skip"),
    ("one_success", "failed skipped", "fail"),
    ("one_done", "failed pending", "start"),
    ("one_done", "succeeded pending", "start"),
    ("one_done", "upstream_failed pending", "wait"),
    ("one_done", "upstream_failed skipped", "skip"),
    ("none_failed", "succeeded skipped", "start"),
    ("none_failed", "skipped skipped", "start"),
    ("none_failed", "skipped pending", "wait"),
    ("none_failed", "failed pending", "fail"),
    ("none_failed_min_one_success", "succeeded skipped", "start"),
    ("none_failed_min_one_success", "skipped skipped", "skip"),
    ("none_failed_min_one_success", "upstream_failed succeeded", "fail"),
    ("none_skipped", "succeeded failed", "start"),
    ("none_skipped", "failed pending", "wait"),
    ("none_skipped", "skipped pending", "skip"),
    ("always", "pending pending", "start"),
    ("one_failed", "crashed pending", "start"),
]


@pytest.mark.parametrize(("rule", "states", "said"), AIRFLOW)
def test_each_rule_says_what_airflows_does(rule: str, states: str, said: str) -> None:
    """Whoever knows the rules from there finds them here, also when they start or skip early."""
    assert verdict(rule, tally_of(states.split())) == said


@pytest.mark.parametrize("rule", TRIGGER_RULES)
def test_without_upstream_every_rule_starts(rule: str) -> None:
    """Nothing has to be waited for."""
    assert verdict(rule, tally_of(())) == "start"


@pytest.mark.parametrize("rule", TRIGGER_RULES)
def test_no_rule_waits_once_all_is_over_and_none_takes_a_start_back(rule: str) -> None:
    """So no run hangs, and a command that was started early stays rightly started."""
    ends = sorted(FINAL)
    for states in product(ends, ends, ends):
        said = [verdict(rule, tally_of([*states[:count], *["pending"] * (3 - count)])) for count in range(4)]
        assert said[-1] != "wait"
        if "start" in said:
            assert set(said[said.index("start") :]) == {"start"}


def test_the_reason_names_those_who_speak_against_the_rule() -> None:
    """A person sees at once why nothing ran."""
    assert (
        why_skipped("all_success", {"a": "succeeded", "b": "skipped"}) == '"b" was skipped (trigger_rule all_success)'
    )
    many = {f"c{number}": "succeeded" for number in range(5)}
    assert why_skipped("one_failed", many) == (
        '"c0" succeeded, "c1" succeeded, "c2" succeeded and 2 more (trigger_rule one_failed)'
    )


# ── scheduler and state ─────────────────────────────────────────────────────────────────────────────────────────


def planned(graph: Mapping[str, Sequence[str]], **rules: str) -> e.RunPlanned:
    """A plan of a graph in which some commands have a rule."""
    commands = {name: {"upstream": list(before)} for name, before in graph.items()}
    for name, rule in rules.items():
        commands[name]["trigger_rule"] = rule  # type: ignore[assignment]
    return e.RunPlanned(at=0.0, commands=commands)


def states(simulation: Simulation) -> dict[str, str]:
    return {name: record.state for name, record in fold(simulation.events).commands.items()}


def started(simulation: Simulation) -> dict[str, float]:
    return {row.command: row.start for row in simulation.timeline}


def test_an_early_rule_starts_its_command_before_the_rest_is_done() -> None:
    """`one_failed` does not wait for the slow one, `one_success` neither, `always` for nobody."""
    graph = {"bad": [], "good": [], "slow": [], "alarm": ["bad", "slow"], "first": ["good", "slow"], "now": ["slow"]}
    simulation = simulate(
        planned(graph, alarm="one_failed", first="one_success", now="always"),
        slots=9,
        durations={"bad": 1, "good": 2, "slow": 10, "alarm": 1, "first": 1, "now": 1},
        outcomes={"bad": FAILS},
    )
    assert {name: started(simulation)[name] for name in ("alarm", "first", "now")} == {"alarm": 1, "first": 2, "now": 0}


def test_a_failure_that_was_routed_around_still_fails_the_run() -> None:
    """The handler ran and the run says that something failed; an optional command is excused."""
    plan = planned({"work": [], "tell": ["work"], "tidy": ["tell", "work"]}, tell="one_failed", tidy="all_done")
    simulation = simulate(plan, slots=1, outcomes={"work": FAILS})
    assert states(simulation) == {"work": "failed", "tell": "succeeded", "tidy": "succeeded"}
    assert simulation.state == "failed"
    excused = e.RunPlanned(at=0.0, commands={**plan.commands, "work": {"optional": True}})
    assert simulate(excused, slots=1, outcomes={"work": FAILS}, policies=POLICIES).state == "completed"


def test_a_command_with_a_rule_of_its_own_is_tried_again() -> None:
    """A retry, or an attempt that came to nothing, starts by the same rule once more, and replays."""
    plan = planned({"good": [], "slow": [], "first": ["good", "slow"]}, first="one_success")
    commands = {**plan.commands, "first": {**plan.commands["first"], "retries": 2}}
    shaky = e.Failure(kind="exception", message="shaky", transient=True)
    simulation = simulate(
        e.RunPlanned(at=0.0, commands=commands),
        slots=3,
        durations={"good": 1, "slow": 500, "first": 1},
        outcomes={"first": [Outcome(failure=shaky), Outcome(failure=shaky)]},
        policies=POLICIES,
    )
    assert states(simulation)["first"] == "succeeded"
    assert [row.attempt for row in simulation.timeline if row.command == "first"] == [1, 2, 3]
    assert replay(simulation.events, policies=POLICIES).same


def test_skips_cascade_by_the_rules_and_the_run_completes() -> None:
    """What was skipped is no failure; a join with `none_failed` runs all the same."""
    graph = {"work": [], "tell": ["work"], "after": ["tell"], "join": ["work", "after"], "odd": ["after"]}
    simulation = simulate(planned(graph, tell="one_failed", join="none_failed", odd="all_skipped"), slots=2)
    assert simulation.state == "completed"
    assert states(simulation) == {
        "work": "succeeded", "tell": "skipped", "after": "skipped", "join": "succeeded", "odd": "succeeded",
    }  # fmt: skip
    record = fold(simulation.events).commands["after"]
    assert record.reason == '"tell" was skipped (trigger_rule all_success)'


def test_a_start_that_the_rule_does_not_allow_is_refused_by_the_state() -> None:
    """The tables and the rules are the truth: a journal that says otherwise is not believed."""
    state = fold([e.RunStarted(at=0.0, run="r", workflow="w"), planned({"a": [], "b": ["a"]}, b="one_failed")])
    assert (state.command_state("a"), state.command_state("b")) == ("ready", "pending")
    with pytest.raises(IllegalTransition, match="one_failed"):
        state.apply(e.AttemptStarted(at=0.0, command="b", attempt=1))
    with pytest.raises(IllegalTransition, match="all_winners"):
        fold([e.RunStarted(at=0.0, run="r", workflow="w"), planned({"a": []}, a="all_winners")])


def test_a_resumed_run_opens_what_was_skipped_for_what_is_opened_anew() -> None:
    """The branch that was left out because of a failure gets its chance once that is mended."""
    graph = {
        "work": [],
        "other": [],
        "glad": ["work"],
        "next": ["work", "other"],
        "apart": ["other"],
        "late": ["apart"],
    }
    plan = planned(graph, glad="none_skipped", next="all_failed", apart="one_failed")
    events = simulate(plan, slots=1, outcomes={"work": FAILS}).events
    state = fold(events)
    assert state.commands["apart"].state == state.commands["late"].state == "skipped"
    reopened = missing_parts(state, 9.0)
    assert [event.command for event in reopened] == ["work", "next"]  # type: ignore[attr-defined]
    again = missing_parts(state, 9.0, rerouted={"apart"})
    assert [event.command for event in again] == ["work", "next", "apart", "late"]  # type: ignore[attr-defined]


GRAPHS = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        st.tuples(*(st.lists(st.integers(0, max(0, place - 1)), unique=True, max_size=place) for place in range(size))),
        st.tuples(*(st.sampled_from(TRIGGER_RULES) for _ in range(size))),
        st.sets(st.integers(0, size - 1)),
        st.tuples(*(st.integers(1, 5) for _ in range(size))),
        st.integers(1, 4),
    )
)


MIXED = ((), (), (), (), (0, 1, 2, 3), (0, 1, 2, 3)), ("all_success",) * 5 + ("none_failed",), {3}, (1,) * 6, 3


@given(GRAPHS)
@example(MIXED)  # the last is judged early and again when it matters, the one before it only then
def test_every_routed_run_ends_as_its_rules_say_and_replays(given_graph: tuple[object, ...]) -> None:
    """Whatever fails, no run hangs; once over, each command is where its rule puts it; a replay decides the same."""
    before, rules, bad, seconds, slots = given_graph
    names = [f"c{place}" for place in range(len(rules))]  # type: ignore[arg-type]
    graph = {name: [names[other] for other in before[place]] for place, name in enumerate(names)}  # type: ignore[index]
    plan = planned(graph, **dict(zip(names, rules, strict=True)))  # type: ignore[call-overload]
    simulation = simulate(
        plan,
        slots=slots,  # type: ignore[arg-type]
        durations=dict(zip(names, seconds, strict=True)),  # type: ignore[call-overload]
        outcomes={names[place]: FAILS for place in bad},  # type: ignore[attr-defined]
        policies=POLICIES,
    )
    ended = states(simulation)
    assert set(ended.values()) <= FINAL
    for place, name in enumerate(names):
        tally = tally_of(ended[other] for other in graph[name])
        said = verdict(rules[place], tally)  # type: ignore[index]
        if (rules[place], ended[name], tally.skipped > 0) == ("all_success", "skipped", True):  # type: ignore[index]
            continue  # the one that was skipped came before the one that failed
        ran = {"start": ("failed",) if place in bad else ("succeeded",)}  # type: ignore[operator]
        assert ended[name] in {"skip": ("skipped",), "fail": ("upstream_failed",), **ran}[said]
    assert replay(simulation.events, policies=POLICIES).same
