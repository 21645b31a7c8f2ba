"""Each failure gets its kind and its severity, as a fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.recovery.taxonomy import cause_of, classify
from orchestrator_nb.state.escalation import TAKEN_OVER
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.values import Classified


class Classification:
    """A failure is classified in the turn in which it is recorded, for whoever looks; policies ask `classified`, too."""

    kinds: tuple[type[e.Event], ...] = (e.AttemptFailed, e.AttemptAbandoned)
    decides: tuple[type[e.Event], ...] = ()

    def __call__(self, event: Any, state: RunState) -> Iterable[e.Event]:
        """Return the classification."""
        if event.failure.kind == TAKEN_OVER:
            return ()  # a person decided so, it is no error
        found = classified(event.command, event.failure, state)
        return (
            e.ErrorClassified(
                at=event.at,
                command=event.command,
                attempt=event.attempt,
                category=found.category,
                error=found.kind,
                severity=found.severity,
                transient=found.transient,
                evidence=found.evidence,
                cause=cause_of(event.failure, found),
            ),
        )


def classified(command: str, failure: e.Failure, state: RunState) -> Classified:
    """Return what a failure of a command is, by the rules of the run."""
    record = state.commands[command]
    partial = bool(record.recorded or record.partial or record.preserved)
    return classify(failure, partial=partial, rules=_rules(state))


def _rules(state: RunState) -> Sequence[Mapping[str, Any]]:
    recovery = state.run.settings.get("recovery")
    rules = recovery.get("rules") if isinstance(recovery, Mapping) else None
    return rules if isinstance(rules, list | tuple) else ()
