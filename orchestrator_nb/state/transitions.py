"""Which state follows which: the tables of the run and of its commands, and what their states mean.

The tables are the whole truth about it; the diagram in the README is drawn from them.
"""

from __future__ import annotations

RUN_TRANSITIONS: dict[str, dict[str, str]] = {
    "RunStarted": {"new": "initializing"},
    "RunPlanned": {"initializing": "executing", "executing": "executing"},
    "RunPaused": {"executing": "paused", "paused": "paused", "completing": "paused"},
    "RunResumed": {
        "initializing": "initializing",
        "executing": "executing",
        "paused": "executing",
        "stopping": "executing",
        "completing": "executing",
        "completed": "executing",
        "failed": "executing",
        "error": "executing",
        "stopped": "executing",
    },
    "RunStopping": {"executing": "stopping", "paused": "stopping", "completing": "stopping", "stopping": "stopping"},
    "RunCompleting": {"executing": "completing"},
    "RunEnded completed": {"completing": "completed"},
    "RunEnded failed": {"completing": "failed"},
    "RunEnded error": {"initializing": "error", "completing": "error"},
    "RunEnded stopped": {"stopping": "stopped"},
    **{f"RunEnded {state} again": {"executing": state} for state in ("completed", "failed", "error", "stopped")},
}
"""Event (and its state, where one event has several ends) → state before → state after."""

COMMAND_TRANSITIONS: dict[str, dict[str, str]] = {
    "AttemptStarted": {"pending": "running"},
    "AttemptReturned": {"running": "running"},
    "AttemptFailed": {"running": "waiting"},
    "AttemptAbandoned": {"running": "waiting"},
    "AttemptInterrupted": {"running": "pending"},
    "RetryScheduled": {"waiting": "waiting", "pending": "waiting"},
    "ProbeDue": {"waiting": "waiting"},
    "ResourcesProbed": {"waiting": "waiting"},
    "CommandAdapted": {"waiting": "waiting"},
    "DecisionRequested": {"waiting": "waiting", "pending": "waiting", "running": "running"},
    "AttemptTakenOver": {"waiting": "running", "pending": "running"},
    "RetryDue": {"waiting": "pending"},
    "CommandSucceeded": {"running": "succeeded"},
    "CommandReused": {"pending": "reused", "running": "reused"},
    "CommandFailed": {"waiting": "failed", "pending": "failed"},
    "CommandCrashed": {"waiting": "crashed", "pending": "crashed"},
    "CommandSkipped": {"pending": "skipped", "waiting": "skipped"},
    "UpstreamFailed": {"pending": "upstream_failed"},
    "CommandCancelled": {"pending": "cancelled", "waiting": "cancelled"},
    "CommandReopened": {
        "succeeded": "pending",
        "reused": "pending",
        "failed": "pending",
        "crashed": "pending",
        "skipped": "pending",
        "upstream_failed": "pending",
        "cancelled": "pending",
    },
    **{
        f"CommandRestored {state}": {"pending": state, "waiting": state}
        for state in ("succeeded", "reused", "failed", "crashed", "skipped", "upstream_failed", "cancelled")
    },
}
"""Event (and its state, where one event has several ends) → state before → state after. A pending command that its trigger rule lets start is shown as ready."""

FINAL = frozenset({"succeeded", "reused", "failed", "crashed", "skipped", "upstream_failed", "cancelled"})
"""The states in which a command stays unless it is reopened."""

DONE = frozenset({"succeeded", "reused"})
"""The final states in which a command has a result."""

GOOD = DONE | {"skipped"}
"""The final states that a run may complete with; what follows a skipped command is up to its trigger rule."""

ENDED = frozenset({"completed", "failed", "error", "stopped"})
"""The states in which a run stays unless it is resumed."""

COMMAND_STATES = ("pending", "ready", "running", "waiting", *sorted(FINAL))


class IllegalTransition(Exception):
    """An event came that the tables do not allow in this state; nothing was changed."""
