"""Commands that are programs: an argument list, started without a shell, in a process tree of their own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Collection, Mapping
from pathlib import Path, PurePath
from typing import Any

from orchestrator_nb.commands.arguments import resolved
from orchestrator_nb.commands.code import imported_code, normalised
from orchestrator_nb.commands.output import Excerpt, Pump
from orchestrator_nb.commands.processes import MARK, Tree, explained, is_want, marks, start
from orchestrator_nb.commands.usage import Meter, collected, with_memory
from orchestrator_nb.data.redaction import REDACTOR, Redacted
from orchestrator_nb.data.secret_values import environment_with
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.references import references_in
from orchestrator_nb.errors import CommandError, Mistake, UsageError
from orchestrator_nb.ports import Attempt, Command

LAST_LINES = 10
"""How many of the last lines of output the message of a failure shows."""

LONGEST_LINE = 4096
"""Up to how many characters of a line are held back until its end comes."""

_SCRIPTS = frozenset({".py", ".sh", ".bash", ".zsh", ".R", ".r", ".jl", ".js", ".pl", ".rb", ".sql", ".ps1", ".bat"})


class ShellCommand(Command):
    """The type of command `shell`.

    Every item of the list reaches the program as exactly one argument, whatever is in it: no shell looks at it.
    References may stand in the arguments and in the values of `environment`. A program named ``python`` or
    ``python3`` is the Python of this environment. The result is ``{"exit_code": int, "stdout": str}``; of a long
    output head and tail, without the newlines at its end.
    """

    name = "shell"

    def check(
        self,
        command: CommandDefinition,
        *,
        folder: Path,
        upstream: Mapping[str, str],  # noqa: ARG002  # part of the contract
        parameters: Collection[str] | None = None,  # noqa: ARG002  # part of the contract
    ) -> list[Mistake]:
        """Return what is wrong with the directory, the program and its arguments."""
        argv, mistakes = _argv(command), []
        cwd = _directory(command, folder)
        if not cwd.is_dir():
            mistakes.append(Mistake(f'there is no directory "{cwd}" to run in', "/cwd"))
        for index, text in enumerate(argv):
            if "\0" in text:
                mistakes.append(Mistake("an argument cannot hold a NUL character", f"/shell/{index}", found=repr(text)))
        for name, text in command.environment.items():
            if "\0" in name + text or "=" in name or not name:
                place = f"/environment/{name}"
                mistakes.append(Mistake("this cannot be an environment variable", place, found=repr(text)))
        try:
            known = not references_in(argv[0])
        except UsageError as error:
            return [*mistakes, Mistake(str(error), "/shell/0")]
        if known and not mistakes and _program(argv[0], cwd, command.environment) is None:
            mistakes.append(_no_program(argv[0], cwd, command.environment))
        return mistakes

    def wants(self, command: CommandDefinition, *, folder: Path) -> tuple[str, ...]:  # noqa: ARG002  # the contract
        """Return nothing: what an argument list takes is all in it."""
        return ()

    def runs_apart(self, command: CommandDefinition) -> bool:  # noqa: ARG002 - the contract
        """Return True: a program is a process."""
        return True

    def source(self, command: CommandDefinition, *, folder: Path) -> str:
        """Return the arguments, directory and environment, and the hash of each script among the arguments."""
        cwd, scripts = _directory(command, folder), {}
        for index, text in enumerate(_argv(command)):
            path = cwd / text
            if _is_script(text, path, index):
                scripts[text] = hashlib.sha256(path.read_bytes()).hexdigest()
        plain = {"shell": _argv(command), "cwd": command.cwd, "environment": command.environment, "scripts": scripts}
        return json.dumps(plain, indent=1, sort_keys=True)

    def code(self, command: CommandDefinition, *, folder: Path) -> str:
        """Return the scripts among the arguments, of Python without comments and layout and with the modules beside
        them that they import; the arguments are options of the command."""
        cwd, parts = _directory(command, folder), []
        for index, text in enumerate(_argv(command)):
            path = cwd / text
            if not _is_script(text, path, index):
                continue
            content = path.read_bytes()
            if path.suffix != ".py":
                parts.append(hashlib.sha256(content).hexdigest())
                continue
            script = content.decode("utf-8", "replace")
            imported = imported_code([script], folders=(path.parent,))
            parts += [normalised(script), *(imported[name] for name in sorted(imported))]
        return "\n".join(parts)

    def run(self, attempt: Attempt) -> dict[str, Any]:
        """Run the program and return its exit code and output. Raises CommandError and UsageError."""
        work = attempt.work
        command = work.definition
        argv = [_argument(attempt, text, f"/shell/{index}") for index, text in enumerate(_argv(command))]
        own = {name: environment_text(attempt, name, text) for name, text in command.environment.items()}
        cwd = _directory(command, work.folder)
        program = _program(argv[0], cwd, own)
        if program is None:
            raise CommandError(str(_no_program(argv[0], cwd, own)), kind="not_started")
        mark = marks(work.run_folder, work.command, work.attempt)
        try:
            process = start([program, *argv[1:]], env={**environment_with(), **own, **mark}, cwd=cwd)
        except (OSError, ValueError) as error:
            message = f'"{argv[0]}" could not be started in "{cwd}": {explained(error)}'
            raise CommandError(message, kind="not_started", transient=is_want(error) or None) from error
        tree = Tree(process.pid, mark=mark[MARK])
        attempt.on_end(tree.end)
        stdout, stderr = _Printed(attempt), _Printed(attempt)
        pumps = Pump(process.stdout, stdout.write), Pump(process.stderr, stderr.write)
        meter = Meter(process.pid).start() if attempt.measures else None
        code, taken = collected(process)
        if meter is not None:
            attempt.used = with_memory(taken, meter.used())
        for pump, stream in zip(pumps, (stdout, stderr), strict=True):
            pump.let_go()
            stream.finish()
        if code != 0 and code not in command.allow_failure_codes:
            tree.kill()  # what it started must not meet the next attempt
            last = stderr.excerpt.last_lines(LAST_LINES) or stdout.excerpt.last_lines(LAST_LINES)
            raise _failure(argv[0], code, last)
        return {"exit_code": code, "stdout": stdout.excerpt.text.rstrip("\r\n")}


def _is_script(text: str, path: Path, index: int) -> bool:
    """Whether an argument is a file whose content is a part of what runs."""
    return "\0" not in text and (path.suffix in _SCRIPTS or (index == 0 and _is_path(text))) and path.is_file()


def environment_text(attempt: Attempt, name: str, text: str) -> str:
    """Return the value of an environment variable of the command, with what it refers to. Raises UsageError."""
    return _argument(attempt, text, f"/environment/{name}")


class _Printed:
    """One stream of a program: all of it goes to the log, whole lines at a time, its head and tail are kept."""

    def __init__(self, attempt: Attempt) -> None:
        self.excerpt = Excerpt()
        self._attempt = attempt
        self._begun = ""
        self._redacted = Redacted(REDACTOR)

    def write(self, text: str) -> None:
        self._take(self._redacted.feed(text))

    def _take(self, text: str) -> None:
        self.excerpt.write(text)
        # The two streams share a log: the end of a line of one must not come after a line of the other.
        text = self._begun + text
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        if not end and len(text) > LONGEST_LINE:
            end = len(text)
        self._begun = text[end:]
        if end:
            self._attempt.write_log(text[:end])

    def finish(self) -> None:
        """Log the last line, which may have no end."""
        self._take(self._redacted.rest())
        if self._begun:
            self._attempt.write_log(self._begun)
            self._begun = ""


def _argv(command: CommandDefinition) -> tuple[str, ...]:
    return command.shell or ()


def _directory(command: CommandDefinition, folder: Path) -> Path:
    return (folder / (command.cwd or "")).absolute()


def _argument(attempt: Attempt, text: str, place: str) -> str:
    """Return a text of the definition with what it refers to, as one argument. Raises UsageError."""
    value = resolved(attempt, text, place=place)
    lead = f'"{attempt.work.command}" {place}: "{text}"'
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, (int, float, PurePath)):
        value = str(value)
    elif isinstance(value, (list, dict)):
        try:
            value = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{lead} holds what an argument cannot: {error}") from None
    elif not isinstance(value, str):
        kind = "nothing (null)" if value is None else f'a "{type(value).__qualname__}"'
        raise UsageError(f"{lead} is {kind}; expected text, a number, a path, a list or a mapping")
    if "\0" in value:
        raise UsageError(f"{lead} holds a NUL character, which an argument cannot")
    return value


def _program(name: str, cwd: Path, environment: Mapping[str, str]) -> str | None:
    """Return the path of the program that this name stands for, None where there is none that can be run."""
    if name in ("python", "python3") and sys.executable:
        return sys.executable
    if _is_path(name):
        return shutil.which(str(cwd / name))
    return shutil.which(name, path=environment.get("PATH"))


def _is_path(name: str) -> bool:
    return os.sep in name or (os.altsep is not None and os.altsep in name)


def _no_program(name: str, cwd: Path, environment: Mapping[str, str]) -> Mistake:
    path = cwd / name
    if path.is_file() and not _is_path(name):
        text = f'there is no program "{name}" on the PATH, but a file of that name in "{cwd}"'
        return Mistake(text, "/shell/0", nearest=f"./{name}")
    if path.is_file():
        text = f'the program "{name}" cannot be executed; found "{path}", which lacks the permission (chmod +x)'
        return Mistake(text, "/shell/0")
    if " " in name.strip():
        text = f'there is no program "{name}"; a program and each of its arguments are items of their own'
        return Mistake(text, "/shell/0", expected=json.dumps(name.split()))
    where = f'in "{cwd}"' if _is_path(name) else "on the PATH"
    return Mistake(f'there is no program "{name}" {where}', "/shell/0", nearest=nearest(name, _programs(environment)))


def _programs(environment: Mapping[str, str]) -> list[str]:
    """Return the names of everything on the PATH."""
    names: set[str] = set()
    for place in environment.get("PATH", os.environ.get("PATH", os.defpath)).split(os.pathsep):
        try:
            names.update(entry.name for entry in os.scandir(place or "."))
        except OSError:
            continue
    return sorted(names)


def _failure(program: str, code: int, last: str) -> CommandError:
    lines = last.splitlines()
    shown = f": {lines[-1]}" if lines else "; it printed nothing"
    if len(lines) > 1:  # one line says it already, where no more than a line is shown
        shown += f"\nits last lines were:\n{last}"
    if code >= 0:
        return CommandError(f'"{program}" exited with status {code}{shown}', kind="exit_code", exit_code=code)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "an unnamed one"
    message = f'"{program}" was ended by signal {-code} ({name}){shown}'
    return CommandError(message, kind="signal", signal=-code)
