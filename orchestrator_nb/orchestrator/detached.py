"""The process that owns a detached run: `python -m orchestrator_nb.orchestrator.detached FOLDER OPTIONS`."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from types import FrameType

from orchestrator_nb.errors import OrchestratorError
from orchestrator_nb.orchestrator.attaching import frozen_workflow
from orchestrator_nb.orchestrator.frozen import Frozen
from orchestrator_nb.orchestrator.opening import resume_opened


def main() -> int:
    """Drive the run of the folder to its end or to where it is left, and return the exit code that it comes to.

    SIGINT, SIGTERM and SIGHUP pause it durably: running commands get 10 seconds, a second signal ends them now.
    """
    folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    sys.path[:] = options["path"]
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, _interrupted)
    try:
        flow = frozen_workflow(Frozen.read(folder))
        opening_of = flow._opening_of((), slots=options["slots"], durability=options["durability"])
        run = resume_opened(folder, opening_of, durable=options["durability"] == "full")
        result = run.wait(check=False)
    except OrchestratorError as error:
        print(error, file=sys.stderr, flush=True)  # noqa: T201 - its stderr is the owner's log
        return error.exit_code
    return result.exit_code


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    # What Ctrl-C raises: `Run.wait` pauses the run and goes on waiting for it to be left.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
