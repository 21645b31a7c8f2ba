"""Which rows are asked for: filters of runs and of what they consist of, as conditions on the tables of the index."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, TypedDict

from sqlalchemy import ColumnElement, Table, and_, func, select
from typing_extensions import Unpack

from orchestrator_nb.errors import UsageError
from orchestrator_nb.journal.index import schema

Moment = str | float | date | datetime | timedelta
"""A moment: a date or time (local where it names no zone), seconds since the epoch, or how long before now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The runs of these workflows that began from `since` on and before `until` (seconds since the epoch), these runs,
    commands in these states, with this tag; None and () are no condition."""

    workflows: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    states: tuple[str, ...] = ()
    tag: str | None = None
    commands: tuple[str, ...] = ()

    @property
    def is_of_runs(self) -> bool:
        """Whether it leaves out any run."""
        return bool(self.workflows or self.runs or self.since is not None or self.until is not None)

    def of_runs(self) -> list[ColumnElement[bool]]:
        """Return the conditions on the runs."""
        runs = schema.runs.c
        found: list[ColumnElement[bool]] = []
        if self.workflows:
            found.append(runs.workflow.in_(self.workflows))
        if self.runs:
            found.append(runs.run.in_(self.runs))
        if self.since is not None:
            found.append(runs.started >= self.since)
        if self.until is not None:
            found.append(runs.started < self.until)
        return found

    def of_rows(self, table: Table, state: Any) -> list[ColumnElement[bool]]:
        """Return the conditions on the rows of a table, whose `state` is this expression (None where it has none)."""
        found: list[ColumnElement[bool]] = []
        if self.states and state is not None:
            found.append(state.in_(self.states))
        if table is schema.runs:
            if self.tag is not None:
                found.append(schema.runs.c.key.in_(select(schema.commands.c.run_key).where(_tagged(self.tag))))
            return found
        if self.commands:
            found.append(table.c.command.in_(self.commands))
        if self.tag is not None and table is schema.commands:
            found.append(_tagged(self.tag))
        elif self.tag is not None:
            of = schema.commands.c
            same = and_(of.run_key == table.c.run_key, of.command == table.c.command, _tagged(self.tag))
            found.append(select(of.command).where(same).exists())
        return found


def _tagged(tag: str) -> ColumnElement[bool]:
    each = func.json_each(schema.commands.c.tags).table_valued("value")
    return select(each.c.value).where(each.c.value == tag).exists()


class Filters(TypedDict, total=False):
    """What frames can be filtered by; what is left out or None is no filter."""

    workflow: str | Collection[str] | None
    run: str | Collection[str] | None
    since: Moment | None
    until: Moment | None
    state: str | Collection[str] | None
    tag: str | None
    command: str | Collection[str] | None


def selection(**filters: Unpack[Filters]) -> Selection:
    """Return the selection of what was asked for. Raises UsageError for a moment that is none."""
    since, until = filters.get("since"), filters.get("until")
    return Selection(
        workflows=_all(filters.get("workflow")),
        runs=_all(filters.get("run")),
        since=None if since is None else seconds_of(since),
        until=None if until is None else seconds_of(until),
        states=_all(filters.get("state")),
        tag=filters.get("tag"),
        commands=_all(filters.get("command")),
    )


def _all(given: str | Collection[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def seconds_of(moment: Moment) -> float:
    """Return a moment as seconds since the epoch. Raises UsageError for text that is no date or time."""
    if isinstance(moment, (int, float)):
        return float(moment)
    if isinstance(moment, timedelta):
        return (datetime.now(timezone.utc) - moment).timestamp()
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise UsageError(
                f'"{moment}" is no moment; expected a date or time such as 2026-01-31 or 2026-01-31T18:00'
            ) from None
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - local, as people mean it
    return moment.timestamp()
