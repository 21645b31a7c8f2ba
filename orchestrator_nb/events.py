"""The facts of a run: frozen, in the past tense, plain JSON.

Every event has `at`, seconds since the epoch by the wall clock: for people, never for order or durations. Events
about a command name it; events about an attempt carry its number, counted from 1 over the whole run, so that
(command, attempt) names one execution for ever. What was asked for has the id of the `request`, and `by` says who asked
(pid, user, host). A field at its default is left out of the journal; a new field needs
a default and an old kind is never taken away, so that an old journal can always be read.

No fact can be part of a cycle, so they say `gc=False`: a long run keeps very many of them, and the garbage collector
would look through them all again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

FORMAT = 1
"""The version of the journal's format, recorded by every `RunStarted`."""


class Stored(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A value in its stored form: how it passes from one command to the next and survives the process.

    `form` is one of json, parquet, npy, bytes, file, mapping, live. `value` is there for json only, `artifact` (the
    SHA-256 of the content) and `size` (bytes) for the forms kept in files, `items` for a mapping. `type` is the
    qualified name of the Python type that went in, `name` the file name of a file.
    """

    form: str
    value: Any = None
    artifact: str | None = None
    size: int | None = None
    name: str | None = None
    type: str | None = None
    items: Mapping[str, Stored] | None = None


class Failure(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Why an attempt failed, as far as it is known.

    `kind` is one of exception, exit_code, signal, timeout, kernel_died, early_exit, result_refused, not_started,
    cancelled, lost, condition (what `when` says could not be evaluated). `types` are the qualified names of the
    exception's class and its bases, most derived first. `cell` counts all cells of the notebook from 0, `cell_source`
    is the source of that cell, `line` the line of it that raised, from 1; `source` is the path of the notebook that was
    run, `notebook` that of its output, relative to the run's folder. `stage` says where in the attempt it happened when
    it was not in the user's code. `transient` says whether a repetition may succeed, None where the one that failed had
    nothing to say about it; `advice` is what the command's own `handle_error` answered, as plain JSON.
    """

    kind: str
    message: str
    types: tuple[str, ...] = ()
    traceback: str | None = None
    cell: int | None = None
    cell_source: str | None = None
    line: int | None = None
    source: str | None = None
    notebook: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    stage: str | None = None
    transient: bool | None = None
    advice: Any = None


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag=True, gc=False):
    """A fact. Subclasses are listed in `KINDS`; nothing outside this file subclasses it."""

    at: float


# ── the run ─────────────────────────────────────────────────────────────────────────────────────────────────────


class RunStarted(Event, frozen=True, kw_only=True):
    """A run was opened: what it is a run of, with which parameters, under which promises, and who owns it.

    `parent` is the run of which this one is a part, None where it stands by itself. `settings` are the context, the
    quality requirements and the way in which it is driven, those that nobody gave at their defaults.
    """

    run: str
    workflow: str
    parameters: Mapping[str, Any] = {}
    durability: str = "full"
    slots: int = 1
    owner: Mapping[str, Any] = {}
    version: str = ""
    format: int = FORMAT
    parent: str | None = None
    settings: Mapping[str, Any] = {}


class RunPlanned(Event, frozen=True, kw_only=True):
    """Everything was checked and the plan holds: the commands in order, each with its kind and its upstream.

    `pools` says how much there is of what commands hold while they run, where any needs more than a slot. `adaptive`
    when the order is made anew while durations turn out to be wrong.
    """

    commands: Mapping[str, Mapping[str, Any]]
    pools: Mapping[str, Any] = {}
    adaptive: bool = True


class RunResumed(Event, frozen=True, kw_only=True):
    """The run goes on: in the owner's process after a pause, or in a new owner's, with as many slots as it has."""

    owner: Mapping[str, Any] = {}
    reason: str = ""
    slots: int | None = None
    request: str | None = None
    by: Mapping[str, Any] | None = None


class RunPaused(Event, frozen=True, kw_only=True):
    """Nothing new is started until the run is resumed; `leaving` when its owner is about to go."""

    reason: str
    leaving: bool = False
    request: str | None = None
    by: Mapping[str, Any] | None = None


class RunStopping(Event, frozen=True, kw_only=True):
    """The run was asked to stop: nothing new starts and what runs is being ended."""

    reason: str
    request: str | None = None
    by: Mapping[str, Any] | None = None


class RunCompleting(Event, frozen=True, kw_only=True):
    """Every command has come to its end and the results are being put together."""


class RunEnded(Event, frozen=True, kw_only=True):
    """The run is over: `state` is completed, failed, error or stopped."""

    state: str
    reason: str = ""


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


# ── an attempt ──────────────────────────────────────────────────────────────────────────────────────────────────


class AttemptStarted(Event, frozen=True, kw_only=True):
    """An attempt is about to be handed to an executor; its code has not run before this is durable."""

    command: str
    attempt: int


class KernelStarted(Event, frozen=True, kw_only=True):
    """The kernel of an attempt was started within `seconds`; `way` is forked or plain, `reason` why it is not forked."""

    command: str
    attempt: int
    way: str
    seconds: float
    reason: str = ""


class CellStarted(Event, frozen=True, kw_only=True):
    """A code cell began; `cell` counts all cells of the notebook from 0, `number` of `of` counts the code cells."""

    command: str
    attempt: int
    cell: int
    number: int
    of: int


class CellFinished(Event, frozen=True, kw_only=True):
    """A code cell ended; `status` is completed or failed, `seconds` is by the monotonic clock.

    `peak_memory` is the most memory that the kernel's process has had so far, in bytes, None where that is unknown.
    """

    command: str
    attempt: int
    cell: int
    status: str
    seconds: float
    outputs: int = 0
    peak_memory: int | None = None


class OutputRecorded(Event, frozen=True, kw_only=True):
    """A command recorded a named output from inside; it stays as partial result when the attempt fails."""

    command: str
    attempt: int
    name: str
    value: Stored


class MetricRecorded(Event, frozen=True, kw_only=True):
    """A command recorded a number about itself."""

    command: str
    attempt: int
    name: str
    value: float


class ArtifactRecorded(Event, frozen=True, kw_only=True):
    """A command attached a file; its content is in the artifacts under its hash."""

    command: str
    attempt: int
    name: str
    value: Stored


class StatePreserved(Event, frozen=True, kw_only=True):
    """A command handed over the state from which its next attempt can go on, in this run or in a resumed one."""

    command: str
    attempt: int
    value: Stored


class AttemptReturned(Event, frozen=True, kw_only=True):
    """An attempt came back without an error and its results are durable; `seconds` is by the monotonic clock.

    `shared` holds what it changed in the shared state, `notebook` the path of its output notebook and `log` that of
    what it printed, both relative to the run's folder.
    """

    command: str
    attempt: int
    seconds: float
    result: Stored | None = None
    shared: Mapping[str, Any] | None = None
    notebook: str | None = None
    log: str | None = None


class AttemptFailed(Event, frozen=True, kw_only=True):
    """An attempt failed; `crashed` when it was the machine's doing and not the command's."""

    command: str
    attempt: int
    seconds: float
    failure: Failure
    crashed: bool = False
    notebook: str | None = None
    log: str | None = None


class AttemptAbandoned(Event, frozen=True, kw_only=True):
    """A thread did not end when it was asked to; what it may still return is dropped, its slot stays taken."""

    command: str
    attempt: int
    seconds: float
    failure: Failure


class AttemptInterrupted(Event, frozen=True, kw_only=True):
    """The attempt came to nothing, by no fault of the command: its owner died, or the run was paused or stopped.

    `lost` when its owner died: whether the command had a part in that is not known. `abandoned` when it is a thread
    that did not end when it was asked to: its slot stays taken for as long as its process lives.
    """

    command: str
    attempt: int
    reason: str
    lost: bool = False
    abandoned: bool = False


class RetryScheduled(Event, frozen=True, kw_only=True):
    """The command will be tried again, not before `due` (seconds since the epoch)."""

    command: str
    due: float
    retry: int
    retries: int
    reason: str = ""


class RetryDue(Event, frozen=True, kw_only=True):
    """The time of a scheduled retry has come."""

    command: str


# ── a command ───────────────────────────────────────────────────────────────────────────────────────────────────


class CommandSucceeded(Event, frozen=True, kw_only=True):
    """The command is done in this generation: it will not run again unless it is reopened."""

    command: str
    attempt: int


class CommandFailed(Event, frozen=True, kw_only=True):
    """The command is given up in this generation, by its own doing.

    `failure` is there where no attempt had one: its condition could not be evaluated.
    """

    command: str
    reason: str = ""
    failure: Failure | None = None


class CommandCrashed(Event, frozen=True, kw_only=True):
    """The command is given up in this generation, by the doing of its kernel or machine."""

    command: str
    reason: str = ""


class CommandSkipped(Event, frozen=True, kw_only=True):
    """The command will not run in this generation, and that is as it should be.

    `cause` is trigger_rule where its upstream did not end as its rule wants it, when where its condition did not hold.
    """

    command: str
    reason: str
    cause: str = ""


class UpstreamFailed(Event, frozen=True, kw_only=True):
    """The command cannot run in this generation because of the commands named in `upstream`."""

    command: str
    upstream: tuple[str, ...]


class CommandCancelled(Event, frozen=True, kw_only=True):
    """The command was ended or left out because the run was stopped."""

    command: str
    reason: str


class DeviationRecorded(Event, frozen=True, kw_only=True):
    """Something is not as the definition wants it, and the run may complete all the same: `text` says what."""

    command: str
    text: str


class CommandReopened(Event, frozen=True, kw_only=True):
    """A new generation of the command begins: what it did before is history."""

    command: str
    reason: str


# ── the store ───────────────────────────────────────────────────────────────────────────────────────────────────


class RunDeleted(Event, frozen=True, kw_only=True):
    """A run was deleted, with everything in its folder: `bytes` of files. A fact of the store, in no run's journal."""

    run: str
    workflow: str = ""
    state: str = ""
    bytes: int = 0
    by: Mapping[str, Any] | None = None


KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in Event.__subclasses__()}
"""Every kind of event by its name in the journal."""
