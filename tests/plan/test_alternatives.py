"""Commands that stand by for others, since they provide the same."""

from __future__ import annotations

from typing import Any

from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.plan.alternatives import alternative_notes, alternatives


def _found(
    upstream: dict[str, tuple[str, ...]] | None = None, **commands: dict[str, Any]
) -> dict[str, tuple[str, ...]]:
    made = {name: CommandDefinition(id=name, call="m:f", **given) for name, given in commands.items()}
    return alternatives(made, upstream or {})


def test_a_later_command_that_provides_all_of_it_stands_by() -> None:
    """More will do, less will not; one that stands by has none that stand by for it."""
    found = _found(
        a={"provides": ("x", "y")}, b={"provides": ("x",)}, c={"provides": ("z", "y", "x")}, d={"provides": ("x", "y")}
    )
    assert found == {"a": ("c", "d"), "b": ("c", "d")}
    assert _found(a={"provides": ("x",)}, b={}) == {}


def test_a_fallback_comes_before_alternatives() -> None:
    """Neither a command with a fallback nor the fallback itself has alternatives, which then run by themselves."""
    assert _found(a={"provides": ("x",), "fallback": "b"}, b={"provides": ("x",)}, c={"provides": ("x",)}) == {}


def test_what_others_wait_for_and_what_comes_after_it_does_not_stand_by() -> None:
    """A command that others come after runs, and one that comes after the command, however far, cannot replace it."""
    both: dict[str, Any] = {"a": {"provides": ("x",)}, "b": {"provides": ("x",)}, "c": {}}
    assert _found(**both) == {"a": ("b",)}
    assert _found({"c": ("b",)}, **both) == {}
    assert _found({"c": ("a",), "b": ("c",)}, **both) == {}


def test_a_note_says_who_stands_by_for_whom() -> None:
    """It names what would be provided."""
    made = {name: CommandDefinition(id=name, call="m:f", provides=("x", "y")) for name in ("a", "b")}
    assert alternative_notes(made, {}) == ('"b" stands by for "a", to provide "x", "y" should it fail',)
