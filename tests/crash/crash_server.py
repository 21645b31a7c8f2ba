"""A process that runs the crash tests' workflow in forks of itself, so that a trial costs no start of Python.

Each line on stdin is a trial as JSON: the folder, whether to resume, the crash point and its how-manieth hit. The fork
kills itself there with SIGKILL. The answer is a line of JSON: the signal that ended the fork, the hits of each point.
`steer` names the command after whose success the run is paused for a while (`pause`) or stopped (`stop`); `owner` is
what the commands see as OWNER in their environment.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import filelock  # noqa: F401 - so that the forks have it
import pandas  # noqa: F401
import psutil  # noqa: F401
import pyarrow.parquet  # noqa: F401
import ruamel.yaml  # noqa: F401

from orchestrator_nb import events as e
from orchestrator_nb.data import artifacts, flush
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.executors.local import LocalExecutor
from orchestrator_nb.journal import file as journal_file
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.owner import Ownership
from orchestrator_nb.orchestrator import frozen, opening
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.store import manifest
from orchestrator_nb.orchestrator.workflow import Workflow
from orchestrator_nb.state.run_state import RunState

hits: Counter[str] = Counter()
lock = threading.Lock()


def reached(point: str, trial: dict[str, Any]) -> None:
    """Count the hit, and die if it is the one."""
    with lock:
        hits[point] += 1
        number = hits[point]
    if trial.get("point") == point and trial.get("hit") == number:
        os.kill(os.getpid(), signal.SIGKILL)


def guard(owner: Any, name: str, trial: dict[str, Any]) -> None:
    """Put a crash point before and after a function of the real parts."""
    real: Callable[..., Any] = getattr(owner, name)
    label = f"{getattr(owner, '__name__', owner).rpartition('.')[2]}.{name}"

    def guarded(*arguments: Any, **options: Any) -> Any:
        reached(f"before {label}", trial)
        result = real(*arguments, **options)
        reached(f"after {label}", trial)
        return result

    setattr(owner, name, guarded)


def arm(trial: dict[str, Any]) -> None:
    """Put crash points at everything that is written, handed out or let go."""
    for owner, name in (
        (JournalFile, "append"),
        (JournalFile, "close"),
        (journal_file, "flush_file"),
        (Ownership, "__init__"),
        (Ownership, "release"),
        (LocalExecutor, "submit"),
        (Loop, "_act"),
        (artifacts.Artifacts, "put_bytes"),
        (artifacts.Artifacts, "put_file"),
        (frozen, "write_whole"),
        (opening, "freeze_sources"),
        (opening, "create_run"),
        (manifest, "write_manifest"),
        (manifest, "write_whole"),
        (os, "replace"),
        (flush, "flush_folder"),
    ):
        guard(owner, name, trial)
    if trial.get("point") == "within write":
        journal_file.os = TornWrites(trial)  # type: ignore[attr-defined, assignment]


class TornWrites:
    """The module `os` as the journal sees it, with writes in two halves and a crash point between them."""

    def __init__(self, trial: dict[str, Any]) -> None:
        self._trial = trial

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, file: int, data: bytes) -> int:
        half = len(data) // 2
        written = os.write(file, data[:half])
        reached("within write", self._trial)
        return written + os.write(file, data[half:])


class Steering:
    """Pauses the run for as long as something runs, or stops it, after a command has succeeded."""

    def __init__(self, pause: str | None = None, stop: str | None = None) -> None:
        self._pause = pause
        self._stop = stop
        self._run: Run | None = None
        self._there = threading.Event()

    def take(self, run: Run) -> Run:
        """Be told which run it is."""
        self._run = run
        self._there.set()
        return run

    def __call__(self, events: Sequence[e.Event], state: RunState) -> None:
        succeeded = {event.command for event in events if isinstance(event, e.CommandSucceeded)}
        self._there.wait(30)
        assert self._run is not None
        if self._pause in succeeded:
            self._run.pause("for a while")
        if self._stop in succeeded:
            self._run.stop("enough", grace=0.5)
        if state.run.state == "paused" and not state.counts.get("running"):
            self._run.resume()


def attempt(trial: dict[str, Any]) -> None:
    """Run or resume the workflow in this fork."""
    folder = Path(trial["folder"])
    os.chdir(folder)
    os.environ["ORCHESTRATOR_NB_STORE"] = str(folder / "runs")
    os.environ["OWNER"] = str(trial.get("owner", 0))
    if (folder / "tmp").is_dir():
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
    arm(trial)
    steering = Steering(**trial["steer"]) if "steer" in trial else None
    watching = (steering,) if steering else ()
    flow = Workflow.load(folder / "flow.yaml")
    run = flow.resume(wait=False, observers=watching) if trial["resume"] else flow.start(wait=False, observers=watching)
    if steering:
        steering.take(run)
    run.wait(check=False)


def main() -> None:
    """Serve trials until stdin ends."""
    gc.freeze()  # a collection in a fork would copy everything
    for line in sys.stdin:
        trial = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            code = 0
            try:
                attempt(trial)
            except BaseException:
                traceback.print_exc()
                code = 1
            os.write(writer, json.dumps(hits).encode())
            os._exit(code)
        os.close(writer)
        timer = threading.Timer(trial["delay"], os.kill, (child, signal.SIGKILL)) if "delay" in trial else None
        if timer is not None:
            timer.start()
        with os.fdopen(reader) as pipe:
            counted = pipe.read()
        _, status = os.waitpid(child, 0)
        if timer is not None:
            timer.cancel()
            timer.join()
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code, "hits": json.loads(counted or "{}")}), flush=True)


if __name__ == "__main__":
    main()
