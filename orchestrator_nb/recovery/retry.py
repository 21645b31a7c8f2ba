"""Trying again: exponential back-off with full jitter, for what is likely to pass."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from orchestrator_nb import events as e
from orchestrator_nb.records import PlannedCommand
from orchestrator_nb.recovery.causes import is_permanent, is_transient
from orchestrator_nb.state import RunState

DEFAULT_RETRIES = 3
WANT_RETRIES = 5
"""Retries of what could not be started for want of processes, threads or open files, whatever the command says."""

LONGEST_DELAY = 300.0
"""Seconds that a retry waits at the most."""


class Retry:
    """A failed attempt is repeated: by default three times and only if the failure is transient; a number of retries
    that the user wrote covers every failure that is not known to be permanent. What could not even be started, because
    the machine lacked something, is tried again in any case.

    The n-th retry waits a random time between nothing and retry_delay · 2ⁿ⁻¹ seconds ("full jitter", M. Brooker,
    Exponential Backoff And Jitter, 2015). The draw is seeded by run, command and attempt, so that a replay decides
    the same.
    """

    kinds: tuple[type[e.Event], ...] = (e.AttemptFailed,)
    decides: tuple[type[e.Event], ...] = (e.AttemptFailed,)

    def __call__(self, event: e.Event, state: RunState) -> Iterable[e.Event]:
        """Return the next retry, or nothing when there is none to be had."""
        assert isinstance(event, e.AttemptFailed)
        planned = state.planned[event.command]
        retry = state.commands[event.command].retry + 1
        retries = _retries(planned, event.failure)
        if retry > retries:
            return ()
        longest = min(planned.retry_delay * 2.0 ** (retry - 1), LONGEST_DELAY)
        draw = Random(f"{state.run.run}/{event.command}/{event.attempt}").uniform(0.0, longest)  # noqa: S311 - no secret
        return (
            e.RetryScheduled(
                at=event.at,
                command=event.command,
                due=event.at + draw,
                retry=retry,
                retries=retries,
                reason=event.failure.message,
            ),
        )


def _retries(planned: PlannedCommand, failure: e.Failure) -> int:
    """Return how many retries this failure of this command gets."""
    if is_permanent(failure):
        return 0
    if failure.kind == "not_started" and failure.transient:
        return max(WANT_RETRIES, planned.retries or 0)  # nothing of it has run: no try of the command is used up
    if planned.retries is not None:
        return planned.retries
    return DEFAULT_RETRIES if planned.idempotent and is_transient(failure) else 0
