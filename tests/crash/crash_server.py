"""A process that runs the crash tests' workflow in forks of itself, so that a trial costs no start of Python.

Each line on stdin is a trial as JSON: the folder, whether to resume, the crash point and its how-manieth hit. The fork
kills itself there with SIGKILL. The answer is a line of JSON: the signal that ended the fork, the hits of each point.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas  # noqa: F401 - so that the forks have it
import pyarrow.parquet  # noqa: F401

from orchestrator_nb.data import artifacts, flush
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.executors.local import LocalExecutor
from orchestrator_nb.journal import file as journal_file
from orchestrator_nb.journal.file import JournalFile
from orchestrator_nb.journal.owner import Ownership
from orchestrator_nb.orchestrator import frozen, manifest, opening, session
from orchestrator_nb.orchestrator.workflow import Workflow

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
        (session, "write_manifest"),
        (manifest, "write_whole"),
        (os, "replace"),
        (flush, "flush_folder"),
    ):
        guard(owner, name, trial)


def attempt(trial: dict[str, Any]) -> None:
    """Run or resume the workflow in this fork."""
    folder = Path(trial["folder"])
    os.chdir(folder)
    os.environ["ORCHESTRATOR_NB_STORE"] = str(folder / "runs")
    arm(trial)
    flow = Workflow.load(folder / "flow.yaml")
    if trial["resume"]:
        flow.resume(wait=False).wait(check=False) if not _is_complete(folder) else None
    else:
        flow.run(check=False)


def _is_complete(folder: Path) -> bool:
    from orchestrator_nb.orchestrator.attaching import attach

    return attach(store=folder / "runs").state.run.state == "completed"


def main() -> None:
    """Serve trials until stdin ends."""
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
