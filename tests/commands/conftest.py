"""An attempt of a command, with a run's artifacts around it and no executor; for notebooks a whole trial."""

from __future__ import annotations

import threading
import time
from contextvars import Context
from pathlib import Path

import nbformat
import pytest

from orchestrator_nb.commands.notebooks.command import NotebookCommand
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.data.stored import load
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.events import OutputRecorded
from orchestrator_nb.executors.attempt import LocalAttempt, Surroundings
from orchestrator_nb.ports import Work


@pytest.fixture
def attempt_of(tmp_path):
    """Return a function that makes an attempt of a command whose upstream returned and recorded these values."""
    events: list = []
    around = Surroundings(
        report=events.append, artifacts=Artifacts(tmp_path / "artifacts"), live=LiveResults(), clock=time.time
    )

    def make(definition, *, results=None, recorded=None, parameters=None, folder=None):
        bare = Work(
            run="r1", workflow="w", command="me", attempt=1, generation=1,
            definition=CommandDefinition(id="me", **definition), folder=folder or tmp_path, run_folder=tmp_path,
        )  # fmt: skip
        keep = LocalAttempt(bare, around)
        values = {name: keep.store(value, at=name) for name, value in (results or {}).items()}
        named = {
            command: {name: keep.store(value, at=name) for name, value in items.items()}
            for command, items in (recorded or {}).items()
        }
        work = Work(
            run="r1", workflow="w", command="me", attempt=1, generation=1, definition=bare.definition,
            parameters=parameters or {}, inputs=values, recorded=named, folder=bare.folder, run_folder=tmp_path,
        )  # fmt: skip
        return LocalAttempt(work, around)

    make.events = events
    return make


class Trial:
    """One attempt at a notebook, and what was told about it."""

    RUN = "2026-01-01-trial"

    def __init__(self, folder: Path, *cells, parameters_cell=None, name="model", work=None, **options):
        v4 = nbformat.v4
        made = [v4.new_code_cell(source) if isinstance(source, str) else source for source in cells]
        if parameters_cell is not None:
            made.insert(0, v4.new_code_cell(parameters_cell, metadata={"tags": ["parameters"]}))
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(v4.new_notebook(cells=made), folder / f"{name}.ipynb")
        self.run_folder = folder / "run"
        self.artifacts = Artifacts(self.run_folder / "artifacts")
        self.events = []
        self.told = threading.Condition()
        self.progress = []
        self.work = Work(
            run=self.RUN, workflow="sales", command=name, attempt=1, generation=1, folder=folder,
            run_folder=self.run_folder, definition=CommandDefinition(id=name, notebook=f"{name}.ipynb", **options),
            **(work or {}),
        )  # fmt: skip
        around = Surroundings(
            report=self.report, artifacts=self.artifacts, live=LiveResults(), clock=time.time,
            progress=lambda command, attempt, fraction, text: self.progress.append((fraction, text)),
        )  # fmt: skip
        self.attempt = LocalAttempt(self.work, around)

    def report(self, event):
        with self.told:
            self.events.append(event)
            self.told.notify_all()

    def run(self):
        answer = Context().run(self.attempt.perform, NotebookCommand().run)
        self.attempt.close()
        return answer

    def in_background(self):
        """Run on a thread; return the function that waits for the answer."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.run()))
        thread.start()

        def answer():
            thread.join(timeout=60)
            return answers[0]

        return answer

    def wait_until(self, happened):
        deadline = time.monotonic() + 50
        while not happened():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def log_has(self, text):
        return any(text in path.read_text(encoding="utf-8") for path in self.run_folder.glob("logs/*"))

    def wait_for(self, kind):
        with self.told:
            assert self.told.wait_for(lambda: self.of(kind), timeout=60)
        return self.of(kind)

    def of(self, kind):
        return [event for event in self.events if type(event) is kind]

    def values(self):
        return {event.name: load(event.value, artifacts=self.artifacts, live=None) for event in self.of(OutputRecorded)}

    def output(self):
        """Return the output notebook, which has to be valid and the only file there."""
        path = self.run_folder / "notebooks" / f"{self.work.command}.ipynb"
        assert [each.name for each in path.parent.iterdir()] == [path.name]
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        return notebook

    def states(self):
        cells = [
            cell for cell in self.output().cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", ())
        ]
        return [cell.metadata.papermill.status for cell in cells]


@pytest.fixture(name="Trial")
def trial():
    """Return the class of trials of notebooks."""
    return Trial
