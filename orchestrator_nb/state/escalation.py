"""What a person is asked about a command: the four levels, their answers, and how long each of them lasts.

Level 1 is recovery without anybody. At level 2 a person says how the command goes on, perhaps with other parameters. At
level 3 a person does the command, and its gates check the result. Level 4 hands it over: whoever takes it gets the
whole story in a bundle of files, and nothing is done before there is an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.events.checkpoint import CHECKPOINT
from orchestrator_nb.state.command_facts import RETRY
from orchestrator_nb.state.records import CommandRecord, EscalationLimits
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.step_facts import ASK

SKIP, FAIL, ROLL_BACK, DONE_BY_HAND, GO_ON = "skip", "fail", "roll back", "done", "go on"
"""Answers besides RETRY: go without it; give it up; that, and undo what it left; somebody has done it; leave it as it is."""

GUIDED, MANUAL, HANDOFF = 2, 3, 4
"""The levels at which people are asked."""

LEVELS = {1: "automatic recovery", GUIDED: "guided recovery", MANUAL: "manual intervention", HANDOFF: "handoff"}
MEANINGS = {
    RETRY: "try it again, with other parameters where these are given",
    SKIP: "go on without it; what needs it is left out, too",
    FAIL: "give it up",
    ROLL_BACK: "give it up, and undo what it left in files",
    DONE_BY_HAND: "somebody has done it; the parameters given are its results",
    GO_ON: "leave it as it is",
}
"""What each answer does."""

TAKEN_OVER = "decided"
"""The kind of failure of an attempt that was under way when a person decided otherwise."""


def ask(
    command: str,
    state: RunState,
    *,
    at: float,
    level: int,
    why: str = "",
    evidence: Mapping[str, Any] | None = None,
    request: str | None = None,
    by: Mapping[str, Any] | None = None,
) -> e.DecisionRequested:
    """Return the question about a command at a level; `why` is what brought it up, where that is not its failure,
    `evidence` what else is known."""
    record = state.commands[command]
    limits = state.planned[command].escalation or EscalationLimits()
    lasts = {GUIDED: limits.guided, MANUAL: limits.manual}.get(level)
    options = _options(record, level)
    if _can_be_undone(command, state):
        options = (*options, ROLL_BACK)
    wanted = FAIL if limits.default == ROLL_BACK and ROLL_BACK not in options else limits.default
    default = wanted if lasts is not None and wanted in options else None
    return e.DecisionRequested(
        at=at,
        number=len(state.decisions) + 1,
        command=command,
        question=_question(command, record, level, why),
        options=options,
        level=level,
        default=default,
        deadline=None if lasts is None else at + lasts,
        evidence={**_evidence(record, why), **(evidence or {})},
        request=request,
        by=by,
    )


def next_level(command: str, state: RunState) -> int:
    """Return the level at which a command is to be escalated now: one above the last in this generation."""
    generation = state.commands[command].generation
    levels = [
        decision.level
        for decision in state.decisions.values()
        if decision.command == command and decision.generation == generation
    ]
    return min(levels[-1] + 1, HANDOFF) if levels else GUIDED


def _options(record: CommandRecord, level: int) -> tuple[str, ...]:
    by_hand = (DONE_BY_HAND,) if level >= MANUAL else ()
    untroubled = (GO_ON,) if record.failure is None else ()
    return (*untroubled, *by_hand, RETRY, SKIP, FAIL) if record.attempt else (*untroubled, *by_hand, SKIP, FAIL)


def _can_be_undone(command: str, state: RunState) -> bool:
    """Tell whether a command that failed may have left files of which the plan wants a person to be asked."""
    record = state.commands[command]
    asked = ASK in state.run.steps.get("failure", ()) and CHECKPOINT in state.planned[command].steps
    return asked and bool(record.attempt) and record.failure is not None


def _question(command: str, record: CommandRecord, level: int, why: str) -> str:
    failure = record.failure
    told = why or (f"{failure.kind}: {failure.message.splitlines()[0]}" if failure is not None else record.state)
    if level == GUIDED:
        return f'"{command}": {told}. How does it go on?'
    if level == MANUAL:
        return f'"{command}": {told}. Can somebody do it by hand, or how does it go on?'
    return f'"{command}": {told}. It is handed over; what has become of it?'


def _evidence(record: CommandRecord, why: str) -> dict[str, Any]:
    """Return what is known about it that helps to decide."""
    failure = record.failure
    evidence: dict[str, Any] = {"state": record.state, "attempts": record.attempt, "retries": record.retry}
    if why:
        evidence["escalated"] = why
    if failure is not None:
        evidence.update(kind=failure.kind, message=failure.message[:2000])
        if failure.types:
            evidence["type"] = failure.types[0]
        if failure.cell is not None:
            evidence["cell"] = failure.cell
    evidence.update({name: path for name in ("notebook", "log") if (path := getattr(record, name))})
    if record.recorded or record.partial:
        evidence["partial"] = sorted({**record.partial, **record.recorded})
    return evidence
