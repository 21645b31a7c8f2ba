"""A circuit breaker for each cause of errors: what is out of order is left alone for a while, then tried by one command."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator_nb import events as e
from orchestrator_nb.state.records import CauseRecord

TRIPS_AFTER = 5
"""Failures by one cause, with nothing going well between them, after which it is left alone."""

FIRST_REST, LONGEST_REST = 10.0, 300.0
"""Seconds that it is left alone for the first time, doubled each further time, and at the most."""


def once_more(known: CauseRecord | None, event: e.ErrorClassified, succeeded: int) -> CauseRecord:
    """Return the record of a cause after one more error by it; so many commands of the run have `succeeded`.

    While more goes well than fails it is not out of order: then some of it is only unlucky.
    """
    before = known or CauseRecord()
    failures, rounds, until = before.failures + 1, before.rounds, before.until
    since = before.succeeded if before.failures else succeeded
    if failures >= TRIPS_AFTER and event.at >= until and succeeded - since < failures:
        rounds += 1
        until = event.at + min(FIRST_REST * 2.0 ** (rounds - 1), LONGEST_REST)
    commands = before.commands if event.command in before.commands else (*before.commands, event.command)
    return CauseRecord(failures, rounds, until, commands, before.mended, since)


def mended(causes: Mapping[str, CauseRecord], command: str) -> dict[str, CauseRecord]:
    """Return the causes after the success of a command that had failed: what it had failed by is in order again."""
    return {
        cause: CauseRecord(
            commands=tuple(name for name in record.commands if name != command), mended=record.mended + 1
        )
        if command in record.commands
        else record
        for cause, record in causes.items()
    }
