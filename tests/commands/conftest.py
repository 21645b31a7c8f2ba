"""An attempt of a command, with a run's artifacts around it and no executor."""

from __future__ import annotations

import time

import pytest

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.live import LiveResults
from orchestrator_nb.definition.models import CommandDefinition
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
