"""Facts with the secrets taken out of what users' code has put into them, before they are recorded."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.events import Event, Failure, MetricRecorded, NoticeGiven, Stored

_FROM_COMMANDS = frozenset({"name", "value", "result", "shared", "failure", "text", "message"})
"""The fields of events that hold what a command has made up; the others are names and paths of ours."""

_OURS = frozenset({"kind", "notebook", "source"})
"""The fields of a failure that are ours."""


def redacted(event: Event) -> Event:
    """Return the event as it may be recorded: the very same while no secret is known."""
    if not REDACTOR.active:
        return event
    if isinstance(event, MetricRecorded) and REDACTOR.value(event.value) != event.value:
        text = f'the metric "{event.name}" is not recorded: its value is that of a secret'
        event = NoticeGiven(at=event.at, text=text, command=event.command, attempt=event.attempt)
    return structs.replace(
        event, **{name: _part(getattr(event, name)) for name in event.__struct_fields__ if name in _FROM_COMMANDS}
    )


def _part(value: Any) -> Any:
    if isinstance(value, Stored):
        items = value.items
        return structs.replace(
            value,
            value=REDACTOR.value(value.value),
            name=value.name if value.form == "live" else REDACTOR.value(value.name),
            items=None if items is None else {REDACTOR.text(key): _part(item) for key, item in items.items()},
        )
    if isinstance(value, Failure):
        known = structs.asdict(value)
        return Failure(**{name: known[name] if name in _OURS else REDACTOR.value(known[name]) for name in known})
    return REDACTOR.value(value)
