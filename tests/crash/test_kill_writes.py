"""kill -9 before, within and after every write to the journal of larger runs, and again while they are resumed.

The runs have retries, a fan-out, a matrix and what gathers both, an optional failure, a pause, a stop, and commands in processes of
their own. However often and wherever their owners die, they come to what an undisturbed run comes to.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator_nb import events as e
from orchestrator_nb.commands.processes import RUN
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL, list_runs
from orchestrator_nb.orchestrator.attaching import attach
from orchestrator_nb.orchestrator.store.audit import audit_run
from orchestrator_nb.state.run_state import fold

Server = Callable[..., dict[str, Any]]

KILLS = int(os.environ.get("ORCHESTRATOR_NB_KILLS", "20"))
"""How many runs are killed at a random instant; a thousand take half an hour."""

MODES = ("before JournalFile.append", "within write", "before file.flush_file", "after JournalFile.append")

PARTS, CELLS = range(4), range(4, 8)
WIDE = {
    "workflow": "wide",
    "slots": 3,
    "commands": {
        "begin": {"call": "steps:begin"},
        **{
            f"part-{number}": {
                "call": "steps:part",
                "parameters": {"number": number},
                "after": ["begin"],
                "retries": 2,
                "retry_delay": 0.02,
            }
            for number in PARTS
        },
        "cell": {
            "call": "steps:part",
            "matrix": {"number": list(CELLS)},
            "after": ["begin"],
            "retries": 1,
            "retry_delay": 0.02,
        },
        "patient": {"call": "steps:patient", "after": ["begin"], "retries": 1, "retry_delay": 0.3},
        "extra": {"call": "steps:extra", "after": ["begin"], "optional": True},
        "gather": {"call": "steps:gather", "after": ["patient", "cell", *(f"part-{number}" for number in PARTS)]},
        "say": {"shell": ["echo", "total ${{ gather.total }}"]},
    },
}
SHELL = """
note() { echo "$OWNER say ${ORCHESTRATOR_NB_ATTEMPT##*/} $1" >> ledger; }
for tick in 1 2 3 4 5 6 7 8; do note $tick; sleep 0.05; done; echo said
"""
APART = {
    "workflow": "apart",
    "slots": 3,
    "commands": {
        "begin": {"call": "steps:begin"},
        "alone": {"call": "steps:alone", "after": ["begin"], "isolation": "process"},
        "say": {"shell": ["sh", "-c", SHELL], "after": ["begin"]},
        "near": {"call": "steps:near", "after": ["begin"]},
        "gather": {"call": "steps:gather", "after": ["alone", "say", "near"]},
    },
}
STEPS = """
import os
import time
from pathlib import Path

from orchestrator_nb import context


def note(what):
    out = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(out, f"{os.environ['OWNER']} {context.command} {context.attempt} {what}\\n".encode())
    os.close(out)


def begin():
    note("enter")
    context.record("half", 1.5)
    context.metric("size", 8)
    Path("drawing.txt").write_text("a drawing")
    context.artifact("drawing.txt")
    return list(range(8))


def part(begin, number):
    note("enter")
    context.metric("number", number)
    if number == 3 and context.attempt <= 2:
        context.record("tried", context.attempt)
        raise ConnectionError("not yet")
    if number == 7 and context.attempt == 1:
        raise ConnectionError("a cell, too")
    if number == 5:
        import pandas as pd

        return pd.DataFrame({"n": begin})
    if number == 6:
        path = Path("six.txt")
        path.write_text("6" * 1000)
        return path
    context.record("square", number * number)
    return {"n": begin[number]}


def patient(begin):
    note("enter")
    if context.attempt == 1:
        raise ConnectionError("come again")
    return "at last"


def extra(begin):
    note("enter")
    raise ValueError("always")


def alone(begin):
    note("enter")
    context.metric("pages", 3)
    context.record("name", "alone")
    time.sleep(0.05)
    note("leave")
    return {"sum": sum(begin)}


def near(begin):
    note("enter")
    return len(begin)


def gather():
    note("enter")
    context.shared["gathered"] = len(context.upstream)
    cells = sorted(context.upstream["cell"]) if "cell" in context.upstream else []
    return {"total": len(context.upstream), "names": sorted(context.upstream), "cells": cells}
"""


@dataclass
class Trial:
    """A project of its own in which a run is killed and resumed until it is complete, and what is looked at meanwhile."""

    server: Server
    folder: Path
    definition: dict[str, Any]
    owners: int = 0
    died: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "tmp").mkdir()
        (self.folder / "flow.yaml").write_text(json.dumps(self.definition))
        (self.folder / "steps.py").write_text(STEPS)

    @property
    def run(self) -> Path | None:
        runs = list_runs(self.folder / "runs")
        assert len(runs) <= 1
        return runs[0] if runs else None

    def drive(self, **trial: Any) -> None:
        """Let an owner begin the run, or go on with it, until it dies or is done; then look at what it did."""
        done, before = self._done(), len(self._noted())
        self.owners += 1
        resume = self.run is not None
        answer = self.server(self.folder, resume=resume, owner=self.owners, **trial)
        assert answer["code"] in (0, -9)
        self.died.append(answer["code"] == -9)
        new = self._noted()[before:]
        again = {command for _, command, _, _ in new} & done
        assert not again, f"{again} ran again although their success was recorded"
        recorded = {(event.command, event.attempt) for event in self._events() if isinstance(event, e.AttemptStarted)}
        assert {(command, attempt) for _, command, attempt, _ in new} <= recorded, "it ran before it was recorded"

    def finish(self) -> dict[str, Any]:
        """Resume until the run is complete, and return what it came to."""
        # A command that was under way in three deaths is not tried again before somebody resumes once more.
        for _ in range(3):
            self.drive()
            if self.outcome()["state"] == "completed":
                break
        self._check_what_is_left()
        return self.outcome()

    def outcome(self) -> dict[str, Any]:
        """What the run has come to, without what differs from run to run."""
        result = attach(store=self.folder / "runs").result
        return {
            "state": result.state,
            "deviations": sorted(result.deviations),
            "shared": dict(result.shared),
            "states": {name: record.state for name, record in result.commands.items()},
            "outputs": {name: _plain(result.outputs[name]) for name in sorted(result.outputs)},
            "metrics": {name: dict(numbers) for name, numbers in sorted(result.metrics.items())},
            "recorded": {name: dict(values) for name, values in sorted(result.recorded.items())},
            "artifacts": {
                name: {key: stored.artifact for key, stored in record.artifacts.items()}
                for name, record in result.commands.items()
            },
        }

    def _check_what_is_left(self) -> None:
        assert self.run is not None
        assert audit_run(self.run) == []
        noted = self._noted()
        owners = [owner for owner, _, _, _ in noted]
        assert owners == sorted(owners), f"a process outlived its owner and the next one's first command: {noted}"
        assert not list((self.folder / "tmp").iterdir())
        left = [
            path.name
            for path in self.run.rglob("*")
            if path.name.startswith(".")
            or path.name == "live.json"
            or path.suffix in {".part", ".taken", ".tmp", ".sock"}
        ]
        assert not left, f"files are left that nobody needs: {left}"
        marked = [process.pid for process in psutil.process_iter() if _run_of(process) == self.run.name]
        assert not marked, "processes are left"

    def _events(self) -> list[e.Event]:
        return list(read(self.run / JOURNAL)) if self.run is not None else []

    def _done(self) -> set[str]:
        return {name for name, record in fold(self._events()).commands.items() if record.state == "succeeded"}

    def _noted(self) -> list[tuple[int, str, int, str]]:
        path = self.folder / "ledger"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(owner), name, int(attempt), what) for owner, name, attempt, what in map(str.split, lines)]


def _plain(value: Any) -> Any:
    """Return a value as something that can be compared."""
    if isinstance(value, Path):
        return value.read_text()
    return value.to_dict() if hasattr(value, "to_dict") else value


def _run_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(RUN)
    except (psutil.Error, OSError):
        return None


@dataclass(frozen=True)
class Scene:
    """A way that a run goes when nothing disturbs it: how long its first owner takes, and what it comes to."""

    name: str
    definition: dict[str, Any]
    steer: dict[str, str]
    seconds: float
    outcome: dict[str, Any]


@pytest.fixture(scope="module", name="scenes")
def _scenes(server: Server, place: Path) -> dict[str, Scene]:
    """The runs that nothing happens to."""
    scenes = {}
    for name, definition, steer in (
        ("paused", WIDE, {"pause": "part-0"}),
        ("stopped", WIDE, {"stop": "cell-4"}),
        ("apart", APART, {}),
    ):
        trial = Trial(server, place / f"undisturbed-{name}", definition)
        begun = time.monotonic()
        trial.drive(**({"steer": steer} if steer else {}))
        seconds = time.monotonic() - begun
        kinds = [type(event).__name__ for event in trial._events()]
        assert ("RunPaused" in kinds) == ("RunResumed" in kinds) == (name == "paused")
        assert ("RunStopping" in kinds) == (name == "stopped")
        assert "RetryScheduled" in kinds or name != "paused"
        scenes[name] = Scene(name, definition, steer, seconds, trial.finish())
        assert scenes[name].outcome["state"] == "completed"
        assert name == "apart" or scenes[name].outcome["outputs"]["gather"]["cells"] == [str(cell) for cell in CELLS]
    assert scenes["paused"].outcome == scenes["stopped"].outcome
    return scenes


def _survive(trial: Trial, scene: Scene, deaths: list[dict[str, Any]]) -> None:
    """Go through the deaths, then to the end, and compare with the run that nothing happened to."""
    try:
        for number, death in enumerate(deaths):
            trial.drive(**death, **({"steer": scene.steer} if not number and scene.steer else {}))
        assert trial.finish() == scene.outcome
    except AssertionError as error:
        raise AssertionError(f"{trial.folder.name}, deaths {deaths}: {error}") from error


def _later_deaths(chance: random.Random) -> list[dict[str, Any]]:
    """One or two more deaths while it is resumed."""
    return [{"point": chance.choice(MODES), "hit": chance.randint(1, 8)} for _ in range(chance.randint(1, 2))]


def _kill_at_each_write(
    server: Server, scene: Scene, place: Path, *, ways: int = 1, first: Sequence[dict[str, Any]] = ()
) -> int:
    """Kill a run at its first write, another at its second, until there are no more; return how many there were.

    It dies before the write, in its middle or after it: in as many `ways`, in turn, and in all where there is time.
    `first` are owners that come before the one that dies there; in every third trial more owners die after it.
    """
    chance, number, survivals = random.Random(3), 0, 0
    while survivals < 2:  # how many turns a run takes depends a little on who comes when
        number += 1
        turned = (*MODES[number % 4 :], *MODES[: number % 4])
        for mode in MODES if KILLS > 100 else turned[:ways]:
            trial = Trial(
                server, place / f"{scene.name}-{len(first)}-{number}-{mode.replace(' ', '-')}", scene.definition
            )
            later = _later_deaths(chance) if chance.randrange(3) == 0 else []
            _survive(trial, scene, [*first, {"point": mode, "hit": number}, *later])
        survivals = 0 if trial.died[len(first)] else survivals + 1
    return number - survivals


@pytest.mark.parametrize(("name", "ways"), [("paused", 2), ("stopped", 1), ("apart", 1)])
def test_kill_at_every_write(server: Server, scenes: dict[str, Scene], place: Path, name: str, ways: int) -> None:
    """Each write of the journal is the last once: before it, in its middle, or before anything follows from it."""
    assert _kill_at_each_write(server, scenes[name], place, ways=ways) >= 5


def test_kill_at_every_write_of_a_run_that_was_stopped(server: Server, scenes: dict[str, Scene], place: Path) -> None:
    """A stopped run that is resumed opens a new generation of what it lacks, however often that is broken off."""
    assert _kill_at_each_write(server, scenes["stopped"], place, first=[{}]) >= 5


def test_kill_at_random_instants(server: Server, scenes: dict[str, Scene], place: Path) -> None:
    """Wherever it happens to be, and again while it is resumed."""
    chance = random.Random(13)
    for number in range(KILLS):
        scene = scenes[chance.choice(("paused", "paused", "stopped", "stopped", "apart"))]
        trial = Trial(server, place / f"random-{number}", scene.definition)
        deaths = [{"delay": chance.uniform(0.0, scene.seconds)} for _ in range(chance.choice((1, 1, 2, 3)))]
        _survive(trial, scene, deaths)
