"""The facts of a command: its attempts, their cells and results, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_nb.events.event import Event
from orchestrator_nb.values import Failure, Stored, Used

# ── an attempt ──────────────────────────────────────────────────────────────────────────────────────────────────


class AttemptStarted(Event, frozen=True, kw_only=True):
    """An attempt is about to be handed to an executor; its code has not run before this is durable.

    `holds` is what it holds while it runs, where that is not what the plan says of the first attempt.
    """

    command: str
    attempt: int
    holds: Mapping[str, int] = {}


class KernelStarted(Event, frozen=True, kw_only=True):
    """The kernel of an attempt was there after `seconds`; `way` is forked, pooled (it was started ahead) or plain,
    `reason` why it is not forked."""

    command: str
    attempt: int
    way: str
    seconds: float
    reason: str = ""


class ModulesImported(Event, frozen=True, kw_only=True):
    """What the kernel of an attempt has imported of large libraries by its end that was not there before its fork."""

    command: str
    attempt: int
    modules: tuple[str, ...]


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
    what it printed, both relative to the run's folder. `reads` and `writes` have, for each of the files that it
    declares, the SHA-256 of the content: of what it reads at the beginning, of what it writes at the end; None for
    one that was not there. `used` is what it took of the machine, None where that was not measured or is nothing.
    """

    command: str
    attempt: int
    seconds: float
    result: Stored | None = None
    shared: Mapping[str, Any] | None = None
    notebook: str | None = None
    log: str | None = None
    reads: Mapping[str, str | None] | None = None
    writes: Mapping[str, str | None] | None = None
    used: Used | None = None


class GateChecked(Event, frozen=True, kw_only=True):
    """A gate was held against what an attempt gave, or against the run as a whole, where `command` is None.

    `verdict` is passed, failed, or error where the gate itself could not be carried out: `message` says why. `blocking`
    when nothing goes on without it, `retry` when the command may be tried again for it. `value` is what was found and
    `expected` what should have been, in words; `evidence` is kept among the artifacts.
    """

    gate: str
    verdict: str
    command: str | None = None
    attempt: int | None = None
    blocking: bool = True
    retry: bool = False
    value: Any = None
    expected: str = ""
    message: str = ""
    evidence: Stored | None = None
    seconds: float = 0.0

    @property
    def step(self) -> str:
        """The step that it is the answer of."""
        return f"{GATE}{self.gate}"

    @property
    def holds(self) -> bool:
        """False when a blocking gate stands in the way."""
        return self.verdict == "passed" or not self.blocking


GATE = "gate "
"""What the names of steps that are gates begin with."""


class SharedMerged(Event, frozen=True, kw_only=True):
    """Own functions have merged what an attempt changed in the shared state: `values` is what they returned, by key.

    `failure` is there where one raised, was too late, or returned what cannot be kept; then nothing is taken.
    """

    command: str
    attempt: int
    values: Mapping[str, Any] = {}
    seconds: float = 0.0
    failure: Failure | None = None


class ReuseDeclined(Event, frozen=True, kw_only=True):
    """The command runs although reuse was asked for: `reason` says in what it is not as it was."""

    command: str
    attempt: int
    reason: str


class AttemptFailed(Event, frozen=True, kw_only=True):
    """An attempt failed; `crashed` when it was the machine's doing and not the command's."""

    command: str
    attempt: int
    seconds: float
    failure: Failure
    crashed: bool = False
    notebook: str | None = None
    log: str | None = None
    used: Used | None = None


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
    """The command will be tried again, not before `due` (seconds since the epoch).

    `checks` are what is looked at before it: disk, memory, files, and `host name:port` for each host. `put_off` counts
    how often it was put off already, since something of that was missing.
    """

    command: str
    due: float
    retry: int
    retries: int
    reason: str = ""
    checks: tuple[str, ...] = ()
    put_off: int = 0


class RetryDue(Event, frozen=True, kw_only=True):
    """The time of a scheduled retry has come."""

    command: str


# ── a command ───────────────────────────────────────────────────────────────────────────────────────────────────


class CommandSucceeded(Event, frozen=True, kw_only=True):
    """The command is done in this generation: it will not run again unless it is reopened."""

    command: str
    attempt: int


class CommandReused(Event, frozen=True, kw_only=True):
    """The command is done without having run: what it gave in an earlier run is here now, and its files with it.

    `origin` is the run in which it ran, with the attempt `origin_attempt`; `attempt` is the attempt of this run that
    found it up to date, None where that was known before anything started. `merged` is what own functions made of its
    changes of the shared state. `key`, `inputs` (a hash of what each upstream
    command gave it), `reads` and `writes` say what it was made with and what it wrote there.
    """

    command: str
    origin: str
    origin_attempt: int = 0
    attempt: int | None = None
    reason: str = ""
    result: Stored | None = None
    recorded: Mapping[str, Stored] = {}
    metrics: Mapping[str, float] = {}
    artifacts: Mapping[str, Stored] = {}
    shared: Mapping[str, Any] | None = None
    merged: Mapping[str, Any] | None = None
    reads: Mapping[str, str | None] | None = None
    writes: Mapping[str, str | None] | None = None
    notebook: str | None = None
    log: str | None = None
    key: str = ""
    inputs: Mapping[str, str] = {}


class CommandAccepted(Event, frozen=True, kw_only=True):
    """Somebody takes the result of a command for that of its code as it is now, and its files as they are now."""

    command: str
    key: str
    reads: Mapping[str, str | None] | None = None
    writes: Mapping[str, str | None] | None = None
    request: str | None = None
    by: Mapping[str, Any] | None = None


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

    `cause` is trigger_rule where its upstream did not end as its rule wants it, when where its condition did not hold,
    deferred where it is optional and was left for later.
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
    """Something is not as the definition wants it, and the run may complete all the same: `text` says what.

    `command` is empty where it is about the run as a whole.
    """

    command: str
    text: str


class CommandReopened(Event, frozen=True, kw_only=True):
    """A new generation of the command begins: what it did before is history."""

    command: str
    reason: str
