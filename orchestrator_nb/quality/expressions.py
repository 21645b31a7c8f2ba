"""Gates that are expressions, such as ``rmse < 3.5`` and ``rows >= 0.9 * baseline.rows``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from orchestrator_nb.definition.expressions import Expression
from orchestrator_nb.drawing.numbers import rounded
from orchestrator_nb.errors import UsageError
from orchestrator_nb.ports import Verdict, Work
from orchestrator_nb.quality.lookups import Lookups, shown
from orchestrator_nb.quality.past import NoBaseline, Past
from orchestrator_nb.state.records import CommandRecord

parsed = lru_cache(maxsize=1000)(Expression.parse)
"""The expression of a text. Raises UsageError."""


def hold(text: str, work: Work, record: CommandRecord, *, past: Past) -> Verdict:
    """Return whether an expression holds of what a command, or a run, came to.

    Where it needs a baseline and there is none it holds, and that is said. Raises UsageError where it cannot be worked
    out: a name that is not there, or an operation that is not possible.
    """
    expression = parsed(text)
    lookups = Lookups(work, record, past=past)
    try:
        holds = bool(expression.value(lookups))
    except NoBaseline:
        return Verdict(holds=True, expected=text, message="no earlier run has completed: there is no baseline yet")
    seen = lookups.seen
    value = next(iter(seen.values())) if len(seen) == 1 else dict(seen) or None
    return Verdict(holds=holds, value=value, expected=text, message="" if holds else _why_not(expression, seen))


def _why_not(expression: Expression, seen: Mapping[str, Any]) -> str:
    """Return what was found, rounded, unless it would hold of what is rounded: then as it is."""
    near = {name: rounded(value) for name, value in seen.items()}
    try:
        hides = bool(expression.value(lambda name: near[name.text]))
    except UsageError:
        hides = True
    return shown(seen if hides else near)


def wrong_in(text: str) -> str | None:
    """Return what is wrong with an expression as it is written, None where it can be read and looks something up."""
    try:
        expression = parsed(text)
    except UsageError as error:
        return str(error)
    return None if expression.names else "it looks at nothing, so that it says nothing of the result"
