"""The facts about checkpoints of a project's files and about going back to them; `events` has them with all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_nb.event import Event


class CheckpointTaken(Event, frozen=True, kw_only=True):
    """The files were kept as they are at a `boundary`: start, command, recovery, pause, completion; or left, for what a
    command had written that failed for good.

    `id` is the checkpoint's name over all runs (``run/000007``), `message` the first line of that of its `commit`.
    `files` counts what changed since the checkpoint before, `left_out` says why files are not in it, `seconds` is by
    the monotonic clock. `command` and `attempt` are there where it is a command's.
    """

    boundary: str
    id: str
    commit: str
    message: str = ""
    files: int = 0
    left_out: Mapping[str, str] = {}
    seconds: float = 0.0
    command: str | None = None
    attempt: int | None = None


class CheckpointSkipped(Event, frozen=True, kw_only=True):
    """The files could not be kept at a `boundary`, and the run goes on all the same.

    With `for_good` no other one is tried before the run gets a new owner: there is no git, or nowhere to keep them.
    """

    boundary: str
    reason: str
    for_good: bool = False
    command: str | None = None
    attempt: int | None = None


class RollbackAsked(Event, frozen=True, kw_only=True):
    """The run is to go back as soon as nothing of it runs: to the moment named `to`, or without the commands `undo`.

    `rollback` is the name of this rollback. Files that somebody changed since are treated as `policy` says: refuse,
    keep-both, keep-mine. `because` says why, `go_on` that a run that was paused for it goes on afterwards; without
    `reopen` files go back and no command runs again.
    """

    rollback: str
    to: str | None = None
    undo: tuple[str, ...] = ()
    policy: str = "refuse"
    because: str = ""
    go_on: bool = False
    reopen: bool = True
    request: str | None = None
    by: Mapping[str, Any] | None = None


class RolledBack(Event, frozen=True, kw_only=True):
    """The run went back: files, outputs and shared state.

    `what` says it in words. `commands` run again, and `shared` is the shared state without them. `safety` is the
    checkpoint of the moment before, `outcome` the one after, by which it can be undone; empty where no file belonged to
    it. `restored`, `removed` and `beside` are files; `conflicts` says why files were left as they are, `unowned` are
    those that changed since without anybody known to have done it. `advice` names commands that had used what is gone.
    With `go_on` the run goes on at once.
    """

    rollback: str
    what: str
    commands: tuple[str, ...] = ()
    shared: Mapping[str, Any] | None = None
    safety: str = ""
    outcome: str = ""
    restored: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    conflicts: Mapping[str, str] = {}
    unowned: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    go_on: bool = False


class RollbackFailed(Event, frozen=True, kw_only=True):
    """The rollback could not be carried out, `reason` says why; `paths` are the files in question."""

    rollback: str
    reason: str
    paths: tuple[str, ...] = ()
    go_on: bool = False
