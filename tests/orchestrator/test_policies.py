"""The policies of a run: imported when they are asked, and told of by what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_nb import recovery
from orchestrator_nb.orchestrator.policies import POLICIES, OnDemand


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.where)
def test_a_policy_is_asked_about_the_kinds_of_its_class(policy: OnDemand):
    """What the table says of a policy that is not imported yet is what its class says."""
    assert policy.policy.kinds == policy.kinds
    assert policy.policy.decides == policy.decides
    assert f"{type(policy.policy).__module__}:{type(policy.policy).__name__}".endswith(f".recovery.{policy.where}")


def test_there_is_every_policy_once():
    """No policy of the room is left out of the table, and none is asked twice."""
    classes = set()
    for module in Path(*recovery.__path__).glob("*.py"):
        blocks = module.read_text(encoding="utf-8").split("\nclass ")[1:]
        classes |= {f"{module.stem}:{block.partition(':')[0]}" for block in blocks if "\n    decides: " in block}
    assert {policy.where for policy in POLICIES} == classes
    assert len(POLICIES) == len(classes)
