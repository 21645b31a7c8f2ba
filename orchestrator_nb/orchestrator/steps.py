"""What is done about attempts that have returned, put together: each step goes to those who know its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator_nb.events import Event
from orchestrator_nb.ports import Attempt, Steps
from orchestrator_nb.records import CommandRecord


class StepsByKind:
    """`ports.Steps` by kind, the first word of a step's name; those that answer at once are asked in this order."""

    def __init__(self, kinds: Mapping[str, Callable[[], Steps]]) -> None:
        """`kinds` makes the steps of each kind when the first of them is to be done."""
        self._makers = kinds
        self._made: dict[str, Steps] = {}

    def at_once(self, attempt: Attempt, record: CommandRecord) -> Sequence[Event]:
        """Return the answers of all steps that cost next to nothing."""
        kinds = dict.fromkeys(step.partition(" ")[0] for step in attempt.work.steps)
        return [fact for kind in kinds for fact in self._of(kind).at_once(attempt, record)]

    def carry_out(self, attempt: Attempt) -> Sequence[Event]:
        """Do the first step of the attempt's work."""
        return self._of(attempt.work.steps[0].partition(" ")[0]).carry_out(attempt)

    def _of(self, kind: str) -> Steps:
        made = self._made.get(kind)
        if made is None:
            made = self._made[kind] = self._makers[kind]()
        return made
