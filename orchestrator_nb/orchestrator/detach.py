"""Handing a new run to a process of its own, which outlives the one that started it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.processes import ATTEMPT, COMMAND, MARK, RUN, start
from orchestrator_nb.errors import RunRefused, RunUnanswered, UsageError
from orchestrator_nb.journal.file import scan
from orchestrator_nb.journal.store import JOURNAL, create_run
from orchestrator_nb.orchestrator.opening import Opening
from orchestrator_nb.orchestrator.overlap import admitted
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.store.store_check import check_store

LOG = "logs/owner.log"
"""Where its owner writes what has no other place, relative to the run's folder."""

BEGINNING = 60.0
"""Seconds until the new owner has to have recorded the first turn."""

_PACKAGE_PLACE = Path(__file__).resolve().parents[2]


def start_detached(opening: Opening, *, store: Path) -> Run:
    """Open a new run, have a process of its own drive it, and return it when its first turn is recorded.

    Raises UsageError naming the functions that exist in this session only, RunRefused with what the new process said
    when it could not begin, StoreError, and where another run is under way what the workflow's `overlap` says.
    """
    definition = opening.plan.definition
    bound = [command.id for command in definition.commands if (command.call or "").startswith("__main__:")]
    if bound:
        names = ", ".join(f'"{name}"' for name in bound)
        raise UsageError(
            f"{names}: defined in this session, which a process of its own cannot import; put the functions into a "
            f"module beside the workflow, or start without detach"
        )
    check_store(store)  # once more where the run begins, which tells what there is to know
    with admitted(store, definition.workflow, opening.overlap, wait=definition.coordination_timeout):
        folder = create_run(store, definition.workflow)
        opening.frozen().write(folder)
        owner = _spawn(
            folder,
            {"slots": opening.slots, "durability": opening.durability, "decide": opening.decide, "path": _path()},
        )
        threading.Thread(target=owner.wait, name=f"orchestrator-nb reap {folder.name}", daemon=True).start()
        _wait_for_beginning(owner, folder)
    return Run(folder, go_on=opening.go_on, today=opening.today)


def _spawn(folder: Path, options: dict[str, Any]) -> subprocess.Popen[bytes]:
    log = folder / LOG
    log.parent.mkdir(mode=0o700, exist_ok=True)
    # It is no part of the command that may be starting it: its end must not be that one's.
    env = {name: value for name, value in os.environ.items() if name not in (RUN, COMMAND, ATTEMPT, MARK)}
    places = [str(_PACKAGE_PLACE), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    env["PYTHONPATH"] = os.pathsep.join(places)
    argv = [sys.executable, "-m", "orchestrator_nb.orchestrator.detached", str(folder), json.dumps(options)]
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        try:
            return start(argv, env=env, stdout=output, stderr=output)
        except OSError as error:
            raise RunRefused(f'"{sys.executable}" could not be started: {error.strerror or error}') from error


def _path() -> list[str]:
    return [place or str(Path.cwd()) for place in sys.path]


def _wait_for_beginning(owner: subprocess.Popen[bytes], folder: Path) -> None:
    journal = folder / JOURNAL
    deadline = time.monotonic() + BEGINNING
    while True:
        gone = owner.poll() is not None
        if journal.exists() and next(scan(journal), None) is not None:
            return
        if gone:
            said = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip()
            shutil.rmtree(folder, ignore_errors=True)  # nothing ran: what is left of it would only be in the way
            raise RunRefused(f"the process that was to drive the run could not begin:\n{said}")
        if time.monotonic() >= deadline:
            raise RunUnanswered(f'"{folder.name}" has not begun within {BEGINNING:g} s; see "{folder / LOG}"')
        time.sleep(0.02)
