"""The facts about checkpoints of a project's files and about going back to them; `events` has them with all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_nb.events.event import Event
from orchestrator_nb.values import Failure

CHECKPOINT = "checkpoint"
GATE_CHECKPOINT = f"{CHECKPOINT} gate "


def checkpoint_step(gate: str) -> str:
    """Return the name of the step that keeps what held when a gate was passed; without one, of any other checkpoint."""
    return f"{GATE_CHECKPOINT}{gate}" if gate else CHECKPOINT


class CheckpointTaken(Event, frozen=True, kw_only=True):
    """The files were kept as they are at a `boundary`: start, command, gate, recovery, pause, completion; or left, for
    what a command had written that failed for good.

    `id` is the checkpoint's name over all runs (``run/000007``), `message` the first line of that of its `commit`.
    `files` counts what changed since the checkpoint before, `left_out` says why files are not in it, `seconds` is by
    the monotonic clock. `command` and `attempt` are there where it is a command's, `gate` where it was taken since that was passed.
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
    gate: str = ""

    @property
    def step(self) -> str:
        """The name of the step that it answers."""
        return checkpoint_step(self.gate)


class CheckpointSkipped(Event, frozen=True, kw_only=True):
    """The files could not be kept at a `boundary`, and the run goes on all the same.

    With `for_good` no other one is tried before the run gets a new owner: there is no git, or nowhere to keep them.
    `ended` is the end that the run had before that one, for `reason`, where everything of it is as it was then.
    `because` is the cause of one that nobody asked for, `note` what else is worth knowing.
    """

    boundary: str
    reason: str
    for_good: bool = False
    command: str | None = None
    attempt: int | None = None
    gate: str = ""

    @property
    def step(self) -> str:
        """The name of the step that it answers."""
        return checkpoint_step(self.gate)


class RollbackAsked(Event, frozen=True, kw_only=True):
    """The run is to go back as soon as nothing of it runs: to the moment named `to`, or without what `undo` names:
    commands, or one rollback.

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

    `what` says it in words. `commands` are opened anew; those in `results` have once more what they had come to in that
    generation, the others run again. `shared` is the shared state afterwards. `safety` is the checkpoint of the moment
    before, `outcome` the one after; empty where no file belonged to it. `undid` names the rollback that was undone by
    this one, `stayed` are commands that have newer results than the ones that were to come back, and keep them. `restored`, `removed` and `beside` are files; `conflicts` says why files were left as they are, `unowned` are
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
    results: Mapping[str, int] = {}
    undid: str = ""
    stayed: tuple[str, ...] = ()
    ended: str = ""
    reason: str = ""
    because: str = ""
    note: str = ""
    go_on: bool = False


class CommandRestored(Event, frozen=True, kw_only=True):
    """A command has once more what it had come to in an earlier `generation`: the rollback named `rollback` went back
    to where that held. It does not run for it.

    `state` is that end of it, `reason` what was said of it and `deviations` what excused it; `attempt` is the one that
    led there, the rest is what is known of that one.
    """

    command: str
    generation: int
    attempt: int
    state: str
    rollback: str = ""
    reason: str = ""
    started: float | None = None
    ended: float | None = None
    seconds: float = 0.0
    retry: int = 0
    deaths: int = 0
    returned: bool = False
    cell: int | None = None
    cells: int | None = None
    notebook: str | None = None
    log: str | None = None
    failure: Failure | None = None
    deviations: tuple[str, ...] = ()


class RollbackFailed(Event, frozen=True, kw_only=True):
    """The rollback could not be carried out, `reason` says why; `paths` are the files in question. `because` is the cause
    of one that nobody asked for. With `refused` nothing was changed."""

    rollback: str
    reason: str
    paths: tuple[str, ...] = ()
    refused: bool = False
    because: str = ""
    go_on: bool = False
