"""The process that owns a detached run: `python -m orchestrator_nb.orchestrator.detached FOLDER OPTIONS`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from orchestrator_nb.errors import OrchestratorError
from orchestrator_nb.orchestrator.frozen import Frozen
from orchestrator_nb.orchestrator.frozen_workflow import frozen_workflow
from orchestrator_nb.orchestrator.resuming import resume_opened
from orchestrator_nb.orchestrator.run import Run


def main() -> int:
    """Drive the run of the folder to its end or to where it is left, and return the exit code that it comes to.

    SIGINT, SIGTERM and SIGHUP pause it durably: running commands get 10 seconds, a second signal ends them now.
    """
    folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    sys.path[:] = options["path"]
    signals = Signals()
    try:
        flow = frozen_workflow(Frozen.read(folder))
        opening_of = flow._opening_of(
            (), slots=options["slots"], durability=options["durability"], decide=options["decide"]
        )
        run = resume_opened(folder, opening_of, durable=options["durability"] == "full")
        signals.go_to(run)
        result = run.wait(check=False)
    except OrchestratorError as error:
        print(error, file=sys.stderr, flush=True)  # noqa: T201 - its stderr is the owner's log
        return error.exit_code
    return result.exit_code


class Signals:
    """What becomes of the signals that ask this process to end; one that comes before the run is there waits for it."""

    def __init__(self) -> None:
        self._count = 0
        self._run: Run | None = None
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, self._take)

    def go_to(self, run: Run) -> None:
        """Send them to this run from now on."""
        self._run = run
        if self._count:
            self._interrupt()

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 2:
            os._exit(1)
        if self._run is not None:
            # On a thread of its own: a handler must not wait for a lock that the code below it may hold.
            threading.Thread(target=self._interrupt, daemon=True).start()

    def _interrupt(self) -> None:
        if self._run is not None:
            self._run.interrupt("interrupted", grace=10.0 if self._count == 1 else 0.0)


if __name__ == "__main__":
    sys.exit(main())
