"""What people are told who do not look on: a decision is wanted, something was rolled back, a run has come to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from msgspec import Struct

from orchestrator_nb import events as e
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.drawing.glyphs import counted
from orchestrator_nb.orchestrator.display.decisions import what_to_type
from orchestrator_nb.orchestrator.display.shown import as_text, listed
from orchestrator_nb.orchestrator.display.telling import told
from orchestrator_nb.state.escalation import LEVELS, MEANINGS
from orchestrator_nb.state.records import DecisionRecord
from orchestrator_nb.state.run_state import RunState

MANY = 10
"""So many commands, and deviations, are named at the most."""


class Notification(Struct, frozen=True, kw_only=True):
    """Something that a person should know of a run: `kind` is decision, rollback, parked or end.

    `title` is a line, `text` the rest with what to type; secrets are left out of both. `bad` when something went wrong
    or an answer is wanted. `state` is the run's, `command` whom it is about, None for the run as a whole.
    """

    kind: str
    run: str
    workflow: str
    state: str
    title: str
    text: str
    bad: bool = True
    command: str | None = None

    def __str__(self) -> str:
        return f"{self.title}\n{self.text}" if self.text else self.title


def notifications(events: Sequence[e.Event], state: RunState) -> Iterator[Notification]:
    """Yield what a turn has of that; `state` is the one after it."""
    for event in events:
        if isinstance(event, e.DecisionRequested):
            decision = state.decisions[event.number]
            if state.is_open(decision):  # else it was answered in the same turn
                yield _made(state, "decision", f"decision {event.number} is wanted", _question(decision, state),
                            command=event.command)  # fmt: skip
        elif isinstance(event, (e.RolledBack, e.RollbackFailed)):
            said = told(event, state)
            failed = isinstance(event, e.RollbackFailed)
            what = "a rollback failed" if failed else "rolled back"
            yield _made(state, "rollback", what, [said[1] if said else ""], bad=failed)
        elif isinstance(event, e.RunPaused) and event.parked:
            yield _made(state, "parked", "parked, a decision is pending", what_to_type(state, state.run.run))
        elif isinstance(event, e.RunEnded):
            deviating = event.state == "completed" and bool(state.deviations)
            how = "completed with deviations" if deviating else event.state
            yield _made(state, "end", how, _end(event, state), bad=event.state != "completed")


def _made(
    state: RunState, kind: str, what: str, lines: Sequence[str], *, bad: bool = True, command: str | None = None
) -> Notification:
    run = state.run
    return Notification(
        kind=kind,
        run=run.run,
        workflow=run.workflow,
        state=run.state,
        title=REDACTOR.text(as_text(f"{run.workflow}: {what}")),
        text=REDACTOR.text(as_text("\n".join(line for line in lines if line))),
        bad=bad,
        command=command,
    )


def _question(decision: DecisionRecord, state: RunState) -> list[str]:
    lines = [f"level {decision.level}, {LEVELS[decision.level]}: {decision.question}"]
    lines += [f"- {option}: {MEANINGS.get(option, 'an answer')}" for option in decision.options]
    if decision.deadline is not None:
        then = f'the default, "{decision.default}", is taken' if decision.default else "the next level begins"
        lines.append(f"{then} at {time.strftime('%Y-%m-%d %H:%M', time.localtime(decision.deadline))}")
    return [*lines, *(line for line in what_to_type(state, state.run.run) if f" {decision.number} " in line)]


def _end(event: e.RunEnded, state: RunState) -> list[str]:
    counts = ", ".join(f"{number:,} {its.replace('_', ' ')}" for its, number in state.counts.items() if number)
    bad = [name for name, record in state.commands.items() if record.state in ("failed", "crashed")]
    lines = [event.reason, f"{counted(len(state.commands), 'command')}: {counts}"]
    lines += [f"{name}: {_why(name, state)}" for name in bad[:MANY]]
    if state.deviations:
        lines.append(f"deviations: {listed([name or 'the run' for name in state.deviations], MANY)}")
    return [*lines, f"orchestrator-nb status {state.run.run}"]


def _why(name: str, state: RunState) -> str:
    record = state.commands[name]
    text = record.failure.message if record.failure is not None else record.reason
    return text.splitlines()[0][:300] if text else record.state
