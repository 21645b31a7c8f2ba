"""One attempt on its way: what the command has in hand, where its context calls go, and its one answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct, field, structs

from orchestrator_nb.commands.usage import machine_network
from orchestrator_nb.context import install
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.disk import Kept, once_there_is_room
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.data.shared_values import shared_form
from orchestrator_nb.data.stored import load, store
from orchestrator_nb.errors import StoreFull, UsageError
from orchestrator_nb.events import (
    ArtifactRecorded,
    AttemptFailed,
    AttemptReturned,
    Event,
    Failure,
    MetricRecorded,
    NoticeGiven,
    OutputRecorded,
    StatePreserved,
    Stored,
    Used,
)
from orchestrator_nb.executors.attempt_log import AttemptLog
from orchestrator_nb.executors.failures import CRASHES, failure_of, with_peak
from orchestrator_nb.executors.forked_copy import leave_copy
from orchestrator_nb.executors.known import known
from orchestrator_nb.executors.measuring import Measure
from orchestrator_nb.executors.outputs import check_outputs
from orchestrator_nb.journal import forks
from orchestrator_nb.ports import Report, Work
from orchestrator_nb.state.records import CommandRecord, returned

_KEPT = (OutputRecorded, ArtifactRecorded, MetricRecorded)
Answer = AttemptReturned | AttemptFailed
Progress = Callable[[str, int, float, str], None]
"""Told (command, attempt, fraction from 0 to 1, text), from any thread."""

LOG_SIZE = 10 * 2**20
"""Bytes that are kept of what an attempt prints, half of it its head and half its tail, where nobody says otherwise."""

# Rarely taken and never held for long, so all attempts share one.
_turn = threading.Lock()


class Surroundings(Struct, frozen=True, kw_only=True):
    """What all attempts of an executor have in common. `measure` when what they take of the machine is
    recorded; `endable` hears of an attempt that can be ended from now on."""

    report: Report
    artifacts: Artifacts
    live: LiveResults | None
    clock: Callable[[], float]
    log_size: int = LOG_SIZE
    progress: Progress | None = None
    measure: bool = True
    endable: Callable[[LocalAttempt], None] | None = None


class LocalAttempt(Struct, eq=False):
    """An attempt in this process: the `Attempt` of its command and the `Sink` of its context."""

    work: Work
    _around: Surroundings
    begun: float = field(default_factory=time.monotonic)
    notebook: str | None = None
    transient: bool | None = None
    advice: Any = None
    used: Used | None = None
    closed: bool = False
    _changes: dict[str, Any] | None = None
    _measure: Measure | None = None
    _log: AttemptLog | None = None
    _reason: str | None = None
    _kept: list[OutputRecorded | ArtifactRecorded | MetricRecorded] = []
    _told: bool = False
    _mute: bool = False
    _grace: float = 0.0
    _ending: Callable[[float], None] | None = None
    _ender: threading.Thread | None = None

    # ── for its command ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def measures(self) -> bool:
        """Whether what it takes of the machine is recorded."""
        return self._around.measure

    def report(self, event: Event) -> None:
        """Tell a fact; after the answer nothing more is told."""
        if not self._mute:
            if isinstance(event, _KEPT) and (self.work.definition.checks or self.work.definition.outputs):
                self._kept.append(event)
            self._around.report(event)

    def load(self, stored: Stored) -> Any:
        """Return the value of a stored form."""
        return load(stored, artifacts=self._around.artifacts, live=self._around.live)

    def store(self, value: Any, *, at: str) -> Stored:
        """Return the stored form of a value. Raises ResultRefused; StoreFull after it has waited for room."""
        artifacts, live = self._around.artifacts, self._around.live
        try:
            return store(value, artifacts=artifacts, live=live, at=at)
        except StoreFull:
            return self._once_there_is_room(partial(store, value, artifacts=artifacts, live=live, at=at))

    def preserve(self, value: Any) -> None:
        """Keep a state for the next attempt. Raises ResultRefused, also for what would die with this process."""
        work = self.work
        stored = store(value, artifacts=self._around.artifacts, live=None, at="preserve_state()")
        self.report(StatePreserved(at=self._around.clock(), command=work.command, attempt=work.attempt, value=stored))

    def write_log(self, text: str) -> None:
        """Add to the log, which is made with the first text."""
        if not text:
            return
        if self._log is None:
            with _turn:
                if self._log is None:
                    work = self.work
                    self._log = AttemptLog(
                        work.run_folder, command=work.command, attempt=work.attempt, size=self._around.log_size
                    )
        self._log.write(text)

    def on_end(self, ending: Callable[[float], None], *, timed: bool = True) -> None:
        """Name the function that ends it; called at once, on a thread of its own, where the end has been asked for.

        With `timed=False` the command keeps to the timeout itself."""
        with _turn:
            self._ending = ending
            late = self._reason is not None
            if late:
                self._start_ender()
        if timed and not late and self._around.endable is not None:
            self._around.endable(self)

    @property
    def ending(self) -> str | None:
        """The reason why it was asked to end; who reads one has been told."""
        if self._reason is not None:
            self._told = True
        return self._reason

    # ── for its context ─────────────────────────────────────────────────────────────────────────────────────────

    def record(self, name: str, value: Any) -> None:
        """Keep a named output."""
        self._open()
        work = self.work
        stored = self.store(value, at=name)
        self.report(
            OutputRecorded(at=self._around.clock(), command=work.command, attempt=work.attempt, name=name, value=stored)
        )

    def metric(self, name: str, value: float) -> None:
        """Keep a number."""
        self._open()
        work = self.work
        self.report(
            MetricRecorded(at=self._around.clock(), command=work.command, attempt=work.attempt, name=name, value=value)
        )

    def progress(self, fraction: float, text: str) -> None:
        """Hand progress on to whoever watches."""
        if self._around.progress is not None and not self.closed:
            self._around.progress(self.work.command, self.work.attempt, fraction, REDACTOR.text(text))

    def artifact(self, path: Path, name: str) -> None:
        """Keep the content of a file."""
        self._open()
        work = self.work
        at = f'the artifact "{name}"'
        sha256, size = self._once_there_is_room(lambda: self._around.artifacts.put_file(path, at=at))
        kept = Stored(form="file", artifact=sha256, size=size, name=name)
        self.report(
            ArtifactRecorded(at=self._around.clock(), command=work.command, attempt=work.attempt, name=name, value=kept)
        )

    def share(self, name: str, value: Any) -> None:
        """Keep a change of the shared state; what is large or no JSON goes into a file. Raises ResultRefused."""
        self._open()
        work, artifacts = self.work, self._around.artifacts
        form = self._once_there_is_room(
            lambda: shared_form(
                name,
                value,
                artifacts=artifacts,
                strategies=work.merge,
                limit=work.shared_limit,
                declared=work.definition.shares,
            )
        )
        with _turn:
            self._changes = {**(self._changes or {}), name: form}

    def read(self, name: str) -> Any:
        """Return what the context knows under that name."""
        return known(name, self.work, self._changes or {}, self.load)

    def _once_there_is_room(self, keep: Callable[[], Kept]) -> Kept:
        return once_there_is_room(keep, is_left=lambda: self.closed or self._reason is not None)

    def _open(self) -> None:
        if self.closed:
            work = self.work
            raise UsageError(f'the attempt {work.attempt} of "{work.command}" is over: nothing is taken from it')

    # ── for its executor ────────────────────────────────────────────────────────────────────────────────────────

    def perform(self, run: Callable[[Any], Any]) -> Answer:
        """Run the command in the current context, which is its own from then on, and return the answer; nothing that it
        raises comes out."""
        install(self)
        before = forks.count
        if self._around.measure:
            self._measure = Measure(time.thread_time(), machine_network(self.begun))
        try:
            value = run(self)
            if forks.count != before:
                leave_copy(None)
            result = value if type(value) is Stored else self.store(value, at="result")
            work = self.work
            if not work.plain and (declared := work.definition.outputs):
                recorded = {kept.name: kept.value for kept in self._kept if not isinstance(kept, MetricRecorded)}
                check_outputs(declared, result=result, recorded=recorded, load=self.load)
        except BaseException as error:  # noqa: BLE001 - whatever the user's code raises is an answer
            if forks.count != before:
                leave_copy(error)
            return self.failed(failure_of(error))
        if self._reason is not None and (self._told or self._ender is not None):
            return self.failed(Failure(kind=self._reason, message=""))
        log = None
        if self._log is not None or self._ender is not None:
            self._settle()
            log = self._log_name()
        seconds = time.monotonic() - self.begun
        return AttemptReturned(
            at=self._around.clock(),
            command=work.command,
            attempt=work.attempt,
            seconds=seconds,
            result=result,
            shared=self._changes,
            notebook=self.notebook,
            log=log,
            used=self.used if self._measure is None else self._measure.used(self.used, seconds=seconds),
        )

    def came_to(self, answer: AttemptReturned) -> CommandRecord:
        """Return what the attempt came to, as the fold of what it told will have it."""
        kept = self._kept
        record = CommandRecord(
            state="running",
            generation=self.work.generation,
            attempt=self.work.attempt,
            recorded={fact.name: fact.value for fact in kept if isinstance(fact, OutputRecorded)},
            metrics={fact.name: fact.value for fact in kept if isinstance(fact, MetricRecorded)},
            artifacts={fact.name: fact.value for fact in kept if isinstance(fact, ArtifactRecorded)},
        )
        return returned(record, answer)

    def end(self, reason: str, grace: float) -> bool:
        """Ask it to end, by its own function if it named one; False where it was asked before."""
        with _turn:
            if self._reason is not None:
                return False
            self._reason = reason
            self._grace = grace
            if self._ending is not None:
                self._start_ender()
            return True

    @property
    def was_asked_to_end(self) -> bool:
        """Whether `end` has been called."""
        return self._reason is not None

    @property
    def can_be_ended(self) -> bool:
        """Whether it named a function that ends it."""
        return self._ending is not None

    def wait_for_ender(self, seconds: float) -> None:
        """Wait until its own function has ended it, at most so long."""
        if self._ender is not None:
            self._ender.join(seconds)

    def why_ended(self) -> Failure:
        """Return the failure of an attempt that was ended."""
        if self._reason == "timeout" and self.work.timeout is not None:
            return Failure(kind="timeout", message=f"it was ended after its timeout of {self.work.timeout:g} s")
        return Failure(kind=self._reason or "cancelled", message="it was asked to end before it was done")

    def seconds(self) -> float:
        """Return how long it has been going, by the monotonic clock."""
        return time.monotonic() - self.begun

    def mute(self) -> None:
        """Report nothing any more; what is still printed goes to the log."""
        self._mute = True

    def close(self) -> None:
        """Take nothing any more and let go of the log."""
        self._mute = self.closed = True
        if self._log is not None:
            self._log.close()

    def failed(self, failure: Failure) -> AttemptFailed:
        """Return the answer of an attempt that failed, or that was ended before it could do anything else."""
        if self.advice is not None or self.transient is not None:
            failure = structs.replace(failure, transient=self.transient, advice=self.advice)
        if self._reason is not None:
            ended = self.why_ended()
            failure = structs.replace(failure, kind=ended.kind, message=ended.message, types=())
        self._settle()
        used = self._usage()
        return AttemptFailed(
            at=self._around.clock(),
            command=self.work.command,
            attempt=self.work.attempt,
            seconds=self.seconds(),
            failure=with_peak(failure, used),
            crashed=failure.kind in CRASHES,
            notebook=self.notebook,
            log=self._log_name(),
            used=used,
        )

    def _usage(self) -> Used | None:
        return self.used if self._measure is None else self._measure.used(self.used, seconds=self.seconds())

    def _settle(self) -> None:
        # whoever asked waits for what the attempt started to be gone: a retry must not meet it
        self.wait_for_ender(self._grace + 60.0)
        if self._log is None:
            return
        self._log.settle()
        if self._log.error is not None:
            text = f"some of what it printed could not be kept: {self._log.error.strerror}"
            work = self.work
            self.report(NoticeGiven(at=self._around.clock(), text=text, command=work.command, attempt=work.attempt))

    def _start_ender(self) -> None:
        name = f"orchestrator_nb end {self.work.command}.{self.work.attempt}"
        self._ender = threading.Thread(target=self._ending, args=(self._grace,), name=name, daemon=True)
        self._ender.start()

    def _log_name(self) -> str | None:
        return None if self._log is None else self._log.name
