"""Going on after an owner's death or an end: what has to become true before anything is dispatched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from orchestrator_nb import events as e
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE, ENDED, FINAL, GOOD

MOST_DEATHS = 3
"""In how many deaths of its owner a command may be under way; then it is under suspicion and not started again."""


def lost_attempts(state: RunState, now: float) -> list[e.Event]:
    """Return the end of every attempt that was under way when the owner died.

    An attempt whose results are recorded is not lost. A command that must not be repeated is given up as crashed, and
    so is one that was under way in too many deaths: it may well be their cause.
    """
    reason = "the process that ran it died"
    facts: list[e.Event] = []
    for command in state.running():
        record = state.commands[command]
        if record.returned:
            continue
        facts.append(e.AttemptInterrupted(at=now, command=command, attempt=record.attempt, reason=reason, lost=True))
        deaths = record.deaths + 1
        if deaths >= MOST_DEATHS:
            text = (
                f"quarantined: it was under way in {deaths} deaths of the process that ran it and may be their cause; "
                "resume the run once more to try it again"
            )
            facts.append(e.CommandCrashed(at=now, command=command, reason=text))
        elif not state.planned[command].idempotent:
            text = f"{reason} and it is declared not idempotent: whether it had its effect is not known"
            facts.append(e.CommandCrashed(at=now, command=command, reason=text))
    return facts


def missing_parts(state: RunState, now: float, *, rerouted: Collection[str] = ()) -> list[e.Event]:
    """Return the reopening of everything that an ended run still lacks, and of what may have to run for that.

    A command that was skipped is opened anew with what it was skipped for, and where it is `rerouted`: another rule or
    condition says now whether it runs. One that a person left out is opened anew, too.
    """
    ended = state.run.state in ENDED
    reopened: dict[str, str] = {}
    for command, planned in state.planned.items():  # upstream first
        its = state.commands[command].state
        if its == "skipped":
            upstream = next((name for name in planned.upstream if name in reopened), None)
            if command in rerouted:
                reopened[command] = "it was skipped, and what says whether it runs has changed"
            elif ended and command in state.deviations:
                reopened[command] = "it was left out"
            elif upstream is not None:
                reopened[command] = f'it was skipped, and "{upstream}" before it is opened anew'
        elif ended and its in FINAL and its not in GOOD:
            reopened[command] = f"it had {_words(its)}"
    return [e.CommandReopened(at=now, command=command, reason=reason) for command, reason in reopened.items()]


def lost_live_results(
    state: RunState,
    *,
    inputs: Mapping[str, Collection[str]],
    order: Sequence[str],
    now: float,
    before: Iterable[e.Event] = (),
) -> list[e.Event]:
    """Return the reopening of commands whose live result died with its process and is needed once more.

    `inputs` names, for each command, those whose results it takes, `before` are the facts that become true before:
    what they give up needs nothing, what they reopen does. A producer that runs again may need live results itself, so
    the commands are looked at from the last in `order` to the first.
    """
    state = state.copy()
    for event in before:
        state.apply(event)
    unfinished = {name for name, record in state.commands.items() if record.state not in FINAL}
    facts: list[e.Event] = []
    consumers: dict[str, list[str]] = {}
    for command, needed in inputs.items():
        for name in needed:
            consumers.setdefault(name, []).append(command)
    for command in reversed(order):
        record = state.commands[command]
        result = record.output()
        if record.state not in DONE or result is None or command in unfinished or not _is_live(result):
            continue
        waiting = next((name for name in consumers.get(command, ()) if name in unfinished), None)
        if waiting is not None:
            reason = f'its live result died with its process and "{waiting}" needs it'
            facts.append(e.CommandReopened(at=now, command=command, reason=reason))
            unfinished.add(command)
    return facts


def _is_live(stored: e.Stored) -> bool:
    return stored.form == "live" or any(map(_is_live, (stored.items or {}).values()))


def _words(state: str) -> str:
    return {"upstream_failed": "no upstream result", "cancelled": "been cancelled"}.get(state, state)
