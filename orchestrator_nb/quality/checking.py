"""Carrying gates out: each within its time, and answered by one fact whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator_nb.definition.models import GateDefinition
from orchestrator_nb.errors import OrchestratorError
from orchestrator_nb.events import GATE, Event, GateChecked
from orchestrator_nb.ports import Attempt, Step, Verdict, Work
from orchestrator_nb.quality.expressions import hold
from orchestrator_nb.quality.past import Past
from orchestrator_nb.quality.registry import gate_of, is_expression
from orchestrator_nb.quality.subject import GateSubject
from orchestrator_nb.state.records import CommandRecord

LONGEST_MESSAGE = 2_000
"""Letters that are kept of what a gate says."""


class CheckedGates:
    """`ports.Gates`. `requirements` are the gates of the run as a whole, `functions` the
    functions of this session by their address."""

    def __init__(
        self,
        *,
        requirements: Sequence[GateDefinition],
        functions: Mapping[str, Callable[..., Any]],
        past: Past,
        clock: Callable[[], float],
    ) -> None:
        self._requirements = requirements
        self._functions = functions
        self._past = past
        self._clock = clock

    def at_once(self, work: Work, record: CommandRecord) -> Sequence[Event]:
        """Return the verdicts of the gates that are expressions."""
        return [
            self._checked(gate, work, lambda gate=gate: hold(gate.gate, work, record, past=self._past))  # type: ignore[misc]
            for gate in work.definition.checks
            if is_expression(gate)
        ]

    def check(self, step: Step, attempt: Attempt) -> Event:
        """Return the verdict of the gate that a step is. Raises Cancelled when it is ended."""
        work, record = attempt.work, step.record or CommandRecord()
        gates = work.definition.checks if step.command else self._requirements
        gate = next(gate for gate in gates if gate.title == step.name.removeprefix(GATE))
        if is_expression(gate):
            return self._checked(gate, work, lambda: hold(gate.gate, work, record, past=self._past))
        subject = GateSubject(attempt, record, gate, past=self._past)
        return self._checked(gate, work, lambda: subject.within_time(gate_of(gate, self._functions)))

    def _checked(self, gate: GateDefinition, work: Work, verdict: Callable[[], Verdict]) -> GateChecked:
        """Return the fact that a gate was checked; whatever it raises is an error of the gate."""
        begun = time.perf_counter()
        try:
            found = verdict()
            how, message = "passed" if found.holds else "failed", found.message
        except Exception as error:  # noqa: BLE001 - a gate may be anybody's code
            found, how = Verdict(holds=False, expected=gate.gate), "error"
            message = str(error) if isinstance(error, OrchestratorError | TimeoutError) else _named(error)
        return GateChecked(
            at=self._clock(),
            gate=gate.title,
            verdict=how,
            command=work.command or None,
            attempt=work.attempt if work.command else None,
            blocking=gate.blocks,
            retry=gate.retry,
            value=found.value,
            expected=found.expected,
            message=message[:LONGEST_MESSAGE],
            evidence=found.evidence,
            seconds=time.perf_counter() - begun,
        )


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
