"""The decisions of a run as people see them: what is asked, what may be answered, and what to type."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from orchestrator_nb.errors import UsageError
from orchestrator_nb.orchestrator.display.shown import as_text
from orchestrator_nb.state.escalation import LEVELS, MEANINGS
from orchestrator_nb.state.records import DecisionRecord
from orchestrator_nb.state.run_state import RunState

WAYS = ("wait", "now", "park")
"""What becomes of decisions: they are waited for; defaults are taken at once; or the run is left when only decisions
without a default are open."""


class Decision(Struct, frozen=True, kw_only=True):
    """What a person is asked in a run, and the answer; prints as text. Times are seconds since the epoch.

    It `is_open` while an answer is wanted; one that is neither open nor answered has become needless. `level` is from
    2 to 4, see `escalation`. The `default` is taken at the `deadline`; without a default the next level begins then.
    `by` says whose answer it is, None where that is the default (`by_default`).
    """

    number: int
    command: str | None
    question: str
    options: tuple[str, ...]
    default: str | None
    deadline: float | None
    level: int
    asked: float
    is_open: bool
    evidence: Mapping[str, Any] = field(default_factory=dict)
    answer: str | None = None
    answered: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    by: Mapping[str, Any] | None = None
    by_default: bool = False

    def lines(self, *, now: float | None = None) -> Iterator[str]:
        """Yield it as lines of text; `now` is the time for which what is left of the deadline is told."""
        yield f"decision {self.number} (level {self.level}, {LEVELS[self.level]}): {self.question}"
        if self.answer is not None:
            who = "by default" if self.by_default else f"by {(self.by or {}).get('user', 'somebody')}"
            yield f'  answered {who}: "{self.answer}"' + (f", {self.note}" if self.note else "")
            return
        if not self.is_open:
            yield "  needless by now"
            return
        yield from (f"  {option}: {MEANINGS.get(option, 'an answer')}" for option in self.options)
        if self.deadline is not None:
            left = max(0.0, self.deadline - (time.time() if now is None else now))
            then = f'the default, "{self.default}", is taken' if self.default else "the next level begins"
            yield f"  {then} in {left / 60:.0f} min"

    def __str__(self) -> str:
        return as_text("\n".join(self.lines()))


class Decisions(list[Decision]):
    """Decisions that show themselves, as text and as HTML."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "nobody was asked anything"

    def _repr_html_(self) -> str:
        from orchestrator_nb.drawing.card import listing
        from orchestrator_nb.drawing.table import panel

        if not self:
            return panel(f'<p class="onb-lead">{self!r}</p>', label="decisions")
        return panel(f'<div class="onb-told">{listing([repr(self)])}</div>', label="decisions")


def decisions_of(state: RunState) -> Decisions:
    """Return what people were asked in a run, in the order of the numbers."""
    return Decisions(_decision(record, is_open=state.is_open(record)) for record in state.decisions.values())


def how_decided(given: str | None) -> str:
    """Return what becomes of decisions in a run that this process drives: what is given, else `wait` where somebody
    sits at a terminal or a live notebook, and `park` where nobody does. Raises UsageError."""
    if given is None:
        return "wait" if sys.stdin is not None and (_is_terminal() or _is_notebook()) else "park"
    if given not in WAYS:
        raise UsageError(f"decide is one of {', '.join(WAYS)}; found {given!r}")
    return given


def _is_terminal() -> bool:
    try:
        return sys.stdin.isatty() and sys.stdout.isatty()
    except (AttributeError, ValueError):  # none, or closed
        return False


def _is_notebook() -> bool:
    """Tell whether this is a kernel with a front end that takes input; one that papermill drives has none."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    kernel = getattr(shell, "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))


def what_to_type(state: RunState, run: str, elsewhere: str = "") -> list[str]:
    """Return the command line for each decision that is open; `elsewhere` are options that name the store."""
    return [
        f"to decide: orchestrator-nb decide {run} {record.number} {'|'.join(map(_typed, record.options))}{elsewhere}"
        for record in state.open_decisions()
    ]


def plain_parameters(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return parameters as plain JSON. Raises UsageError where they are not."""
    try:
        return {str(name): json.loads(json.dumps(value, allow_nan=False)) for name, value in (parameters or {}).items()}
    except (TypeError, ValueError) as error:
        raise UsageError(f"the parameters of a decision have to be plain JSON: {error}") from error


def _typed(option: str) -> str:
    return f'"{option}"' if " " in option else option


def _decision(record: DecisionRecord, *, is_open: bool) -> Decision:
    return Decision(
        number=record.number,
        command=record.command,
        question=record.question,
        options=record.options,
        default=record.default,
        deadline=record.deadline,
        level=record.level,
        asked=record.asked,
        is_open=is_open,
        evidence=record.evidence,
        answer=record.answer,
        answered=record.answered,
        parameters=record.parameters,
        note=record.note,
        by=record.by,
        by_default=record.by_default,
    )
