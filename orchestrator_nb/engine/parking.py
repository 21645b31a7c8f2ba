"""When a run parks: nothing is left to do before people have made their decisions."""

from __future__ import annotations

from orchestrator_nb import events as e
from orchestrator_nb.state.escalation import HANDOFF
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE, FINAL


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
    waiting = state.counts.get("waiting", 0)
    if asked < waiting and asked + _held_up(state) < waiting:
        return None  # something waits for a retry
    if state.run.decide == "wait" and any(decision.level < HANDOFF for decision in decisions):
        return None
    numbers = ", ".join(str(decision.number) for decision in decisions)
    what = f"decision {numbers} is pending" if len(decisions) == 1 else f"decisions {numbers} are pending"
    return e.RunPaused(at=now, reason=f"parked: {what}", leaving=True, parked=True)


def _held_up(state: RunState) -> int:
    """Return how many commands wait for what their fallback comes after: where nothing runs and nothing can start, that
    is not done before people have decided."""
    decided = {decision.command for decision in state.open_decisions()}
    held_up = 0
    for name, record in state.commands.items():
        if record.state == "waiting" and name not in decided and record.substitute in state.planned:
            before = {state.commands[other].state for other in state.planned[record.substitute].upstream}
            held_up += not before <= DONE and not before & (FINAL - DONE)
    return held_up
