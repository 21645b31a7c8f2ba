"""Trying again: exponential back-off with full jitter, for what is likely to pass."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.recovery.classification import classified
from orchestrator_nb.recovery.taxonomy import cause_of
from orchestrator_nb.recovery.want import FIRST_WAIT, LONGEST_WAIT, MOST_PUT_OFFS, checks_before_retry, missing
from orchestrator_nb.state.records import CommandRecord, PlannedCommand
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.values import Classified

DEFAULT_RETRIES = 3
MENDED_RETRIES = 2
"""Retries more by default, where retries have mended a failure by the same cause in this run."""

WANT_RETRIES = 5
"""Retries of what could not be started for want of processes, threads or open files, whatever the command says."""

STARVED = frozenset({"context_overflow", "resource_exhaustion"})
"""Kinds of errors that a retry may well mend that gets more of the machine, where the command says what."""

LONGEST_DELAY = 300.0
"""Seconds that a retry waits at the most."""

LEAST_BUDGET = 50
"""Retries that a run has at the least; one with more commands has two for each of them."""

STAGGER = 0.5
"""Of a rest, how much later than its end the commands come that wait for it, so that one of them is the first."""


class Retry:
    """A failed attempt is repeated: by default three times and only if the failure is transient; a number of retries
    that the user wrote covers every failure that is not known to be permanent. What could not even be started, because
    the machine lacked something, is tried again in any case. A critical error is not tried again.

    The n-th retry waits a random time between nothing and retry_delay · 2ⁿ⁻¹ seconds ("full jitter", M. Brooker,
    Exponential Backoff And Jitter, 2015), less where what it failed by has just come right with others. The draw is seeded by run, command and attempt, so that a replay decides
    the same. Where a person is asked in the end, retries go on no longer than the first level lasts.

    What retries have never mended in earlier runs is not tried again. What many commands fail by is left alone for a
    while (see `breaker`), and a run has a budget of retries. Commands that failed because others held what they need
    are tried again one after the other. Before a retry it is looked at what it needs (see `want`): while something of
    that is missing it is put off, which uses up no try, as long as the deadline allows.
    """

    kinds: tuple[type[e.Event], ...] = (e.AttemptFailed, e.ResourcesProbed, e.RetryDue)
    decides: tuple[type[e.Event], ...] = (e.AttemptFailed,)

    def __call__(self, event: Any, state: RunState) -> Iterable[e.Event]:
        """Return the next retry, or nothing when there is none to be had."""
        if isinstance(event, e.RetryDue):
            return self._put_off(event, state)
        if isinstance(event, e.ResourcesProbed):
            return self._go_or_wait(event, state)
        planned, record = state.planned[event.command], state.commands[event.command]
        error = classified(event.command, event.failure, state)
        retry = record.retry + 1
        cause = cause_of(event.failure, error)
        starved = planned.retry_needs is not None and error.kind in STARVED
        if cause in planned.hopeless and event.failure.kind != "not_started" and not starved:
            return ()
        known = state.causes.get(cause)
        retries = _retries(planned, event.failure, error, mended=known is not None and known.mended > 0)
        if retry > retries or _is_spent(event.failure, state):
            return ()
        doubled = retry - 1
        if known is not None and known.mended and error.kind != "resource_contention":
            # Others have come right that failed by the same: it grows with what has failed since then only.
            doubled = min(doubled, known.failures)
        longest = min(planned.retry_delay * 2.0**doubled, LONGEST_DELAY)
        due = event.at + _draw(state, event.command, event.attempt).uniform(0.0, longest)
        if known is not None and known.until > event.at:
            due = max(due, _after_rest(known.until, event.at, state, event.command, event.attempt))
        limits, until = planned.escalation, state.run.until
        if limits is not None and due > (record.troubled or event.at) + limits.automatic:
            return ()
        if until is not None and due >= until:
            return ()  # the run would be stopped before; something else may still be possible
        return (
            e.RetryScheduled(
                at=event.at,
                command=event.command,
                due=due,
                retry=retry,
                retries=retries,
                reason=event.failure.message,
                checks=checks_before_retry(event.failure, error),
            ),
        )

    def _go_or_wait(self, event: e.ResourcesProbed, state: RunState) -> Iterable[e.Event]:
        """Return that the retry's time has come, or a later time while something is missing that it needs."""
        record, planned = state.commands[event.command], state.planned[event.command]
        if record.due is None:
            return ()  # somebody has decided otherwise meanwhile
        go = (e.RetryDue(at=event.at, command=event.command),)
        lacking = missing(event, record.error, memory=(planned.held(retry=True) or {}).get("memory", 0))
        if not lacking or record.put_off >= MOST_PUT_OFFS:
            return go
        wait = min(FIRST_WAIT * 2.0**record.put_off, LONGEST_WAIT)
        draw = Random(f"{state.run.run}/{event.command}/{event.attempt}/{record.put_off}")  # noqa: S311 - no secret
        due = event.at + draw.uniform(0.75, 1.0) * wait
        limits, begun = planned.escalation, record.troubled or event.at
        if (state.run.until is not None and due >= state.run.until) or (
            limits is not None and due > begun + limits.automatic
        ):
            return go
        return (_later(event, record, due, f"put off: {'; '.join(lacking)}", put_off=record.put_off + 1),)

    def _put_off(self, event: e.RetryDue, state: RunState) -> Iterable[e.Event]:
        """Return a later time for a retry whose time has come too early: its cause has been left alone meanwhile, or
        another command is at what both need."""
        record = state.commands[event.command]
        for cause, known in state.causes.items():
            if event.command not in known.commands:
                continue
            due = None
            if known.until > event.at:
                due = _after_rest(known.until, event.at, state, event.command, record.attempt)
            elif cause.startswith("resource_contention") and _is_taken(known.commands, event.command, state):
                due = event.at + max(0.05, min(record.seconds, 30.0))
            if due is not None:
                return (_later(event, record, due, f"put off: {cause.replace('_', ' ')}", put_off=record.put_off),)
        return ()


def _later(
    event: e.RetryDue | e.ResourcesProbed, record: CommandRecord, due: float, reason: str, *, put_off: int
) -> e.RetryScheduled:
    """Return the same retry at a later time."""
    return e.RetryScheduled(
        at=event.at,
        command=event.command,
        due=due,
        retry=record.retry,
        retries=record.retry,
        reason=reason,
        checks=record.checks,
        put_off=put_off,
    )


def _retries(planned: PlannedCommand, failure: e.Failure, error: Classified, *, mended: bool) -> int:
    """Return how many retries this failure of this command gets; more where retries have mended such failures in this
    run already."""
    if error.transient is False or (error.severity == "critical" and not error.transient):
        return 0
    if failure.kind == "not_started" and failure.transient:
        return max(WANT_RETRIES, planned.retries or 0)  # nothing of it has run: no try of the command is used up
    if planned.retries is not None:
        return planned.retries
    starved = planned.retry_needs is not None and error.kind in STARVED  # it gets more than it had
    if not planned.idempotent or not (error.transient or starved):
        return 0
    return DEFAULT_RETRIES + (MENDED_RETRIES if mended else 0)


def _is_spent(failure: e.Failure, state: RunState) -> bool:
    """Tell whether the run has had all its retries; what has not even begun does not count."""
    recovery = state.run.settings.get("recovery") or {}
    budget = recovery.get("retry_budget")
    if budget is None:
        budget = max(LEAST_BUDGET, 2 * len(state.planned))
    return state.retried >= budget and failure.kind != "not_started"


def _after_rest(until: float, now: float, state: RunState, command: str, attempt: int) -> float:
    return until + _draw(state, command, attempt).uniform(0.0, STAGGER * (until - now))


def _is_taken(commands: Iterable[str], command: str, state: RunState) -> bool:
    """Tell whether another of these commands is being tried again."""
    others = (state.commands.get(name) for name in commands if name != command)
    return any(other is not None and other.state in ("running", "pending") and other.retry for other in others)


def _draw(state: RunState, command: str, attempt: int) -> Random:
    return Random(f"{state.run.run}/{command}/{attempt}")  # noqa: S311 - no secret
