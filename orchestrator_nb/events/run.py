"""The facts about a run as a whole, and about the store that it is in; `events` has them with all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_nb.events.event import Event

FORMAT = 2
"""The version of the journal's format, which a run records as it begins. Since 2, a turn has one hash; each line had."""


class RunStarted(Event, frozen=True, kw_only=True):
    """A run was opened: what it is a run of, with which parameters, under which promises, and who owns it.

    `parent` is the run of which this one is a part, None where it stands by itself. `settings` are the context, the
    quality requirements and the way in which it is driven, those that nobody gave at their defaults. `decide` is what
    becomes of decisions while it is driven: it waits for them, takes defaults now, or parks when only decisions are
    left that have none.
    """

    run: str
    workflow: str
    parameters: Mapping[str, Any] = {}
    durability: str = "full"
    slots: int = 1
    owner: Mapping[str, Any] = {}
    version: str = ""
    format: int = 1
    parent: str | None = None
    settings: Mapping[str, Any] = {}
    decide: str = "park"


class RunPlanned(Event, frozen=True, kw_only=True):
    """Everything was checked and the plan holds: the commands in order, each with its kind and its upstream.

    `pools` says how much there is of what commands hold while they run, where any needs more than a slot. `adaptive`
    when the order is made anew while durations turn out to be wrong. `left_out` counts the commands of the workflow
    that are no part of this run, because they were not selected. `steps` says what is done besides, in order, at the
    moments of the run: at its start, its recovery by a new owner, its pauses, its completion; and, under shared, after
    an attempt that changed the shared state. `merge` has the strategies for keys of the shared state, see `sharing`.
    """

    commands: Mapping[str, Mapping[str, Any]]
    pools: Mapping[str, Any] = {}
    adaptive: bool = True
    left_out: int = 0
    steps: Mapping[str, tuple[str, ...]] = {}
    merge: Mapping[str, str] = {}


class RunResumed(Event, frozen=True, kw_only=True):
    """The run goes on: in the owner's process after a pause, or in a new owner's, with as many slots as it has.

    `decide` is as in `RunStarted`, and `recovery` is that of its settings; None where they stay as they were.
    """

    owner: Mapping[str, Any] = {}
    reason: str = ""
    slots: int | None = None
    decide: str | None = None
    recovery: Mapping[str, Any] | None = None
    request: str | None = None
    by: Mapping[str, Any] | None = None


class RunPaused(Event, frozen=True, kw_only=True):
    """Nothing new is started until the run is resumed; `leaving` when its owner is about to go, `parked` because nothing
    is left but decisions that people have to make."""

    reason: str
    leaving: bool = False
    parked: bool = False
    request: str | None = None
    by: Mapping[str, Any] | None = None


class RunStopping(Event, frozen=True, kw_only=True):
    """The run was asked to stop: nothing new starts and what runs is being ended."""

    reason: str
    request: str | None = None
    by: Mapping[str, Any] | None = None


class RunCompleting(Event, frozen=True, kw_only=True):
    """Every command has come to its end and the results are being put together."""


class StepsDue(Event, frozen=True, kw_only=True):
    """Nothing of the run is under way, and what is done at this `moment` is due: pause or rollback."""

    moment: str


class RunEnded(Event, frozen=True, kw_only=True):
    """The run is over: `state` is completed, failed, error or stopped. It is so `again` where a rollback that had opened
    it anew was undone."""

    state: str
    reason: str = ""
    again: bool = False


class DefinitionChanged(Event, frozen=True, kw_only=True):
    """The run goes on with a definition or a source that differs from the one before; `changes` says in what."""

    changes: tuple[str, ...]


class JournalCut(Event, frozen=True, kw_only=True):
    """A torn tail, left by a death in the middle of a write, was moved aside: `bytes` of it, kept in `file`."""

    bytes: int
    file: str


class NoticeGiven(Event, frozen=True, kw_only=True):
    """Something that a person should know; it changes nothing. The answer to a request that came to nothing, too."""

    text: str
    command: str | None = None
    attempt: int | None = None
    request: str | None = None
    by: Mapping[str, Any] | None = None


class RunRated(Event, frozen=True, kw_only=True):
    """Somebody said what they think of a run: 1 to 5 `stars`, a `note`. A fact of the store, in no run's journal.

    `author` and `role` say who it was and as what, `about` names the subject of a recommendation where it is about one.
    """

    run: str
    stars: int | None = None
    note: str = ""
    author: str = ""
    role: str = ""
    about: str = ""
    by: Mapping[str, Any] | None = None


class StoreAudited(Event, frozen=True, kw_only=True):
    """All runs of a store were held against their journals, which took `seconds`. A fact of the store, in no run's
    journal."""

    runs: int
    findings: int
    seconds: float
    by: Mapping[str, Any] | None = None


class RunDeleted(Event, frozen=True, kw_only=True):
    """A run was deleted, with everything in its folder: `bytes` of files. A fact of the store, in no run's journal."""

    run: str
    workflow: str = ""
    state: str = ""
    bytes: int = 0
    by: Mapping[str, Any] | None = None
