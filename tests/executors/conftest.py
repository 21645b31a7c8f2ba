"""A real executor with real threads and processes, and all that it reports."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from orchestrator_nb.commands.callable import CallableCommand
from orchestrator_nb.commands.processes import end_leftovers
from orchestrator_nb.commands.shell import ShellCommand
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.events import AttemptAbandoned, AttemptFailed, AttemptReturned
from orchestrator_nb.executors.local import LocalExecutor
from orchestrator_nb.ports import Work

ANSWERS = (AttemptReturned, AttemptFailed, AttemptAbandoned)


class Bench:
    """An executor and what it has reported so far."""

    def __init__(self, folder):
        self.run = uuid.uuid4().hex
        self.folder = folder
        self.run_folder = folder / "run"
        self.functions = {}
        self.live = LiveResults()
        self.said = []
        self.events = []
        self._changed = threading.Condition()
        self.executor = LocalExecutor(
            commands={"call": CallableCommand(self.functions), "shell": ShellCommand()},
            run_folder=self.run_folder, live=self.live, durable=False,
            progress=lambda *said: self.said.append(said),
        )  # fmt: skip
        self.executor.start(self._report)

    def _report(self, event):
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def call(self, function, *, command="step", attempt=1, **options):
        """Submit a function; options that are no fields of a definition go to the work."""
        self.functions[command] = function
        return self.submit({"id": command, "call": f"session:{command}"}, attempt=attempt, **options)

    def shell(self, *argv, command="step", attempt=1, **options):
        """Submit a program."""
        return self.submit({"id": command, "shell": argv}, attempt=attempt, **options)

    def submit(self, fields, *, attempt=1, limit=None, inputs=None, shared=None, values=None, **more):
        definition = CommandDefinition(**fields, **more)
        if limit is None and isinstance(definition.timeout, float):
            limit = definition.timeout
        work = Work(
            run=self.run, workflow="flow", command=definition.id, attempt=attempt, generation=1,
            definition=definition, inputs=inputs or {}, shared=shared or {}, parameters=values or {},
            timeout=limit, folder=self.folder, run_folder=self.run_folder,
        )  # fmt: skip
        self.executor.submit(work)
        return work

    def wait(self, command="step", attempt=1, *, seconds=30.0):
        """Return the answer of an attempt."""
        return self.wait_for(
            lambda event: isinstance(event, ANSWERS) and (event.command, event.attempt) == (command, attempt), seconds
        )

    def wait_for(self, fits, seconds=30.0):
        """Return the first event that fits."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for event in self.events:
                    if fits(event):
                        return event
                assert self._changed.wait(max(0.0, deadline - time.monotonic())), f"only {self.events}"

    def log(self, answer):
        """Return what an attempt has printed."""
        return (self.run_folder / answer.log).read_text(encoding="utf-8") if answer.log else ""


@pytest.fixture
def bench(tmp_path):
    """A bench whose processes are gone after the test."""
    made = Bench(tmp_path)
    yield made
    made.executor.close()
    end_leftovers(made.run_folder)
