"""Amounts of resources, and how much there is of everything."""

from __future__ import annotations

import pytest

from orchestrator_nb.errors import DefinitionError
from orchestrator_nb.plan.pools import amount, capacities, check_pools, needs


@pytest.mark.parametrize(
    ("text", "number"),
    [(3, 3), ("0B", 0), ("2GB", 2 * 10**9), ("2GiB", 2 * 2**30), ("1.5 KB", 1500), ("0.3TB", 3 * 10**11), ("7B", 7)],
)
def test_amounts_of_memory_are_exact(text: int | str, number: int) -> None:
    """Decimal and binary units; no float comes in between."""
    assert amount(text) == number


@pytest.mark.parametrize("text", ["all", "2", "GB", "2 apples", "-1GB"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Other words have no number."""
    with pytest.raises(ValueError, match="no amount"):
        amount(text)


def test_what_a_command_holds(planned) -> None:
    """One slot unless said otherwise; the whole of a pool by name; nothing of what it says it needs nothing of."""
    plan = planned(
        {"a": {"resources": {"db": "all", "memory": "1GB"}}, "b": {"resources": {"cpu": 0}}, "c": {}}, pools={"db": 3}
    )
    capacity = capacities(plan.definition, slots=4, memory=10**10)
    assert capacity == {"cpu": 4, "memory": 10**10, "db": 3}
    assert [needs(plan.commands[name], capacity) for name in "abc"] == [
        {"cpu": 1, "db": 3, "memory": 10**9},
        {},
        {"cpu": 1},
    ]


def test_slots_are_no_pool(planned) -> None:
    """How many slots there are is said once."""
    with pytest.raises(DefinitionError, match='"slots", of which each command takes as many as its cpu'):
        planned({"a": {}}, pools={"cpu": 3})


@pytest.mark.parametrize("resources", [{"db": -1}, {"db": 1.5}, {"db": "many"}, {"d b": 1}])
def test_what_is_no_resource_is_refused_with_its_place(planned, resources) -> None:
    """Amounts are whole numbers from 0; names are like ids."""
    with pytest.raises(DefinitionError, match="/commands/a/resources"):
        planned({"a": {"resources": resources}}, pools={"db": 2})


def test_what_a_retry_holds_is_what_it_says_and_else_the_same(planned) -> None:
    """A retry takes more of what it names."""
    plan = planned(
        {"a": {"resources": {"db": 1, "memory": "1GB"}, "retry_resources": {"memory": "4GB"}}}, pools={"db": 3}
    )
    capacity = capacities(plan.definition, slots=4, memory=10**10)
    assert needs(plan.commands["a"], capacity) == {"cpu": 1, "db": 1, "memory": 10**9}
    assert needs(plan.commands["a"], capacity, retry=True) == {"cpu": 1, "db": 1, "memory": 4 * 10**9}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [({"db": 4}, "could never be tried again: it takes 4"), ({"dp": 1}, 'there is no pool "dp"')],
)
def test_what_a_retry_could_never_have_is_refused_before_anything_runs(planned, wanted, said) -> None:
    """More than there can ever be, and pools that there are not; with the place."""
    with pytest.raises(DefinitionError, match=said) as refused:
        planned({"a": {"retry_resources": wanted}}, pools={"db": 3})
    assert "retry_resources" in str(refused.value)


def test_a_machine_without_the_memory_of_a_retry_is_told_at_once(planned) -> None:
    """What the machine has counts as what a pool has."""
    plan = planned({"a": {"retry_resources": {"memory": "4GB"}}})
    check_pools(plan.definition, slots=2, memory=4 * 10**9)
    with pytest.raises(DefinitionError, match="could never be tried again"):
        check_pools(plan.definition, slots=2, memory=2 * 10**9)
