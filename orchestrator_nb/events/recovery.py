"""The facts about errors: what kind each is, and what was looked at before it is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_nb.events.event import Event


class ErrorClassified(Event, frozen=True, kw_only=True):
    """The failure of an attempt is an error of this kind; the names are those of `recovery.taxonomy`.

    `transient` says whether it may pass by itself, None where nobody knows; `evidence` what it was told by. Errors with
    the same `cause` come from the same thing: a service, a host, a file.
    """

    command: str
    attempt: int
    category: str
    error: str
    severity: str
    transient: bool | None = None
    evidence: tuple[str, ...] = ()
    cause: str = ""


class ProbeDue(Event, frozen=True, kw_only=True):
    """The time of a scheduled retry has come, and what it needs of the machine is looked at before it."""

    command: str


class ResourcesProbed(Event, frozen=True, kw_only=True):
    """What the retry that follows this attempt would find: nothing of it is judged here.

    `disk` has the free bytes by folder, `disk_sizes` those of its file system in all, `memory` the bytes that can be had, `files` how many more may be opened; None
    where that cannot be known. `hosts` says for each host why it could not be reached, empty where it could.
    `changed` tells, in words, what is otherwise than when the attempt failed.
    """

    command: str
    attempt: int
    disk: Mapping[str, int] = {}
    disk_sizes: Mapping[str, int] = {}
    memory: int | None = None
    files: int | None = None
    hosts: Mapping[str, str] = {}
    changed: tuple[str, ...] = ()
    seconds: float = 0.0


class MemoryProbed(Event, frozen=True, kw_only=True):
    """Memory has become short on the machine, is so still, or has eased: `available` of the `total` bytes can be had."""

    available: int
    total: int
    short: bool = True


class WorkersChanged(Event, frozen=True, kw_only=True):
    """From now on at most so many commands start beside each other, whatever slots there are; None for the slots."""

    workers: int | None = None
    reason: str = ""


class DeadlineNear(Event, frozen=True, kw_only=True):
    """Little time is left until the run is stopped at this `deadline`, in seconds since the epoch."""

    deadline: float


class CommandAdapted(Event, frozen=True, kw_only=True):
    """From its next attempt on the command does something else than it was to do: it has other `parameters`, which go
    before its own, or another command, the `substitute`, is run in its place and gives its result."""

    command: str
    parameters: Mapping[str, Any] = {}
    substitute: str = ""
    reason: str = ""
