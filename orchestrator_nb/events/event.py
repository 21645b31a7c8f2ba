"""What every fact of a run has."""

from __future__ import annotations

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag=True, gc=False):
    """A fact. Subclasses are in `run_events`, `decision_events` and `events`, and all of them are listed in `events.KINDS`."""

    at: float
