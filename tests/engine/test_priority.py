"""The order in which ready commands start, searched for before the run."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.engine.priority import best_places, places_by_height
from orchestrator_nb.engine.rehearsal import rehearse
from orchestrator_nb.engine.simulator import simulate
from orchestrator_nb.plan.ranks import Net, lower_bound, make_net


@st.composite
def timed_graphs(draw: st.DrawFn) -> tuple[Net, list[float]]:
    """Graphs of up to twelve commands, so short that the search for their order is short too."""
    size = draw(st.integers(1, 12))
    upstream = {
        f"c{number}": [f"c{earlier}" for earlier in range(number) if draw(st.integers(0, 3)) == 0]
        for number in range(size)
    }
    return make_net(upstream), draw(
        st.lists(st.integers(1, 99).map(lambda milliseconds: milliseconds / 1000), min_size=size, max_size=size)
    )


def layered(layers: int, width: int) -> tuple[Net, list[float]]:
    """Layers in which each command waits for two of the one before; durations differ by a factor of twenty."""
    random = Random(7)
    upstream = {
        f"c{layer}.{number}": [f"c{layer - 1}.{number}", f"c{layer - 1}.{(number + 1) % width}"] if layer else []
        for layer in range(layers)
        for number in range(width)
    }
    return make_net(upstream), [random.uniform(5.0, 100.0) for _ in upstream]


@given(timed_graphs(), st.integers(1, 4))
def test_the_found_order_is_never_worse_than_the_order_of_the_plan_or_the_upward_rank(
    graph: tuple[Net, list[float]], slots: int
) -> None:
    """What is searched for is found among orders that hold both."""
    net, seconds = graph
    found = rehearse(net, seconds, best_places(net, seconds, slots), slots).makespan
    ranked = rehearse(net, seconds, best_places(net, seconds, slots, search=False), slots).makespan
    assert found <= ranked
    assert found >= lower_bound(net, seconds, slots) - 1e-9


def test_the_search_comes_nearer_to_the_bound_than_the_upward_rank() -> None:
    """On a graph of layers there is something to find, and it is found again in the same way."""
    net, seconds = layered(6, 10)
    bound = lower_bound(net, seconds, 5)
    places = best_places(net, seconds, 5)
    ranked = rehearse(net, seconds, best_places(net, seconds, 5, search=False), 5).makespan
    found = rehearse(net, seconds, places, 5).makespan
    assert found - bound < 0.5 * (ranked - bound)
    assert places == best_places(net, seconds, 5)


@given(timed_graphs(), st.integers(1, 4))
def test_without_durations_the_height_is_the_rank(graph: tuple[Net, list[float]], slots: int) -> None:
    """The short way and the long way agree."""
    net, _ = graph
    upstream = {name: [net.names[other] for other in net.upstream[place]] for place, name in enumerate(net.names)}
    assert places_by_height(upstream) == best_places(net, [1.0] * len(net.names), slots, search=False)


def test_a_higher_priority_starts_first_whatever_the_durations() -> None:
    """What the user says comes before what is computed."""
    net = make_net({"a": [], "b": [], "c": []})
    assert best_places(net, [9.0, 1.0, 5.0], 1, priorities=[0, 2, 1]) == [2, 0, 1]
    assert best_places(net, [9.0, 1.0, 5.0], 1, priorities=[0, 1, 1]) == [2, 1, 0]


@given(timed_graphs(), st.integers(1, 4))
def test_a_rehearsal_goes_as_the_simulated_run_goes(graph: tuple[Net, list[float]], slots: int) -> None:
    """The search looks at runs that the very scheduler would make: same starts, same length."""
    net, seconds = graph
    places = best_places(net, seconds, slots, search=False)
    planned = e.RunPlanned(
        at=0.0,
        commands={
            name: {"upstream": [net.names[other] for other in net.upstream[number]], "rank": places[number]}
            for number, name in enumerate(net.names)
        },
    )
    run = simulate(planned, slots=slots, durations=dict(zip(net.names, seconds, strict=True)))
    rehearsed = rehearse(net, seconds, places, slots)
    assert run.makespan == rehearsed.makespan
    assert {row.command: row.start for row in run.timeline} == dict(zip(net.names, rehearsed.starts, strict=True))
