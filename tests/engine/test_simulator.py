"""Simulated runs: the real loop and scheduler on a clock that jumps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.engine.replay import replay
from orchestrator_nb.engine.simulation import Outcome
from orchestrator_nb.engine.simulator import simulate
from orchestrator_nb.recovery.optional import Optional
from orchestrator_nb.recovery.retry import Retry
from orchestrator_nb.state.run_state import fold

NO = e.Failure(kind="exception", message="no", types=("builtins.ConnectionError",))
POLICIES = (Retry(), Optional())


def test_a_simulated_run_tells_its_timeline() -> None:
    """Starts, ends and the whole length, without waiting for any of it."""
    run = simulate({"a": [], "b": [], "c": ["a", "b"]}, slots=2, durations={"a": 3600.0, "b": 60.0, "c": 10.0})
    assert run.state == "completed"
    assert run.makespan == 3610.0
    assert [(row.command, row.start, row.end) for row in run.timeline] == [
        ("b", 0.0, 60.0),
        ("a", 0.0, 3600.0),
        ("c", 3600.0, 3610.0),
    ]
    assert fold(run.events).run.state == "completed"


def test_faults_are_answered_by_the_real_policies() -> None:
    """A retry waits for its time on the virtual clock; what is given up takes along what follows."""
    faults = {"a": [Outcome(failure=NO, seconds=5.0)]}
    once = simulate({"a": [], "b": ["a"]}, slots=1, outcomes=faults, policies=POLICIES)
    assert [(row.command, row.attempt, row.outcome) for row in once.timeline] == [
        ("a", 1, "failed"),
        ("a", 2, "returned"),
        ("b", 1, "returned"),
    ]
    due = next(event.due for event in once.events if isinstance(event, e.RetryScheduled))
    assert once.timeline[1].start == due > 5.0
    final = simulate({"a": [], "b": ["a"]}, slots=1, outcomes=faults)
    assert final.state == "failed"
    assert final.makespan == 5.0


def test_equal_input_gives_equal_events() -> None:
    """Nothing of the machine, the time or the hash seed gets into a simulation."""
    graph = {"a": [], "b": [], "c": ["a"], "d": ["a", "b"]}
    faults = {"b": [Outcome(failure=NO)]}
    assert (
        simulate(graph, slots=2, outcomes=faults, policies=POLICIES).events
        == simulate(graph, slots=2, outcomes=faults, policies=POLICIES).events
    )


@st.composite
def resources(draw: st.DrawFn) -> tuple[e.RunPlanned, int, dict[str, float]]:
    """Plans whose commands take slots and from two pools, never more than there is."""
    slots = draw(st.integers(1, 4))
    pools = {"cpu": slots, "db": draw(st.integers(1, 3)), "gpu": 1}
    commands = {}
    for number in range(draw(st.integers(1, 14))):
        needs = {pool: draw(st.integers(0, most)) for pool, most in pools.items()}
        commands[f"c{number}"] = {
            "upstream": [f"c{earlier}" for earlier in range(number) if draw(st.integers(0, 5)) == 0],
            **({"needs": {pool: value for pool, value in needs.items() if value}} if draw(st.booleans()) else {}),
        }
    seconds = {name: float(draw(st.integers(1, 5))) for name in commands}
    return e.RunPlanned(at=0.0, commands=commands, pools=pools), slots, seconds


def held(plan: e.RunPlanned, running: set[str]) -> dict[str, int]:
    """What the running commands hold altogether."""
    total = dict.fromkeys(plan.pools, 0)
    for name in running:
        for pool, value in plan.commands[name].get("needs", {"cpu": 1}).items():
            total[pool] += value
    return total


@given(resources(), st.randoms(use_true_random=False))
def test_no_more_is_held_than_there_is_and_everything_runs(
    given_: tuple[e.RunPlanned, int, dict[str, float]], random: object
) -> None:
    """All or none, given back whether an attempt returns or fails, and no command waits for ever."""
    plan, slots, seconds = given_
    faults = {
        name: [Outcome(failure=NO)]
        for name in plan.commands
        if random.random() < 0.3  # type: ignore[attr-defined]
    }
    run = simulate(plan, slots=slots, durations=seconds, outcomes=faults, policies=POLICIES)
    assert run.state == "completed"
    running: set[str] = set()
    for event in run.events:
        if isinstance(event, e.AttemptStarted):
            running.add(event.command)
            assert all(value <= plan.pools[pool] for pool, value in held(plan, running).items())
        elif isinstance(event, (e.AttemptReturned, e.AttemptFailed)):
            running.discard(event.command)


@given(resources())
def test_nobody_behind_it_keeps_a_command_waiting(given_: tuple[e.RunPlanned, int, dict[str, float]]) -> None:
    """While a ready command waits, whatever starts ranks before it or takes from no pool that it lacks."""
    plan, slots, seconds = given_
    run = simulate(plan, slots=slots, durations=seconds)
    ranks = {
        name: item.rank if item.rank is not None else number
        for number, (name, item) in enumerate(fold(run.events).planned.items())
    }
    done: set[str] = set()
    running: set[str] = set()
    waiting = set(plan.commands)
    for event in run.events:
        if isinstance(event, e.AttemptStarted):
            free = {pool: plan.pools[pool] - value for pool, value in held(plan, running).items()}
            mine = plan.commands[event.command].get("needs", {"cpu": 1})
            for other in waiting - {event.command}:
                ready = all(before in done for before in plan.commands[other]["upstream"])
                wants = plan.commands[other].get("needs", {"cpu": 1})
                lacking = {pool for pool, value in wants.items() if value > free[pool]}
                assert not (ready and ranks[other] < ranks[event.command] and lacking & mine.keys())
            waiting.discard(event.command)
            running.add(event.command)
        elif isinstance(event, e.CommandSucceeded):
            done.add(event.command)
            running.discard(event.command)


def test_a_big_command_starts_although_small_ones_keep_coming() -> None:
    """The slots that it lacks are kept free for it as they are given back."""
    commands: dict[str, dict[str, object]] = {"first": {}, "big": {"needs": {"cpu": 4}, "upstream": ["first"]}}
    commands |= {f"small{number}": {} for number in range(40)}
    plan = e.RunPlanned(at=0.0, commands=commands, pools={"cpu": 4})
    run = simulate(plan, slots=4, durations={name: 1.0 + len(name) % 3 for name in commands})
    started = [row.command for row in sorted(run.timeline, key=lambda row: row.start)]
    assert started.index("big") <= 12


def test_an_abandoned_attempt_keeps_what_it_holds() -> None:
    """A thread that cannot be ended still uses its connection; others go on with what is left."""
    from orchestrator_nb.engine.allotment import Allotment

    plan = e.RunPlanned(
        at=0.0,
        commands={name: {"needs": {"cpu": 1, "db": 1}} for name in ("a", "b", "c")},
        pools={"cpu": 4, "db": 2},
    )
    state = fold([e.RunStarted(at=0.0, run="r", workflow="w"), plan])
    allotment = Allotment(state.planned, state.run.pools, slots=4)
    allotment.begin(state)
    allotment.offer([(0, "a"), (1, "b"), (2, "c")], state)
    assert allotment.start(state) == ["a", "b"]
    failure = e.Failure(kind="timeout", message="late")
    for event in (
        e.AttemptStarted(at=0.0, command="a", attempt=1),
        e.AttemptStarted(at=0.0, command="b", attempt=1),
        e.AttemptAbandoned(at=1.0, command="a", attempt=1, seconds=1.0, failure=failure),
    ):
        state.apply(event)
    allotment.abandon("a", 1)
    assert allotment.start(state) == []
    for event in (
        e.AttemptReturned(at=2.0, command="b", attempt=1, seconds=2.0),
        e.CommandSucceeded(at=2.0, command="b", attempt=1),
    ):
        state.apply(event)
    assert allotment.start(state) == ["c"]


def test_what_is_tried_again_holds_what_it_says_for_that() -> None:
    """Twice the memory from the first retry on: it waits until there is so much, others start meanwhile, and the fact
    of the attempt says what it holds."""
    plan = e.RunPlanned(
        at=0.0,
        commands={
            "big": {"needs": {"cpu": 1, "memory": 2}, "retry_needs": {"cpu": 1, "memory": 4}, "retries": 1},
            "other": {"needs": {"cpu": 1, "memory": 1}, "seconds": 5.0},
            "last": {"needs": {"cpu": 1, "memory": 1}, "seconds": 1.0},
        },
        pools={"cpu": 4, "memory": 4},
    )
    failure = e.Failure(kind="exception", message="", types=("MemoryError",))
    done = simulate(plan, slots=4, outcomes={"big": [Outcome(seconds=1.0, failure=failure)]}, policies=(Retry(),))
    assert done.state == "completed"
    starts = {(row.command, row.attempt): row.start for row in done.timeline}
    assert starts["other", 1] == starts["last", 1] == 0.0
    assert starts["big", 2] == 5.0
    held = [dict(event.holds) for event in done.events if isinstance(event, e.AttemptStarted)]
    assert sorted(held, key=len) == [{}, {}, {}, {"cpu": 1, "memory": 4}]
    assert replay(done.events, policies=(Retry(),)).same


def test_thousands_of_commands_are_ready_at_once_and_tried_again() -> None:
    """Nothing is lost and nothing is tried too often where everything that is there fails twice, at the same moments."""
    names = [f"c{number}" for number in range(1_500)]
    faults = {name: [Outcome(failure=NO, seconds=1.0), Outcome(failure=NO, seconds=1.0)] for name in names}
    run = simulate(
        {**{name: [] for name in names}, "end": names},
        slots=1_000,
        durations=dict.fromkeys([*names, "end"], 1.0),
        outcomes=faults,
        policies=POLICIES,
    )
    assert run.state == "completed"
    tries: dict[str, list[int]] = {}
    for row in run.timeline:
        tries.setdefault(row.command, []).append(row.attempt)
    assert tries == {**{name: [1, 2, 3] for name in names}, "end": [1]}
    assert run.timeline[-1].command == "end"
