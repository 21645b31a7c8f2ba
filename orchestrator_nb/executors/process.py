"""A callable in a process of its own, seen from its owner: what goes in, what comes out, and how it may end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO, Any, cast

from msgspec import structs

from orchestrator_nb.commands.callable import CallableCommand, FunctionCommand
from orchestrator_nb.commands.importing import CannotImport
from orchestrator_nb.commands.output import Pump
from orchestrator_nb.commands.processes import MARK, Tree, explained, is_want, marks, start
from orchestrator_nb.commands.shell import environment_text
from orchestrator_nb.commands.usage import Meter, with_memory
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.secret_values import environment_with
from orchestrator_nb.definition.references import secrets_in
from orchestrator_nb.errors import CommandError
from orchestrator_nb.events import (
    ArtifactRecorded,
    AttemptFailed,
    AttemptReturned,
    MetricRecorded,
    NoticeGiven,
    OutputRecorded,
    StatePreserved,
    Stored,
)
from orchestrator_nb.events.json_form import from_plain
from orchestrator_nb.executors.attempt import Answer, LocalAttempt
from orchestrator_nb.executors.child import LENGTH, PROGRESS
from orchestrator_nb.ports import Work
from orchestrator_nb.state.sharing import referred

EXIT_PATIENCE = 5.0
"""Seconds that a process may still take to exit after it has answered."""

LONGEST_MESSAGE = 64 * 2**20
"""Bytes of one message."""

_PACKAGE_PLACE = Path(__file__).resolve().parents[2]
_FACTS = (OutputRecorded, MetricRecorded, ArtifactRecorded, StatePreserved, NoticeGiven)
_by_value = threading.Lock()


def run_in_child(attempt: LocalAttempt, *, command: FunctionCommand, artifacts: Artifacts) -> Stored:
    """Run a callable in a process of its own and return its result, which that process has stored.

    Raises CommandError with everything that is known about a failure.
    """
    work = attempt.work
    function = _function(command, work)
    environment = {name: environment_text(attempt, name, text) for name, text in work.definition.environment.items()}
    names = [name for name, _ in secrets_in(work.definition)]
    mark = marks(work.run_folder, work.command, work.attempt)
    path = environment.get("PYTHONPATH", "").split(os.pathsep)
    header = {
        "path": _search_path(work.folder, path),
        "cwd": str(_directory(work)),
        "artifacts": str(artifacts.folder.absolute()),
    }
    argv = [sys.executable, "-m", "orchestrator_nb.executors.child"]
    try:
        parts = [json.dumps({**header, "durable": artifacts.durable}).encode(), _pickled(function, work)]
        # started where this package is found, whatever is installed; it goes to the command's directory itself
        process = start(
            argv, env={**environment_with(names), **environment, **mark}, cwd=_PACKAGE_PLACE, stdin=subprocess.PIPE
        )
    except OSError as error:
        message = f"no process could be started for it: {explained(error)}"
        raise CommandError(message, kind="not_started", transient=is_want(error) or None) from error
    tree = Tree(process.pid, mark=mark[MARK])
    attempt.on_end(tree.end)
    dialogue = Dialogue(process, attempt)
    meter = Meter(process.pid).start() if attempt.measures else None
    code = dialogue.carry_on(parts, tree)
    answer = dialogue.answer
    if meter is not None:
        attempt.used = with_memory(None if answer is None else answer.used, meter.used())
    if isinstance(answer, AttemptReturned):
        for name, value in (answer.shared or {}).items():
            stored = referred(value)  # what is in a file was put there by the child
            attempt.share(name, value if stored is None else stored)
        return answer.result or Stored(form="json")
    tree.kill()  # what it started must not meet the next attempt
    if answer is not None:
        known = structs.asdict(answer.failure)
        raise CommandError(known.pop("message"), **known)
    raise _ended_without_answer(code)


class Dialogue:
    """The talk with one child: the input goes in, messages and output come out until it has exited."""

    def __init__(self, process: subprocess.Popen[bytes], attempt: LocalAttempt) -> None:
        self.answer: Answer | None = None
        self._process = process
        self._attempt = attempt

    def carry_on(self, parts: list[bytes], tree: Tree) -> int:
        """Send the parts of the input and return the exit code when the process has come to its end."""
        process = self._process
        pump = Pump(process.stderr, self._attempt.write_log)
        stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        reader = threading.Thread(target=self._read, args=(stdout, tree), name="orchestrator_nb child", daemon=True)
        reader.start()
        with suppress(OSError):  # it has died meanwhile, which its exit code tells
            for part in parts:
                _write(stdin, LENGTH.pack(len(part)))
                _write(stdin, part)
        code = process.wait()
        reader.join(EXIT_PATIENCE)
        pump.let_go()
        with suppress(OSError):
            stdin.close()
        return code

    def _read(self, pipe: IO[bytes], tree: Tree) -> None:
        """Take messages until the answer has come or the pipe ends."""
        with suppress(OSError), io.BufferedReader(pipe) as messages:  # type: ignore[type-var]
            while self.answer is None and (line := messages.readline(LONGEST_MESSAGE)):
                with suppress(ValueError, KeyError, TypeError, AttributeError):  # not from our side of the child
                    self._take(json.loads(line))
        if self.answer is not None:
            try:
                self._process.wait(EXIT_PATIENCE)
            except subprocess.TimeoutExpired:
                self._attempt.write_log(
                    f"[its process was still there {EXIT_PATIENCE:g} s after the result, and was ended: "
                    "a thread that is no daemon, or an exit handler, may have held it]\n"
                )
                tree.kill()

    def _take(self, message: Mapping[str, Any]) -> None:
        if message["kind"] == PROGRESS:
            self._attempt.progress(float(message["fraction"]), str(message["text"]))
            return
        event = from_plain(message)
        if isinstance(event, (AttemptReturned, AttemptFailed)):
            self.answer = event
        elif isinstance(event, _FACTS):
            self._attempt.report(event)


def _function(command: FunctionCommand, work: Work) -> Callable[..., Any] | None:
    """Return the function to send; None for one of a module, which the child imports itself."""
    if isinstance(command, CallableCommand):
        return command.functions.get(work.definition.base)
    try:
        return command.find(work.definition, folder=work.folder)
    except CannotImport as error:
        raise CommandError(str(error), kind="not_started") from error


def _directory(work: Work) -> Path:
    """Return where the callable runs: the command's own directory, else the definition's folder."""
    directory = (work.folder / (work.definition.cwd or "")).absolute()
    if not directory.is_dir():
        message = f'its directory "{directory}" is not there: create it, or change its `cwd`'
        raise CommandError(message, kind="not_started")
    return directory


def _search_path(folder: Path, own: list[str]) -> list[str]:
    """Return where the child looks for modules: the definition's folder, its own PYTHONPATH, where this process does."""
    places = [str(folder), *filter(None, own), *(place or str(Path.cwd()) for place in sys.path), str(_PACKAGE_PLACE)]
    return list(dict.fromkeys(places))


def _pickled(function: Callable[..., Any] | None, work: Work) -> bytes:
    """Return function and work for the child; by value what it could not import. Raises CommandError."""
    import cloudpickle

    module = sys.modules.get(getattr(function, "__module__", None) or "")
    try:
        if function is None or module is None or _can_be_found(module.__name__, work.folder):
            return bytes(cloudpickle.dumps((function, work)))
        with _by_value:  # the registration is one for the whole process
            cloudpickle.register_pickle_by_value(module)
            try:
                return bytes(cloudpickle.dumps((function, work)))
            finally:
                cloudpickle.unregister_pickle_by_value(module)
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        raise CommandError(
            f'the function "{name}" cannot be sent to a process of its own: {type(error).__name__}: {error}; '
            "create what it uses inside of it, or let it run in a thread (`isolation: thread`)",
            kind="not_started",
        ) from error


def _can_be_found(module: str, folder: Path) -> bool:
    """Whether a child can import the module by name; what was typed in or loaded from a path cannot."""
    if module == "__main__":
        return True  # cloudpickle knows that it has to go by value
    places: Any = [str(folder), *sys.path]
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            return name in sys.builtin_module_names
        places = spec.submodule_search_locations
    return True


def _write(pipe: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[pipe.write(view) :]


def _ended_without_answer(code: int) -> CommandError:
    """Return what an exit without a result comes to."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "an unnamed one"
        hint = "; often the system had no memory left" if name == "SIGKILL" else ""
        message = f"its process was ended by signal {-code} ({name}) before it had returned a result{hint}"
        return CommandError(message, kind="signal", signal=-code)
    message = f"its process exited with status {code} before it had returned a result"
    return CommandError(message, kind="exit_code" if code else "early_exit", exit_code=code)
