"""When a run parks: nothing is left to do before people have made their decisions."""

from __future__ import annotations

from orchestrator_nb import events as e
from orchestrator_nb.state.escalation import HANDOFF
from orchestrator_nb.state.run_state import RunState


def parked(state: RunState, now: float) -> e.RunPaused | None:
    """Return the pause with which the run is left, for a run in which nothing runs and nothing can start.

    Only decisions may be left, and none of them with a default, which comes by itself. A run that waits for its
    decisions parks only when all of them were handed over: then nobody is asked any more.
    """
    if not state.decisions:
        return None
    decisions = list(state.open_decisions())
    if not decisions or any(decision.default is not None for decision in decisions):
        return None
    asked = sum(decision.command is not None for decision in decisions)
    if asked < state.counts.get("waiting", 0):
        return None  # something waits for a retry
    if state.run.decide == "wait" and any(decision.level < HANDOFF for decision in decisions):
        return None
    numbers = ", ".join(str(decision.number) for decision in decisions)
    what = f"decision {numbers} is pending" if len(decisions) == 1 else f"decisions {numbers} are pending"
    return e.RunPaused(at=now, reason=f"parked: {what}", leaving=True, parked=True)
