"""The sockets: what the engine needs of the world, each docstring a contract that every implementation keeps.

The contract suites in `tests/contracts/` run the same tests against each implementation.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from orchestrator_nb.definition.models import CommandDefinition, GateDefinition, KernelsDefinition
from orchestrator_nb.errors import Mistake
from orchestrator_nb.events import Event, Stored, Used
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.run_state import RunState


class Report(Protocol):
    """How facts get from a worker to the loop: callable from any thread, returns at once, keeps the order of a thread.

    Facts that are told together are taken together, as far as a turn has room for them.
    """

    def __call__(self, *facts: Event) -> None:
        """Hand them in."""


BESIDES = frozenset({
    "context", "cwd", "environment", "gates", "isolation", "outputs", "reads", "targets", "timeout", "workflow", "writes",
})  # fmt: skip
"""What a command's definition may say that whoever runs it has to heed besides what it runs; few say any of it."""


class Work(Struct, frozen=True, kw_only=True, gc=False):
    """One attempt, as it is handed to an executor: plain data that can cross to another process.

    `inputs` are the results of the upstream commands in their stored form, by command id; `partial` is what earlier
    attempts of this command had recorded before they failed, `preserved` the state that they handed over; `recorded`,
    `metrics` and `changes` are what upstream commands recorded by name, their numbers, and their changes of the shared
    state, where there are any. `merge` has the strategies for the shared state, of which a value of more than
    `shared_limit` bytes is kept in a file.
    `kernels` says how those of the workflow's notebooks come to be, `imported` what those of earlier runs had imported.
    `plain` is a promise that its definition says nothing of `BESIDES`, so that nobody has to ask for any of that.
    `parameters` are the workflow's. `timeout` is in seconds, None for no limit. `folder` is the definition's folder,
    `run_folder` where the run keeps its files.
    """

    run: str
    workflow: str
    command: str
    attempt: int
    generation: int
    definition: CommandDefinition
    plain: bool = False
    parameters: Mapping[str, Any] = {}
    inputs: Mapping[str, Stored] = {}
    recorded: Mapping[str, Mapping[str, Stored]] = {}
    metrics: Mapping[str, Mapping[str, float]] = {}
    changes: Mapping[str, Mapping[str, Any]] = {}
    shared: Mapping[str, Any] = {}
    merge: Mapping[str, str] = {}
    shared_limit: int | None = None
    partial: Mapping[str, Stored] = {}
    preserved: Stored | None = None
    timeout: float | None = None
    kernels: KernelsDefinition | None = None
    imported: tuple[str, ...] = ()
    folder: Path
    run_folder: Path


class Step(Struct, frozen=True, kw_only=True, gc=False):
    """Something that is done besides commands, as it is handed to an executor: `name` says what (see `step_facts`).

    With a `command`, it follows its `attempt` that has returned, which was this `work` and came to this `record`; else
    it is done at this `moment` of the run.
    """

    name: str
    moment: str
    command: str | None = None
    attempt: int | None = None
    work: Work | None = None
    record: CommandRecord | None = None


class Journal(Protocol):
    """The truth about a run: an append-only sequence of turns, each a few events that are recorded whole or not at all.

    `append` returns only when the turn is as durable as was asked for; when it raises, the outcome is unknown and no
    further append is accepted until `recover` has read the truth again. `read` gives every event of every whole turn
    in order, and nothing of a turn that was not wholly recorded.
    """

    def append(self, events: Sequence[Event]) -> None:
        """Record one turn, durably. Raises StoreError; then the outcome is unknown. StoreFull means want of room."""

    def recover(self) -> bool:
        """Find out what the append that failed came to: True when its turn is recorded, as durably as was asked for;
        False when nothing is left of it and it may be appended again. Raises StoreError where that cannot be known or
        set right now; then it may be asked again, unless it is JournalDamaged."""

    def read(self) -> Iterable[Event]:
        """Yield all recorded events in order. Raises JournalDamaged naming the place."""

    def close(self) -> None:
        """Let go of the file; a closed journal accepts nothing."""


class Executor(Protocol):
    """Where work happens. It answers every submitted attempt with events through `report`.

    The last event of an attempt is exactly one of AttemptReturned, AttemptFailed, AttemptAbandoned and CommandReused,
    and an AttemptReturned or a CommandReused is reported only after its results are durable. `submit` and `end` return at once. Submitting an
    (command, attempt) that is already there does nothing.

    The verdicts of gates may come together with an AttemptReturned.
    """

    def start(self, report: Report) -> None:
        """Be ready to take work; facts go to `report`."""

    def submit(self, work: Work) -> None:
        """Take an attempt; how many run at a time is the scheduler's business."""

    def carry_out(self, step: Step) -> None:
        """Take a step, return at once, and answer it with a fact that `step_facts.STEP_ANSWERS` has for it.

        The loop hands out a step once, and the next one of a command when the one before was answered.
        """

    def end(self, command: str, attempt: int, reason: str, grace: float) -> None:
        """Ask the attempt to end, and end it after `grace` seconds with its whole process tree, if it can be ended.

        It is answered with an AttemptFailed of kind `reason` (cancelled or timeout), an AttemptAbandoned, or with an
        AttemptReturned where it came to its end before it noticed. Asked again, it is ended after this new grace.
        """

    def close(self) -> None:
        """Let go of threads, processes and files; nothing is reported afterwards."""


class Gates(Protocol):
    """Holds what attempts gave, and runs, against their gates. Safe in any thread; a gate may be checked twice."""

    def at_once(self, work: Work, record: CommandRecord) -> Sequence[Event]:
        """Return the verdicts of those gates of an attempt that cost next to nothing; nothing of it is durable yet."""

    def check(self, step: Step, attempt: Attempt) -> Event:
        """Return the verdict of the gate that a step is. `attempt` gives access to results; it may be ended meanwhile.

        Raises Cancelled when it is.
        """


class Verdict(Struct, frozen=True, kw_only=True, gc=False):
    """What a gate has found: whether it holds, the `value` that was found as plain JSON and what was `expected`, in
    words; `message` says what is wrong, or worth knowing; `evidence` is what `Subject.keep` gave."""

    holds: bool
    value: Any = None
    expected: str = ""
    message: str = ""
    evidence: Stored | None = None


class Subject(Protocol):
    """What a gate looks at: a command whose attempt has returned, or a run as a whole, and the way to its results.

    `command` is empty for a run. `record` is what the attempt came to; `definition` is None for a run. `options` are
    those of the gate, `folder` is the definition's, `run_folder` where the run keeps its files.
    """

    command: str
    definition: CommandDefinition | None
    record: CommandRecord
    options: Mapping[str, Any]
    parameters: Mapping[str, Any]
    folder: Path
    run_folder: Path

    def value(self, name: str) -> Any:
        """Return a value by the name that it has in expressions, whole tables and files (their paths) included.

        Raises UsageError naming what is there instead.
        """

    def earlier(self) -> Iterable[CommandRecord]:
        """Yield what the command came to in earlier runs that completed, the latest first."""

    def history(self) -> Iterable[tuple[CommandRecord, Path]]:
        """Yield the same with the folder of each run, in which the files of its results are."""

    def keep(self, content: str | bytes | Path, name: str) -> Stored:
        """Keep evidence among the artifacts of the run, under that file name."""

    def program(
        self, argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run a program to its end, within the time of the gate, and return its exit code and what it printed.

        `env` is added to the environment. Raises TimeoutError, and OSError where it cannot be started.
        """


@runtime_checkable
class Gate(Protocol):
    """A check of results that is used by its name. One instance serves all; it is stateless.

    It looks at stored results only and changes nothing, so that it may be asked twice.
    """

    name: str

    def check(self, gate: GateDefinition, command: CommandDefinition | None, *, folder: Path) -> list[Mistake]:
        """Return what is wrong with its use, before anything runs: options, missing tools with the extra to install.

        `command` is None where it is required of the run. Paths of mistakes are relative to the gate (``/options/lax``).
        """

    def verdict(self, subject: Subject) -> Verdict:
        """Return what it finds. Whatever it raises means that the gate itself could not be carried out."""


class Policy(Protocol):
    """Whenever a fact of one of its kinds, then these facts. It keeps nothing: all it needs is in its arguments.

    `decides` are the kinds for which policies are asked in order and the first that gives an answer wins; for the
    `kinds` beyond those, every policy is asked.
    """

    kinds: tuple[type[Event], ...]
    decides: tuple[type[Event], ...]

    def __call__(self, event: Event, state: RunState) -> Iterable[Event]:
        """Return the facts that follow from `event` in `state`, or nothing."""


class Observer(Protocol):
    """Told of each turn after it is durable, in order, on the loop's thread; what it raises is dropped."""

    def __call__(self, events: Sequence[Event], state: RunState) -> None:
        """Look at what has just become true."""


class Attempt(Protocol):
    """What a command has in hand while it runs: its work and the ways to tell about it.

    A command that writes an output notebook sets `notebook` to its path relative to the run's folder. One that knows
    about its own failure sets `transient` to whether a repetition may succeed, and `advice` to anything in plain JSON.
    One that starts processes sets `used` to what they took of the machine, where `measures` says that it is wanted.
    """

    work: Work
    notebook: str | None
    transient: bool | None
    advice: Any
    used: Used | None

    @property
    def measures(self) -> bool:
        """Whether it is to be recorded what this attempt takes of the machine."""

    def report(self, event: Event) -> None:
        """Tell a fact about this attempt."""

    def load(self, stored: Stored) -> Any:
        """Return the value of a stored form; it is the reader's own copy."""

    def store(self, value: Any, *, at: str) -> Stored:
        """Return the stored form of a value, flushed to disk. Raises ResultRefused naming the place `at`."""

    def preserve(self, value: Any) -> None:
        """Hand over a state from which the next attempt can go on; it replaces the one before. Raises ResultRefused."""

    def share(self, name: str, value: Any) -> None:
        """Change the shared state, for those who come after this attempt has returned; a `Stored` stands for itself.
        Raises ResultRefused."""

    def progress(self, fraction: float, text: str) -> None:
        """Tell watchers how far it is, from 0 to 1; no fact of the run."""

    def write_log(self, text: str) -> None:
        """Add to what the attempt has printed; bounded, the middle of a flood is left out."""

    def on_end(self, ending: Callable[[float], None], *, timed: bool = True) -> None:
        """Name the function that ends what this attempt has started; it is called with the grace in seconds, from
        another thread, at most once. A command that names none is asked through its context only. With `timed=False`
        the command itself keeps to the timeout of its work."""

    @property
    def ending(self) -> str | None:
        """The reason why the attempt was asked to end, None while it was not."""


@runtime_checkable
class Command(Protocol):
    """A type of command: what it needs before the run and how it runs. One instance serves every command of its type.

    It is stateless; everything about one command comes in as its definition. A type that derives from this class has
    `notes`, `parameter_type`, `result_type`, `runs_apart` and `code` from it, and the rest to write.
    """

    name: str

    @abstractmethod
    def check(
        self,
        command: CommandDefinition,
        *,
        folder: Path,
        upstream: Mapping[str, str],
        parameters: Collection[str] | None = None,
    ) -> list[Mistake]:
        """Return every mistake that can be found without running it: missing files, unknown or ill-typed parameters.

        `upstream` maps the names by which upstream results may be asked for to the ids of those commands, `parameters`
        are the names of the workflow's; None where they are not known, then no argument is called missing. Paths of
        mistakes are relative to the command (``/parameters/day``).
        """

    @abstractmethod
    def wants(self, command: CommandDefinition, *, folder: Path) -> tuple[str, ...]:
        """Return the names that it takes and that nothing in its definition gives: a command of that name becomes its
        upstream. Empty where they cannot be known."""

    def notes(self, command: CommandDefinition, *, folder: Path) -> list[str]:  # noqa: ARG002 - the contract
        """Return what there is to say before a run that is no mistake."""
        return []

    def parameter_type(self, command: CommandDefinition, name: str, *, folder: Path) -> Any:  # noqa: ARG002 - the contract
        """Return the annotation of one of its parameters, a type or its text; None where it says nothing."""
        return None

    def result_type(self, command: CommandDefinition, *, folder: Path) -> str | None:  # noqa: ARG002 - the contract
        """Return the name of the type of its result where that is known to have no stored form, so that the result
        stays in this process; None where it has one, or where nothing is known."""
        return None

    def runs_apart(self, command: CommandDefinition) -> bool:  # noqa: ARG002 - the contract
        """Say whether it runs outside of this process, where no result without a stored form can be had."""
        return False

    @abstractmethod
    def source(self, command: CommandDefinition, *, folder: Path) -> str:
        """Return the text of what will run, to be hashed: a changed source is a changed command."""

    def code(self, command: CommandDefinition, *, folder: Path) -> str:
        """Return what of the source makes a difference to the result: equal texts give equal results for equal inputs.

        A result of an earlier run is reused only where this is what it was. Raises UsageError saying why where that
        cannot be known; then no result is ever reused.
        """
        return self.source(command, folder=folder)

    @abstractmethod
    def run(self, attempt: Attempt) -> Any:
        """Do the work, on the calling thread, and return its value or a `Stored`.

        Raises whatever goes wrong: CommandError where the type knows better than an exception's text, Cancelled when
        it was asked to end.
        """
