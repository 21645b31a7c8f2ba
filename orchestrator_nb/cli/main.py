"""The entry point of `orchestrator-nb`: runs a verb and turns whatever comes of it into an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence

from orchestrator_nb.cli.exits import BUG, COMPLETED, SIGNALLED, UNWRITTEN
from orchestrator_nb.cli.settling import point_at_nothing
from orchestrator_nb.cli.signals import Interrupted
from orchestrator_nb.errors import OrchestratorError


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    _have_streams()
    for stream in (sys.stdout, sys.stderr):
        # What a terminal cannot show, in a path or in what a command said, is shown as an escape.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(settle_stdout(run_command_line(sys.argv[1:])))


def _have_streams() -> None:
    """Put something in the place of standard streams that are closed, as some starters of daemons leave them.

    The next file that is opened would take their number, and what is printed would go to it: to the journal, say.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; what the user did wrong is said on stderr, without a traceback."""
    from orchestrator_nb.cli.app import app

    try:
        app(args=list(arguments), prog_name="orchestrator-nb")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except OrchestratorError as error:
        _say(str(error))
        return error.exit_code
    except Interrupted as interrupted:
        _say('interrupted; what was recorded by then stays, "orchestrator-nb status" shows it')
        return SIGNALLED + interrupted.number
    except Exception as error:  # noqa: BLE001 - whatever else comes is our mistake, not the user's
        if isinstance(error, OSError) and _stdout_takes_nothing():
            point_at_nothing()
            _say(_unwritten(error))
            return UNWRITTEN
        _say(_bug(error))
        return BUG
    return 0


def _bug(error: Exception) -> str:
    """Keep the traceback in a file; return what to say."""
    lead = f"this is a bug of orchestrator-nb: {type(error).__name__}: {error}"
    text = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="orchestrator-nb-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{sys.version}\n{sys.argv}\n\n{text}")
    except OSError:
        return f"{lead}\n{text}"
    return f"{lead}\nits traceback is in {name}; a run that was under way can be resumed"


def _say(text: str) -> None:
    from orchestrator_nb.orchestrator.display.shown import as_text

    text = as_text(text)
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr)


def settle_stdout(code: int) -> int:
    """Flush stdout and return the exit code; where it cannot take what there is to read, that is said on stderr.

    A reader that went away before the end, as `head` does, had what it wanted.
    """
    try:
        sys.stdout.flush()
    except (AttributeError, ValueError):  # a command on a thread of this process has closed it or taken it away
        return code
    except OSError as error:
        point_at_nothing()
        if error.errno != errno.EPIPE and code == COMPLETED:
            _say(_unwritten(error))
            return UNWRITTEN
    return code


def _stdout_takes_nothing() -> bool:
    """Whether stdout is what failed: asked once more it fails again."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    except (AttributeError, ValueError):
        return False
    return False


def _unwritten(error: OSError) -> str:
    return f"stdout could not be written: {error.strerror or error}"
