"""What keeps commands apart, asked of a plan."""

from __future__ import annotations

import pytest

from orchestrator_nb.plan.conflicts import apart, conflicts


def test_commands_without_anything_in_common_have_no_conflict(planned) -> None:
    """Independent commands may run together, and the same is true of two that read one file."""
    plan = planned({"a": {}, "b": {"writes": ["x"]}, "c": {"reads": ["x"]}, "d": {"reads": ["x"]}})
    assert conflicts(plan, slots=4) == []
    assert apart(plan, "c", "d", slots=4) is None
    assert apart(plan, "a", "b", slots=1) == 'together they take 2 of "cpu", and there are 1'
    with pytest.raises(KeyError):
        apart(plan, "a", "unknown", slots=4)


def test_several_slots_and_memory_are_conflicts_too(planned) -> None:
    """How many can run at a time is counted with those that take the least."""
    plan = planned({
        "a": {"resources": {"cpu": 3}},
        "b": {"resources": {"cpu": 2, "memory": "3GB"}},
        "c": {"resources": {"memory": "6GB"}},
    })  # fmt: skip
    found = {found.reason: found.at_once for found in conflicts(plan, slots=4, memory=8 * 10**9)}
    assert found == {
        '"a" and "b" take from "cpu", of which there are 4': 1,
        '"b" and "c" take from "memory", of which there are 8,000,000,000': 1,
    }
    assert conflicts(plan, slots=5, memory=9 * 10**9) == []
