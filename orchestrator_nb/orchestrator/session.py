"""The owner's side of a run: its lock, journal, executor and loop, on a thread of its own."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from contextvars import Context
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from orchestrator_nb import events as e
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.requests import Remind, Request, Stop, Tell
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.errors import RunNotRunning, RunUnanswered, StoreError
from orchestrator_nb.events.checkpoint import CHECKPOINT
from orchestrator_nb.executors.local import LocalExecutor
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.identity import asker
from orchestrator_nb.journal.owner import Ownership
from orchestrator_nb.orchestrator.clock import steady_clock
from orchestrator_nb.orchestrator.collector import collector_at_rest
from orchestrator_nb.orchestrator.control.asking import ANSWER_WAIT, Answer
from orchestrator_nb.orchestrator.control.attendant import Attendant
from orchestrator_nb.orchestrator.control.live_view import LiveView
from orchestrator_nb.orchestrator.display.result import ARTIFACTS
from orchestrator_nb.orchestrator.gates import all_gates
from orchestrator_nb.orchestrator.kernels_ahead import KernelsAhead
from orchestrator_nb.orchestrator.late_import import late_import
from orchestrator_nb.orchestrator.memory_watch import MemoryWatch
from orchestrator_nb.orchestrator.policies import POLICIES
from orchestrator_nb.orchestrator.probes import probe
from orchestrator_nb.orchestrator.reuse.verdicts import Reuse
from orchestrator_nb.orchestrator.works import Works
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.pools import amount
from orchestrator_nb.ports import Command, Gates, Observer, Step
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.sharing import is_function
from orchestrator_nb.state.step_facts import PROBE, ROLLBACK
from orchestrator_nb.values import token

NEAR = 0.8
"""Of the time until the deadline, how much has passed when it is near."""


class Owned(Struct, frozen=True, kw_only=True):
    """A run that this process may write: its folder, the right to it, and its open journal."""

    folder: Path
    ownership: Ownership
    journal: JournalFile

    def release(self) -> None:
        """Close the journal and let go of the run."""
        try:
            self.journal.close()
        finally:
            self.ownership.release()


class Session:
    """Drives a run from its first facts until it ends or is left. `error` is what made it break off, if anything did."""

    def __init__(
        self,
        *,
        owned: Owned,
        state: RunState,
        plan: Plan,
        commands: Mapping[str, Command],
        slots: int,
        durable: bool,
        live: LiveResults,
        observers: Sequence[Observer],
        reuse: Reuse | None = None,
        gates: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        """`gates` are the functions of this session that are gates or merge shared values, by their address."""
        self.live = live
        self.error: BaseException | None = None
        self._owned, self._durable = owned, durable
        self._plan = plan
        self._works = Works(plan, owned.folder)
        monitoring = plan.definition.monitoring
        self.view = LiveView(owned.folder, interval=monitoring.interval)
        clock = self._clock = steady_clock()
        self._executor = LocalExecutor(
            commands=commands,
            run_folder=owned.folder,
            live=live,
            durable=durable,
            log_size=monitoring.log_size,
            measure=monitoring.resources,
            clock=clock,
            progress=self.view.heard,
            steps={
                CHECKPOINT: self._with_files,
                ROLLBACK: self._with_files,
                PROBE: partial(probe, clock=clock),
            },
            gates=self._gates(gates or {}),
            merge=self._merge(gates or {}, durable=durable),
            reusable=None if reuse is None else lambda work: reuse.check(work, self.state.commands, durable=durable),
        )
        self.view.under_way = self._executor.under_way
        self._loop = Loop(
            state=state,
            scheduler=Scheduler(order=plan.order, upstream=plan.upstream, downstream=plan.downstream, slots=slots),
            policies=POLICIES,
            journal=owned.journal,
            executor=self._executor,
            make_work=self._works.make,
            clock=clock,
            observers=(self._observe,),
            on_trouble=_warn,
        )
        self._audit = self._live_audit(state) if monitoring.audit else None
        self._ahead = self._kernels_ahead(commands.get("notebook"), slots)
        self._observers = observers
        self._observing: int | None = None
        self._asked: dict[str, Callable[[Answer], None]] = {}
        reserve = plan.definition.recovery.memory_reserve
        memory = MemoryWatch(
            None if reserve is None else amount(reserve),
            held=lambda: self.state.run.workers is not None,
            tell=self._loop.report,
            clock=clock,
        )
        self._attendant = Attendant(owned.folder, hand_in=self._hand_in, view=self.view, memory=memory)
        self._size: int | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._drive, name=f"orchestrator-nb {owned.folder.name}", daemon=True)
        self._beginning: Sequence[e.Event] = ()

    def _with_files(self, step: Step) -> e.Event:
        """Keep the files of the project, or go back to them, and return what came of it."""
        return self._files[step.name.partition(" ")[0]](step)

    @cached_property
    def _files(self) -> Mapping[str, Callable[[Step], e.Event]]:
        """What keeps files and goes back to them, imported where there are any to keep."""
        from orchestrator_nb.orchestrator.rollbacks.checkpointing import Checkpointing

        return Checkpointing(
            self._plan,
            self._owned.folder,
            durable=self._durable,
            clock=self._clock,
            state=lambda: self.state,
            position=lambda: self._owned.journal.position.seq,
        ).steps

    def _gates(self, functions: Mapping[str, Callable[..., Any]]) -> Gates | None:
        """Return what holds results against gates, None where there are none: it is not imported for nothing."""
        definition = self._plan.definition
        if not any(all_gates(definition)):
            return None
        from orchestrator_nb.orchestrator.earlier.baselines import completed_before
        from orchestrator_nb.quality.checking import CheckedGates

        return CheckedGates(
            requirements=definition.quality_requirements,
            functions=functions,
            past=completed_before(self._owned.folder, definition.workflow),
            clock=self._clock,
        )

    def _merge(self, functions: Mapping[str, Callable[..., Any]], *, durable: bool) -> Callable[..., e.Event] | None:
        """Return what merges changes of the shared state by functions, None where no strategy is one."""
        definition = self._plan.definition
        if not any(map(is_function, definition.merge.values())):
            return None
        from orchestrator_nb.executors.merging import Merging

        merging = Merging(
            folder=self._plan.folder,
            artifacts=Artifacts(self._owned.folder / ARTIFACTS, durable=durable),
            functions=functions,
            limit=amount(definition.context_limit),
            clock=self._clock,
        )
        return merging.merge

    def _live_audit(self, state: RunState) -> Any:
        """Return what looks at the run while it goes on; not imported where nobody wants it."""
        from orchestrator_nb.orchestrator.store.live_audit import LiveAudit

        return LiveAudit(self._owned.folder, state, tell=lambda text: self._loop.send(Tell(text=text)))

    def _kernels_ahead(self, notebooks: Command | None, slots: int) -> KernelsAhead | None:
        """Return what starts kernels ahead, None where there are no notebooks."""
        if notebooks is None or all(command.notebook is None for command in self._plan.commands.values()):
            return None
        from orchestrator_nb.commands.notebooks.command import NotebookCommand
        from orchestrator_nb.commands.notebooks.prepared_kernels import prepared_kernels

        if not isinstance(notebooks, NotebookCommand):  # somebody else's
            return None
        return KernelsAhead(
            self._plan,
            self._owned.folder,
            slots=slots,
            state=lambda: self.state,
            work=self._works.coming,
            prepare=notebooks.prepare,
            keep=prepared_kernels.keep,
        )

    @property
    def state(self) -> RunState:
        """The state as of the last durable turn."""
        return self._loop.published

    def start(self, beginning: Sequence[e.Event]) -> None:
        """Begin with these facts; returns at once."""
        self._beginning = beginning
        deadline = self._plan.definition.deadline
        if deadline is not None:
            self._loop.send_at(self._clock() + NEAR * deadline, Remind())
            self._loop.send_at(self._clock() + deadline, Stop(reason=f"its deadline of {deadline:g} s has passed"))
        self._thread.start()

    def send(self, request: Request) -> None:
        """Hand a request to the loop."""
        self._loop.send(request)

    def ask(self, request: Request, *, wait: float = ANSWER_WAIT) -> Answer | None:
        """Hand a request to the loop and return what it came to, once that is durable.

        None when an observer asks, in the middle of a turn: it cannot wait for the next. Raises RunNotRunning when the
        run is over before it took the request, and RunUnanswered after `wait` seconds.
        """
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        request = structs.replace(request, id=token(16), by=asker())
        assert request.id is not None
        self._asked[request.id] = answers.put
        self._loop.send(request)
        if threading.get_ident() == self._observing:
            return None
        deadline = time.monotonic() + wait
        while True:
            over = self._done.is_set()
            try:
                return answers.get(timeout=0.0 if over else 0.1)
            except queue.Empty:
                pass
            if over:
                name = self._owned.folder.name
                raise RunNotRunning(f'"{name}" is not running: it is {self.state.run.state}')
            if time.monotonic() >= deadline:
                raise RunUnanswered(f"the request was not recorded within {wait:g} s; it is taken and may still be")

    def wait(self, timeout: float | None) -> bool:
        """Wait for the end, `timeout` seconds at the most; tell whether it has come."""
        return self._done.wait(timeout)

    @property
    def is_over(self) -> bool:
        """True when the loop has ended and the run is let go."""
        return self._done.is_set()

    @property
    def is_doubtful(self) -> bool:
        """True when the last turn could not be recorded: then the journal alone says what is true."""
        return self.is_over and isinstance(self.error, StoreError)

    @property
    def is_current(self) -> bool:
        """False when the run was let go and somebody else has gone on with it."""
        if self._size is None:
            return True
        try:
            return os.stat(self._owned.journal.path).st_size == self._size
        except OSError:
            return True

    def _hand_in(self, request: Request, recorded: Callable[[], None]) -> None:
        if request.id is not None:
            self._asked[request.id] = lambda _: recorded()
        self._loop.send(request)

    def _observe(self, events: Sequence[e.Event], state: RunState) -> None:
        if state.decisions and any(isinstance(event, e.DecisionRequested) for event in events):
            self._hand_over(state)
        if self._ahead is not None:
            self._ahead.observe(events)
        if self._audit is not None:
            self._audit.observe(events)
        if not self._asked and not self._observers:
            return
        self._observing = threading.get_ident()
        try:
            if self._asked:
                self._heed(events)
            for observer in self._observers:
                with suppress(Exception):  # a view that fails must not fail the run
                    # In nobody's context, or what a view prints would be taken for what the command prints.
                    Context().run(observer, events, state)
        finally:
            self._observing = None

    def _heed(self, turn: Sequence[e.Event]) -> None:
        """Tell those who asked for something what it came to."""
        for event in turn:
            heard = self._asked.pop(getattr(event, "request", None) or "", None)
            if heard is not None:
                heard(Answer(event=event, turn=turn))

    def _drive(self) -> None:
        try:
            self._attendant.start()
            if self._ahead is not None:
                self._ahead.start()
            if self._audit is not None:
                self._audit.start()
            with collector_at_rest():
                self._loop.begin(self._beginning)
            self._loop.go_on()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self.error = error
        try:
            self._leave()
        except BaseException as error:  # noqa: BLE001 - as above
            self.error = self.error or error
        finally:
            self._done.set()

    def _leave(self) -> None:
        """Let go of everything, whatever of it cannot be: another process may own the run, and whoever waits goes on."""
        with ExitStack() as last_first:
            last_first.callback(self._owned.release)
            last_first.callback(self._leave_files)
            for helper in (self._audit, self._ahead, self._executor, self._attendant):
                if helper is not None:
                    last_first.callback(helper.close)

    def _leave_files(self) -> None:
        if not isinstance(self.error, StoreError):  # else nobody knows what would have to be in it, or where it is
            self._leave_manifest()
            self._hand_over(self.state)
        self._size = os.stat(self._owned.journal.path).st_size

    def _hand_over(self, state: RunState) -> None:
        """Leave what a person needs who takes over what nobody has mended."""
        try:
            from orchestrator_nb.orchestrator.display.handoff import write_handoff

            write_handoff(self._owned.folder, state)
        except Exception as error:  # noqa: BLE001 - the question is in the journal, and stands
            _warn("%s: what is handed over could not be written down", error)

    def _leave_manifest(self) -> None:
        try:
            from orchestrator_nb.orchestrator.store.leaving import leave_summary

            leave_summary(self._owned.folder, self.state)
        except Exception as error:  # noqa: BLE001 - it can be had at any time: orchestrator-nb report
            _warn("%s: the run has come to its end without its summary", error)
        try:  # last, since it has the hashes of all the others
            from orchestrator_nb.orchestrator.display.compliance import write_compliance
            from orchestrator_nb.orchestrator.store.manifest import write_manifest

            write_compliance(self._owned.folder, self.state)
            write_manifest(self._owned.folder, self.state, self._owned.journal.position)
        except Exception as error:  # noqa: BLE001 - what the run has come to is in the journal, and stands
            _warn("%s: the run has come to its end without its manifest", error)


def _warn(text: str, *values: object) -> None:
    """Say what has to be said while it cannot be recorded; where nobody has set up logging it goes to stderr."""
    logging: Any = late_import("logging")
    logging.getLogger("orchestrator_nb.run").warning(text, *values)
