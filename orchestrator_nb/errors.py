"""What a user may catch.

OrchestratorError
├── DefinitionError      the definition, its parameters or its files are wrong; carries every mistake
├── UsageError           a call or an option is wrong
├── ResultRefused        a value cannot pass between commands in a stored form
├── CommandError         a command failed; carries the failure as it is journalled
├── RunFailed            a run did not complete; carries its result
├── RunNotFound          no run of that name is in the store
├── RunRefused           the run cannot be owned here and now: someone else owns it, or it cannot go on
│   ├── RunNotRunning    nobody drives the run, so there is nothing to pause or to stop
│   └── RunUnanswered    the process that owns the run did not answer: it may be frozen
├── RunSkipped           another run of the workflow is under way, and it is declared that this one is left out
├── CheckpointError      a checkpoint cannot be taken, found or read
│   └── RollbackRefused  a rollback would lose work, so nothing was changed
└── StoreError           the store cannot be read or written
    ├── StoreFull        there is no room where the store is; what was recorded is safe
    └── JournalDamaged   the journal does not say what was written to it

Cancelled                a control signal, a BaseException, so that `except Exception` cannot eat it
"""

from __future__ import annotations

import os
import sys
from typing import Any

from msgspec import Struct

_FRAMES_LEFT_OUT = (
    *(os.path.dirname(os.path.abspath(file)) + os.sep for file in (__file__, os.__file__)),
    f"{os.sep}site-packages{os.sep}",
    f"{os.sep}IPython{os.sep}core{os.sep}",
    "<frozen ",
)
"""Parts of the paths of files whose frames say nothing to the user: those of this package, of Python and of what is
installed, IPython among it. The user's are cells and modules of their own."""


class Mistake(Struct, frozen=True):
    """One thing that is wrong in what the user wrote, said so that it can be found and mended.

    `path` is a JSON pointer into the document (``/commands/clean/after/0``), `line` and `column` count from 1.
    """

    message: str
    path: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    found: str | None = None
    expected: str | None = None
    nearest: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        lead = " ".join(part for part in (place, self.path) if part)
        text = f"{lead}: {self.message}" if lead else self.message
        if self.found is not None:
            text += f"; found {self.found}"
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.nearest is not None:
            text += f'; did you mean "{self.nearest}"?'
        return text


class OrchestratorError(Exception):
    """Any error that this package raises on purpose. All of them survive pickling."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """Return what IPython and Jupyter show below the cell: the user's own lines, then what went wrong."""
        import traceback

        frames = traceback.extract_tb(self.__traceback__)
        shown = [_as_typed(frame) for frame in frames if not any(part in frame.filename for part in _FRAMES_LEFT_OUT)]
        return [*"".join(shown).rstrip().splitlines(), f"{type(self).__name__}: {self}"]


def _as_typed(frame: Any) -> str:
    """Return a `traceback.FrameSummary` as text; a cell's has its number, and a magic is as the user wrote it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    cell = None if shell is None else shell.compile.format_code_name(frame.filename)
    if cell is None:
        import traceback

        return "".join(traceback.format_list([frame]))
    import re
    from ast import literal_eval

    def typed(found: re.Match[str]) -> str:
        return f"{'%%' if found[1] == 'cell' else '%'}{found[2]} {literal_eval(found[3])}"

    text = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    line = re.sub(rf"get_ipython\(\)\.run_(line|cell)_magic\('(\w+)', {text}.*\)", typed, frame.line or "")
    return f"{' '.join(cell)}, line {frame.lineno}\n    {line}\n"


class DefinitionError(OrchestratorError):
    """A definition is wrong; `mistakes` holds all that was found, in the order of the document."""

    exit_code = 2

    def __init__(self, mistakes: list[Mistake] | tuple[Mistake, ...]) -> None:
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        lead = "1 mistake" if count == 1 else f"{count} mistakes"
        given = all(mistake.file is None and mistake.path.startswith("/parameters/") for mistake in self.mistakes)
        where = "parameters" if given else "definition"
        super().__init__("\n".join([f"{lead} in the {where}:", *(f"  {mistake}" for mistake in self.mistakes)]))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.mistakes,)


class UsageError(OrchestratorError):
    """A call, an option or an argument is wrong."""

    exit_code = 2


class ResultRefused(OrchestratorError):
    """A value that a command returned or recorded has no stored form that gives the same value back."""


class CommandError(OrchestratorError):
    """A command failed in a way that its type can describe better than an exception's text.

    `failure` has the fields of `events.Failure` that are known, as a plain dictionary.
    """

    def __init__(self, message: str, **failure: Any) -> None:
        self.failure = failure
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _command_error, (str(self), self.failure)


def _command_error(message: str, failure: dict[str, Any]) -> CommandError:
    return CommandError(message, **failure)


class RunFailed(OrchestratorError):
    """A run ended otherwise than completed, or left before its end; `result` says what is there and what is not."""

    def __init__(self, message: str, result: Any = None) -> None:
        self.result = result
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.result)


class RunNotFound(OrchestratorError):
    """No run of that name is in the store."""

    exit_code = 2


class RunRefused(OrchestratorError):
    """The run cannot be owned here and now: another process owns it, or it cannot go on as asked."""

    exit_code = 6


class RunNotRunning(RunRefused):
    """Nobody drives the run, so there is nothing to pause, to interrupt or to stop; the message says how it stands."""


class RunUnanswered(RunRefused):
    """The process that owns the run did not answer a request in time: it may be frozen or very busy."""


class RunSkipped(OrchestratorError):
    """The run was not opened: another of its workflow is under way, and the workflow declares `overlap: skip`."""

    exit_code = 0


class CheckpointError(OrchestratorError):
    """A checkpoint cannot be taken, found or read; the message says what is in the way."""


class CheckpointNotFound(CheckpointError):
    """There is no checkpoint, or no file in it, of that name."""

    exit_code = 2


class RollbackRefused(CheckpointError):
    """A rollback would lose work or cannot be carried out whole: nothing was changed; `paths` are those in question."""

    exit_code = 6

    def __init__(self, message: str, paths: tuple[str, ...] = ()) -> None:
        self.paths = paths
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.paths)


class StoreError(OrchestratorError):
    """The store cannot be used: it cannot be found, read or written."""

    exit_code = 6


class StoreFull(StoreError):
    """There is no room on the file system of the store; the message names it. What was recorded is safe."""


class JournalDamaged(StoreError):
    """A journal does not say what was written to it; the message names the file, the line and what is wrong."""


class Cancelled(BaseException):
    """The attempt was asked to end. A BaseException, so that a command's `except Exception` does not eat it."""
