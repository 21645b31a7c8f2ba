"""Which steps of a run keep its files, or go back to them, when it fails."""

from __future__ import annotations

from collections.abc import Collection

from orchestrator_nb.engine.outline import Outline
from orchestrator_nb.events.checkpoint import CHECKPOINT
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.written import written_by
from orchestrator_nb.state.escalation import ROLL_BACK
from orchestrator_nb.state.step_facts import ASK, ROLLBACK


def with_checkpoints(outline: Outline, plan: Plan, own: Collection[str]) -> Outline:
    """Return what the journal says of a plan, with the steps that keep files; `own` commands may run in it.

    Where no command declares a file that it writes, there is nothing that a rollback could give back, and none are
    taken.
    """
    options = plan.definition.checkpoints
    writing = [name for name in own if written_by(plan.commands[name], folder=plan.folder, parameters=plan.parameters)]
    if not options.at or not (writing or options.include):
        return outline
    steps: dict[str, tuple[str, ...]] = {moment: (CHECKPOINT,) for moment in options.at if moment != "command"}
    keeping = (
        writing
        if "command" in options.at
        else [name for name in writing if "gate" in options.at and outline.commands[name].get("steps")]
    )
    escalation = plan.definition.recovery.escalation
    undone = escalation is not None and escalation.default == ROLL_BACK
    if options.rollback != "off" or undone:
        steps["failure"] = (ROLLBACK if options.rollback == "automatic" else ASK,)
    if "command" in options.at:
        steps["shared"] = (CHECKPOINT,)
    if keeping or "command" in options.at:
        steps["start"] = (CHECKPOINT,)
    for name in keeping:
        item = outline.commands[name]
        item["steps"] = [*item.get("steps", ()), CHECKPOINT]
    return outline._replace(
        steps={**outline.steps, **{name: (*outline.steps.get(name, ()), *of) for name, of in steps.items()}}
    )
