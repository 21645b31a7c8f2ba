"""Whether a command gave the outputs that it declares: each there, and of its type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator_nb.data.declared import unfit
from orchestrator_nb.errors import ResultRefused
from orchestrator_nb.events import Stored


def check_outputs(
    declared: Mapping[str, str],
    *,
    result: Stored,
    recorded: Mapping[str, Stored],
    load: Callable[[Stored], Any],
) -> None:
    """Look for every declared output (name → type) among the keys of the result and what was recorded by name.

    Raises ResultRefused naming all that are missing or of another type.
    """
    given = {**_items(result, load), **recorded}
    wrong = list(_wrong(declared, given))
    if wrong:
        there = ", ".join(f'"{name}"' for name in given) or "none"
        raise ResultRefused(f"it does not give the outputs that it declares: {'; '.join(wrong)}; it gave {there}")


def _items(result: Stored, load: Callable[[Stored], Any]) -> dict[str, Stored]:
    if result.form == "mapping":
        return dict(result.items or {})
    value = load(result) if result.form == "json" else None
    return {name: Stored(form="json", value=item) for name, item in value.items()} if isinstance(value, dict) else {}


def _wrong(declared: Mapping[str, str], given: Mapping[str, Stored]) -> Iterator[str]:
    for name, type_name in declared.items():
        stored = given.get(name)
        if stored is None:
            yield f'"{name}" is missing'
        elif wrong := unfit(stored, type_name):
            yield f'"{name}"{wrong}'
