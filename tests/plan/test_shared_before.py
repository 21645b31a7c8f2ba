"""What was shared before a command: the same hash for the same changes, found in as many steps as there are edges."""

from __future__ import annotations

import random
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.plan.shared_before import SharedBefore
from orchestrator_nb.state.records import CommandRecord

Upstream = dict[str, tuple[str, ...]]


def _records(shared: Mapping[str, Mapping[str, object] | None], state: str = "succeeded") -> dict[str, CommandRecord]:
    return {name: CommandRecord(state=state, shared=changes) for name, changes in shared.items()}


def _all_before(name: str, upstream: Upstream) -> set[str]:
    found, waiting = set[str](), [*upstream[name]]
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting.extend(upstream[other])
    return found


@st.composite
def _graphs(draw: st.DrawFn) -> tuple[Upstream, dict[str, dict[str, object] | None]]:
    size = draw(st.integers(2, 12))
    upstream = {
        f"c{number}": tuple(f"c{other}" for other in range(number) if draw(st.integers(0, 3)) == 0)
        for number in range(size)
    }
    shared: dict[str, dict[str, object] | None] = {
        name: draw(st.sampled_from([None, None, {"a": 1}, {"a": 2}, {"b": [1], "c": None}])) for name in upstream
    }
    return upstream, shared


@given(_graphs(), st.randoms(use_true_random=False))
def test_it_tells_the_changes_of_all_before_it_and_nothing_else(
    graph: tuple[Upstream, dict[str, dict[str, object] | None]], chance: random.Random
) -> None:
    """Two commands have the same hash exactly where the same was shared before them, in whatever order they are asked."""
    upstream, shared = graph
    records = _records(shared)
    before = SharedBefore(upstream)
    names = list(upstream)
    chance.shuffle(names)
    found = {name: before.digest(name, records) for name in names}
    seen = {
        name: {other: repr(shared[other]) for other in _all_before(name, upstream) if shared[other]} for name in names
    }
    for one in names:
        assert (found[one] == "") == (not seen[one])
        for other in names:
            assert (found[one] == found[other]) == (seen[one] == seen[other])


def test_a_long_chain_costs_a_few_steps_a_command() -> None:
    """Asking for each of 20,000 commands in turn goes through every edge a few times, however many share something."""
    size = 20_000
    upstream = {f"c{number}": (f"c{number - 1}",) if number else () for number in range(size)}
    records = _records({name: {"a": number} if number % 100 == 0 else None for number, name in enumerate(upstream)})
    before = SharedBefore(upstream)
    assert len({before.digest(name, records) for name in upstream}) == size // 100 + 1
    assert before.steps < 5 * size


def test_the_end_of_a_long_chain_can_be_asked_for_first() -> None:
    """It is found without recursion, in as many steps."""
    size = 20_000
    upstream = {f"c{number}": (f"c{number - 1}",) if number else () for number in range(size)}
    records = _records({name: {"a": number} if number % 100 == 0 else None for number, name in enumerate(upstream)})
    before = SharedBefore(upstream)
    assert before.digest(f"c{size - 1}", records)
    assert before.steps < 5 * size


def test_what_is_not_at_its_end_is_looked_at_again() -> None:
    """What a command shares that was under way when it was asked for first counts when it is asked for next."""
    before = SharedBefore({"a": (), "b": ("a",), "c": ("b",)})
    records = {**_records({"a": None}, state="running"), **_records({"b": None})}
    assert before.digest("c", records) == ""
    assert before.digest("c", {**records, **_records({"a": {"k": 1}})}) != ""


def test_a_command_that_was_done_anew_counts_with_what_it_shared_last() -> None:
    """Its new record takes the place of the old one."""
    before = SharedBefore({"a": (), "b": ("a",)})
    first, other = _records({"a": {"k": 1}}), _records({"a": {"k": 2}})
    one = before.digest("b", first)
    assert before.digest("b", other) not in ("", one)
    assert before.digest("b", first) == one
