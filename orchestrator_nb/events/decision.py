"""The facts about what people were asked in a run, and about what they answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_nb.events.event import Event


class DecisionRequested(Event, frozen=True, kw_only=True):
    """A person is asked; decisions are numbered from 1 over the run.

    `options` are the answers that there are, `default` is the one that is taken when nobody has answered by the
    `deadline` (seconds since the epoch; None for no deadline). Where there is no default the next of the four levels
    begins then: 2 guided, 3 by hand, 4 handed over. A command that waits for the answer holds no slot. An earlier
    question about the same command is closed by it. `request` and `by` are there where somebody escalated it.
    """

    number: int
    question: str
    options: tuple[str, ...]
    command: str | None = None
    level: int = 2
    default: str | None = None
    deadline: float | None = None
    evidence: Mapping[str, Any] = {}
    request: str | None = None
    by: Mapping[str, Any] | None = None


class DecisionDue(Event, frozen=True, kw_only=True):
    """The deadline of a decision has passed, and nobody has answered."""

    number: int
    command: str | None = None


class DecisionMade(Event, frozen=True, kw_only=True):
    """The answer to a decision: somebody's, or the default, for the want of one, where `by_default`.

    `parameters` are those with which the command is tried again, or the results of a command that was done by hand.
    """

    number: int
    answer: str
    command: str | None = None
    parameters: Mapping[str, Any] = {}
    note: str = ""
    by_default: bool = False
    request: str | None = None
    by: Mapping[str, Any] | None = None


class AttemptTakenOver(Event, frozen=True, kw_only=True):
    """A person did the command: this attempt of it is theirs, and its results follow."""

    command: str
    attempt: int
    decision: int
