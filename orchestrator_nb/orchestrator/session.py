"""The owner's side of a run: its lock, journal, executor and loop, on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator_nb import events as e
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.requests import Request
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.executors.local import LocalExecutor
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.owner import Ownership
from orchestrator_nb.orchestrator.manifest import write_manifest
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.ports import Command, Observer, Policy, Work
from orchestrator_nb.recovery.optional import Optional
from orchestrator_nb.recovery.retry import Retry
from orchestrator_nb.state import RunState

POLICIES: tuple[Policy, ...] = (Retry(), Optional())
"""Asked in this order: the first that decides about a failure wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A run that this process may write: its folder, the right to it, and its open journal."""

    folder: Path
    ownership: Ownership
    journal: JournalFile

    def release(self) -> None:
        """Close the journal and let go of the run."""
        self.journal.close()
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
    ) -> None:
        self.live = live
        self.error: BaseException | None = None
        self._owned = owned
        self._plan = plan
        self._executor = LocalExecutor(commands=commands, run_folder=owned.folder, live=live, durable=durable)
        self._loop = Loop(
            state=state,
            scheduler=Scheduler(order=plan.order, upstream=plan.upstream, downstream=plan.downstream, slots=slots),
            policies=POLICIES,
            journal=owned.journal,
            executor=self._executor,
            make_work=self._work,
            clock=time.time,
            observers=observers,
        )
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._drive, name=f"orchestrator-nb {owned.folder.name}", daemon=True)
        self._beginning: Sequence[e.Event] = ()

    @property
    def state(self) -> RunState:
        """The state as of the last durable turn."""
        return self._loop.published

    def start(self, beginning: Sequence[e.Event]) -> None:
        """Begin with these facts; returns at once."""
        self._beginning = beginning
        self._thread.start()

    def send(self, request: Request) -> None:
        """Hand a request to the loop."""
        self._loop.send(request)

    def wait(self, timeout: float | None) -> bool:
        """Wait for the end, `timeout` seconds at the most; tell whether it has come."""
        return self._done.wait(timeout)

    @property
    def is_over(self) -> bool:
        """True when the loop has ended and the run is let go."""
        return self._done.is_set()

    def _drive(self) -> None:
        try:
            self._loop.run(self._beginning)
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self.error = error
        finally:
            self._executor.close()
            try:
                write_manifest(self._owned.folder, self.state)
            except Exception as error:  # noqa: BLE001 - the manifest can be made again, the run's outcome stands
                self.error = self.error or error
            self._owned.release()
            self._done.set()

    def _work(self, command: str, state: RunState) -> Work:
        """Return what an executor needs to run the command's current attempt."""
        plan, record = self._plan, state.commands[command]
        definition = plan.commands[command]
        inputs, recorded = {}, {}
        for name in plan.upstream[command]:
            upstream = state.commands[name]
            output = upstream.output()
            if output is not None:
                inputs[name] = output
            if upstream.recorded:
                recorded[name] = upstream.recorded
        timeout = definition.timeout if definition.timeout is not None else plan.definition.timeout
        return Work(
            run=state.run.run,
            workflow=state.run.workflow,
            command=command,
            attempt=record.attempt,
            generation=record.generation,
            definition=definition,
            parameters=plan.parameters,
            inputs=inputs,
            recorded=recorded,
            shared=state.shared,
            partial=record.partial,
            timeout=None if timeout == "none" else timeout,
            folder=plan.folder,
            run_folder=self._owned.folder,
        )
