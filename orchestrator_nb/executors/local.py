"""The executor of this machine: attempts on threads of this process, and in child processes of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from functools import partial
from pathlib import Path

from msgspec import structs

from orchestrator_nb.commands.callable import FunctionCommand, needs_process
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.data.redacted_facts import redacted
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.data.secret_values import keep_out_environment
from orchestrator_nb.errors import Cancelled, UsageError
from orchestrator_nb.events import GATE, AttemptAbandoned, AttemptReturned, CommandReused, Event, Failure, NoticeGiven
from orchestrator_nb.executors import capture
from orchestrator_nb.executors.attempt import LOG_SIZE, LocalAttempt, Progress, Surroundings
from orchestrator_nb.executors.failures import failure_of
from orchestrator_nb.executors.inputs import wrong_context
from orchestrator_nb.executors.timer import Timer
from orchestrator_nb.executors.workers import Workers
from orchestrator_nb.journal import forks
from orchestrator_nb.plan.contents import Contents
from orchestrator_nb.ports import Command, Gates, Report, Step, Work
from orchestrator_nb.state.step_facts import MERGE

TIMEOUT_GRACE = 10.0
"""Seconds between the interrupt of an attempt that ran into its timeout and what follows."""

LAST_GRACE = 9.0
"""Seconds after the grace until an attempt that is being ended, and is still there, is given up: more than a process
tree has between SIGTERM and SIGKILL, see `commands.processes`."""

_Key = tuple[str, int]


class LocalExecutor:
    """Runs attempts at once, as many as are submitted, on daemon threads that are used again.

    A callable that needs a process gets one; everything else runs on the thread itself, and starts the processes it
    needs. `live` keeps results that have no stored form, `progress` hears what commands say about how far they are,
    `log_size` is how many bytes are kept of what an attempt prints, `measure` whether what attempts take of the machine is
    recorded. `reusable` looks at an attempt before its command
    begins: it returns the `CommandReused` that answers it, or else what there is to tell. `steps` are those that it can
    carry out, by name; they return what answers them and raise nothing. `gates` holds what attempts gave against their
    gates: what costs next to nothing on the attempt's thread, told together with it. `merge` merges changes of the
    shared state by functions.
    """

    def __init__(
        self,
        *,
        commands: Mapping[str, Command],
        run_folder: Path,
        live: LiveResults,
        durable: bool = True,
        clock: Callable[[], float] = time.time,
        log_size: int = LOG_SIZE,
        measure: bool = True,
        progress: Progress | None = None,
        reusable: Callable[[Work], Event | None] | None = None,
        steps: Mapping[str, Callable[[Step], Event]] | None = None,
        gates: Gates | None = None,
        merge: Callable[[Step, LocalAttempt], Event] | None = None,
    ) -> None:
        self._commands = commands
        # Found out here: `isinstance` with a protocol among the bases is slow, and this is asked for every attempt.
        self._callables = {kind: command for kind, command in commands.items() if isinstance(command, FunctionCommand)}
        self._clock = clock
        self._report: Report | None = None
        self._forks = forks.count
        self._reusable = reusable
        self._steps = steps or {}
        self._gates = gates
        self._merge = merge
        self._contents = Contents()
        self._timer = Timer()
        self._workers = Workers(perform=self._come_to, tell=self._tell)
        self._lock = threading.Lock()
        self._attempts: dict[_Key, LocalAttempt] = {}
        self._latest: dict[str, int] = {}
        self._around = Surroundings(
            report=self._tell,
            artifacts=Artifacts(run_folder / "artifacts", durable=durable),
            live=live,
            clock=clock,
            log_size=log_size,
            measure=measure,
            progress=progress,
            endable=self._arm,
        )

    def start(self, report: Report) -> None:
        """Be ready to take work; facts go to `report`."""
        if self._report is None:
            capture.install(self)
            keep_out_environment()
        self._report = report

    def submit(self, work: Work) -> None:
        """Take an attempt and start it; one that was taken before is not taken again."""
        attempt, command, number = LocalAttempt(work, self._around), work.command, work.attempt
        with self._lock:
            if self._report is None or number <= self._latest.get(command, 0):
                return
            self._latest[command] = number
            self._attempts[command, number] = attempt
        try:
            self._workers.take(attempt)
        except RuntimeError as error:  # the system gives no more threads
            message = f"no thread could be started for it: {error}"
            failed = attempt.failed(Failure(kind="not_started", message=message, transient=True))
            self._tell(*self._answered(attempt, (failed,)))

    def carry_out(self, step: Step) -> None:
        """Carry out a step on a thread of its own; commands go on meanwhile."""
        check = self._merge if step.name == MERGE else None
        if step.name.startswith(GATE):
            assert self._gates is not None
            check = self._gates.check
        if check is not None:
            assert step.work is not None
            attempt = LocalAttempt(step.work, self._around)
            with self._lock:
                self._attempts[step.command or "", step.attempt or 0] = attempt
            work = partial(self._check, check, step, attempt)
        else:
            work = partial(self._carry_out, self._steps[step.name.partition(" ")[0]], step)
        try:
            threading.Thread(target=work, name=f"orchestrator_nb {step.name}", daemon=True).start()
        except RuntimeError:  # the system gives no more threads: better late than never
            work()

    def _carry_out(self, work: Callable[[Step], Event], step: Step) -> None:
        # A context of its own: what a step prints or sets is no command's.
        self._tell(Context().run(work, step))

    def _check(self, check: Callable[[Step, LocalAttempt], Event], step: Step, attempt: LocalAttempt) -> None:
        """Check a gate, or merge; what is ended has no answer of its own."""
        try:
            answer: Event = Context().run(check, step, attempt)
        except Cancelled:
            failure = Failure(kind="cancelled", message="it was asked to end while its results were looked at")
            answer = attempt.failed(failure)
        if answer_is_due := self._attempts.pop((step.command or "", step.attempt or 0), None):
            answer_is_due.close()
            self._tell(answer)

    def end(self, command: str, attempt: int, reason: str, grace: float) -> None:
        """Ask the attempt to end, and end it after `grace` seconds if it can be ended.

        Asked a second time, what it has started is killed after this second grace.
        """
        key = (command, attempt)
        found = self._attempts.get(key)
        if found is None:
            return
        if not found.end(reason, grace):
            self._timer.after(grace, partial(self._kill, key))
        self._timer.after(grace, partial(self._give_up, key))

    def under_way(self) -> list[tuple[str, int]]:
        """Return the attempts that have no answer yet, as (command, attempt)."""
        return list(self._attempts)

    def close(self) -> None:
        """End what still runs, and let go of threads and files; nothing is reported afterwards."""
        with self._lock:
            if self._report is None:
                return
            self._report = None
            left = list(self._attempts.items())
            self._attempts.clear()
        self._timer.close()
        for _, attempt in left:
            attempt.end("cancelled", 0.0)
        deadline = time.monotonic() + LAST_GRACE
        for _, attempt in left:
            attempt.wait_for_ender(max(0.0, deadline - time.monotonic()))
            attempt.close()
        self._workers.close()
        capture.uninstall(self)

    # ── on the workers' threads ─────────────────────────────────────────────────────────────────────────────────

    def _come_to(self, attempt: LocalAttempt) -> Sequence[Event]:
        """Perform an attempt and return what it came to; nothing, where it was answered meanwhile."""
        try:
            # a context of its own, so that nothing that a command sets in it is met by the next
            answer = Context().run(self._perform, attempt)
        except BaseException as error:  # noqa: BLE001 - nothing may leave an attempt without its answer
            answer = (attempt.failed(failure_of(error, kind="lost", stage="reporting what it came to")),)
        return self._answered(attempt, answer)

    def _perform(self, attempt: LocalAttempt) -> Sequence[Event]:
        """Perform an attempt; with its answer come the verdicts of gates that cost next to nothing."""
        capture.ensure()
        capture.printing.set(attempt)
        attempt.begun = time.monotonic()  # until now it waited for its thread
        work = attempt.work
        definition = work.definition
        command = self._commands.get(definition.kind)
        if command is None:
            known = ", ".join(sorted(self._commands))
            message = f'there is no type of command "{definition.kind}"; there is {known}'
            return (attempt.failed(Failure(kind="not_started", message=message)),)
        if not work.plain and definition.context:
            wrong = wrong_context(definition.context, work.shared)
            if wrong is not None:
                return (attempt.failed(wrong),)
        if self._reusable is not None:
            told = self._reusable(work)
            if isinstance(told, CommandReused):
                return (told,)
            if told is not None:
                attempt.report(told)
        if work.plain:
            return (attempt.perform(command.run),)
        on_files = definition.reads or definition.writes
        answer = self._perform_on_files(attempt, command) if on_files else self._run(attempt, command)
        if self._gates is None or not definition.checks or not isinstance(answer, AttemptReturned):
            return (answer,)
        return (answer, *self._gates.at_once(work, attempt.came_to(answer)))

    def _perform_on_files(self, attempt: LocalAttempt, command: Command) -> Event:
        """Run a command that declares files, and add to its answer what was in them: what it read when it began, what
        it wrote when it was done."""
        work = attempt.work
        definition = work.definition

        def hashes(texts: Sequence[str]) -> dict[str, str | None] | None:
            if not texts:
                return None
            return self._contents.of(texts, definition, folder=work.folder, parameters=work.parameters)

        reads = hashes(definition.reads)
        answer = self._run(attempt, command)
        if not isinstance(answer, AttemptReturned):
            return answer
        return structs.replace(answer, reads=reads, writes=hashes(definition.writes))

    def _run(self, attempt: LocalAttempt, command: Command) -> Event:
        definition = attempt.work.definition
        function = self._callables.get(definition.kind)
        if function is not None and needs_process(definition):
            from orchestrator_nb.executors.process import run_in_child

            return attempt.perform(partial(run_in_child, command=function, artifacts=self._around.artifacts))
        if definition.timeout is not None and definition.timeout != "none":
            key = (attempt.work.command, attempt.work.attempt)
            self._timer.after(float(definition.timeout), partial(self._say_unenforceable, key))
        return attempt.perform(command.run)

    def _answered(self, attempt: LocalAttempt, answer: Sequence[Event]) -> Sequence[Event]:
        """Let go of an attempt and return its answer; nothing, where it was answered before."""
        work = attempt.work
        attempt.close()
        return answer if self._attempts.pop((work.command, work.attempt), None) is not None else ()

    def _tell(self, *events: Event) -> None:
        report = self._report
        if report is not None:
            if forks.count != self._forks:
                raise UsageError(
                    "this is a process that the command has forked: what it tells would be written beside the run's owner; "
                    "return it to the command and record it there"
                )
            report(*(map(redacted, events) if REDACTOR.active else events))

    # ── on the timer's thread ───────────────────────────────────────────────────────────────────────────────────

    def _arm(self, attempt: LocalAttempt) -> None:
        """Enforce the timeout of an attempt that has just named the function that ends it."""
        work = attempt.work
        if work.timeout is not None:
            key = (work.command, work.attempt)
            self._timer.after(work.timeout - attempt.seconds(), partial(self._time_out, key))

    def _time_out(self, key: _Key) -> None:
        attempt = self._attempts.get(key)
        if attempt is not None and not attempt.was_asked_to_end:
            self.end(*key, "timeout", TIMEOUT_GRACE)

    def _say_unenforceable(self, key: _Key) -> None:
        attempt = self._attempts.get(key)
        if attempt is not None and not attempt.can_be_ended:
            text = (
                f'"{key[0]}" has been running for longer than its timeout of {attempt.work.definition.timeout:g} s; '
                "it runs on a thread, which cannot be ended: use `isolation: process` for a timeout that holds"
            )
            self._tell(NoticeGiven(at=self._clock(), text=text, command=key[0], attempt=key[1]))

    def _kill(self, key: _Key) -> None:
        attempt = self._attempts.get(key)
        if attempt is not None and attempt.can_be_ended:
            from orchestrator_nb.commands.processes import MARK, kill_attempt, marks

            mark = marks(attempt.work.run_folder, *key)[MARK]
            threading.Thread(target=kill_attempt, args=(mark,), name="orchestrator_nb kill", daemon=True).start()

    def _give_up(self, key: _Key, *, last: bool = False) -> None:
        """Answer for an attempt that did not end when it was asked to."""
        attempt = self._attempts.get(key)
        if attempt is not None and attempt.can_be_ended and not last:
            self._timer.after(LAST_GRACE, partial(self._give_up, key, last=True))
        elif attempt is not None and self._attempts.pop(key, None) is not None:
            attempt.mute()
            self._tell(
                AttemptAbandoned(
                    at=self._clock(),
                    command=key[0],
                    attempt=key[1],
                    seconds=attempt.seconds(),
                    failure=attempt.why_ended(),
                )
            )
