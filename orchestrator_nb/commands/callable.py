"""Python functions as commands: named as ``module:function``, defined in a session, or registered under a name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.arguments import collect, resolved
from orchestrator_nb.commands.call_check import check_call, given_besides
from orchestrator_nb.commands.contract import METHOD, check_native, is_native, run_native
from orchestrator_nb.commands.coroutine import awaited
from orchestrator_nb.commands.function_code import code_of
from orchestrator_nb.commands.importing import CannotImport, find
from orchestrator_nb.commands.registry import REGISTRY, Registry
from orchestrator_nb.commands.result_type import unstorable
from orchestrator_nb.commands.signature import DoesNotFit, Signature
from orchestrator_nb.commands.source import source_of
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.errors import CommandError, Mistake, UsageError
from orchestrator_nb.ports import Attempt, Command

Function = Callable[..., Any]


def needs_process(definition: CommandDefinition) -> bool:
    """Whether a callable runs in a process of its own: it says so, or it has what a thread cannot have."""
    if definition.isolation is not None:
        return definition.isolation == "process"
    if definition.timeout is not None and definition.timeout != "none":
        return True
    return definition.cwd is not None or bool(definition.environment)


class FunctionCommand(Command, ABC):
    """What all commands that call a function have in common; how the function is found is theirs.

    In the place of a function there may be a native command, see `contract`.

    A coroutine function runs on an event loop of its own and is cancelled when its attempt is asked to end; any other
    function learns of that at its next call of `context`.
    """

    name: str

    def __init__(self) -> None:
        # Many commands may call one function: what is known of it is found out once. The function is kept beside it,
        # so that its id stays its own.
        self._signatures: dict[int, tuple[Function, Signature | None]] = {}
        self._sources: dict[int, tuple[Function, str]] = {}
        self._codes: dict[int, tuple[Function, str]] = {}

    @abstractmethod
    def find(self, command: CommandDefinition, *, folder: Path, fresh: bool = False) -> Function:
        """Return the function of a command; `fresh` looks whether it was changed. Raises CannotImport."""

    def check(
        self,
        command: CommandDefinition,
        *,
        folder: Path,
        upstream: Mapping[str, str],
        parameters: Collection[str] | None = None,
    ) -> list[Mistake]:
        """Return what is wrong with the function or with its arguments; references are not looked into."""
        try:
            function = self.find(command, folder=folder, fresh=True)
        except CannotImport as error:
            return [error.at(f"/{self.name}")]
        signature = self._signature(function)
        if signature is None:
            return check_native(function, command, key=self.name)
        return check_call(
            function, signature, command, key=self.name, upstream=upstream, workflow_parameters=parameters
        )

    def wants(self, command: CommandDefinition, *, folder: Path) -> tuple[str, ...]:
        """Return the arguments that nothing in the definition gives, those with a default too."""
        try:
            function = self.find(command, folder=folder)
        except CannotImport:
            return ()
        signature = self._signature(function)
        if signature is None or not signature.names:
            return ()
        given = {*command.parameters, *given_besides(command, signature)}
        return tuple(name for name in signature.names if name not in given)

    def parameter_type(self, command: CommandDefinition, name: str, *, folder: Path) -> Any:
        """Return the annotation of an argument of the function."""
        try:
            function = self.find(command, folder=folder)
        except CannotImport:
            return None
        signature = self._signature(function)
        return None if signature is None else signature.annotation(name)

    def result_type(self, command: CommandDefinition, *, folder: Path) -> str | None:
        """Return the name of the class that the function says it returns, if that has no stored form."""
        try:
            function = self.find(command, folder=folder)
        except CannotImport:
            return None
        signature = self._signature(function) or Signature(getattr(function, METHOD))
        return unstorable(signature.returns)

    def runs_apart(self, command: CommandDefinition) -> bool:
        """Whether it gets a process of its own."""
        return needs_process(command)

    def source(self, command: CommandDefinition, *, folder: Path) -> str:
        """Return the source of the function. Raises UsageError where it is not there."""
        try:
            function = self.find(command, folder=folder, fresh=True)
        except CannotImport as error:
            raise UsageError(str(error)) from error
        known = self._sources.get(id(function))
        if known is None:
            known = self._sources[id(function)] = function, source_of(function)
        return known[1]

    def code(self, command: CommandDefinition, *, folder: Path) -> str:
        """Return the code of the function and of what it uses of the user's own. Raises UsageError as `source` does."""
        try:
            function = self.find(command, folder=folder)
        except CannotImport as error:
            raise UsageError(str(error)) from error
        known = self._codes.get(id(function))
        if known is None:
            known = self._codes[id(function)] = function, code_of(function)
        return known[1]

    def run(self, attempt: Attempt) -> Any:
        """Call the function and return what it returns. Raises whatever it raises, and UsageError for arguments."""
        work = attempt.work
        try:
            function = self.find(work.definition, folder=work.folder)
        except CannotImport as error:
            raise CommandError(str(error), kind="not_started", stage="importing") from error
        signature = self._signature(function)
        if signature is None:
            return run_native(attempt, function)
        if signature.names or signature.open or work.definition.parameters:
            value = signature.call(function, _arguments(attempt, signature))
        else:
            value = function()
        return awaited(attempt, value) if hasattr(value, "__await__") else value

    def _signature(self, function: Function) -> Signature | None:
        """Return what a function takes, None for a native command."""
        known = self._signatures.get(id(function))
        if known is None:
            known = function, None if is_native(function) else Signature(function)
            self._signatures[id(function)] = known
        return known[1]


class CallableCommand(FunctionCommand):
    """Commands of the key `call`; `functions` are those defined in a session, by the id of their command.

    Whether a module was changed is looked at once in the life of this object: every plan makes its own.
    """

    name = "call"

    def __init__(self, functions: Mapping[str, Function] | None = None) -> None:
        super().__init__()
        self.functions: Mapping[str, Function] = functions if functions is not None else {}
        # Of each folder the functions that were found in it, and those whose module was looked at besides.
        self._found: dict[Path, tuple[dict[str, Function], dict[str, Function]]] = {}
        self._latest: tuple[Path | None, tuple[dict[str, Function], dict[str, Function]]] = None, ({}, {})

    def find(self, command: CommandDefinition, *, folder: Path, fresh: bool = False) -> Function:
        """Return the function of this session, or the one that the definition names. Raises CannotImport."""
        functions = self.functions
        if functions and (function := functions.get(command.base)) is not None:
            return function
        latest, known = self._latest
        if folder is not latest:  # hashing a path costs more than all the rest
            known = self._found.setdefault(folder, ({}, {}))
            self._latest = folder, known
        found, looked_at = known
        name = command.call or ""
        function = (looked_at if fresh else found).get(name)
        if function is None:
            function = found[name] = find(name, folder=folder, fresh=fresh)
            if fresh:
                looked_at[name] = function
        return function


class RegisteredCommand(FunctionCommand):
    """Commands of the key `command`: a registered name, whose function gets `args` as its first argument."""

    name = "command"

    def __init__(self, registry: Registry = REGISTRY) -> None:
        super().__init__()
        self._registry = registry

    def find(self, command: CommandDefinition, *, folder: Path, fresh: bool = False) -> Function:  # noqa: ARG002
        """Return the function that is registered under the name, in this process. Raises CannotImport."""
        try:
            return self._registry.find(command.command or "")
        except UsageError as error:
            raise CannotImport(Mistake(str(error))) from error


def _arguments(attempt: Attempt, signature: Signature) -> dict[str, Any]:
    """Return the arguments by name. Raises UsageError for one that does not fit or that nothing gives."""
    command = attempt.work.definition
    besides = {
        name: resolved(attempt, value, place=f"/{key}")
        for name, (key, value) in given_besides(command, signature).items()
    }

    def fit(name: str, value: Any) -> Any:
        try:
            return signature.fit(name, value)
        except DoesNotFit as error:
            raise UsageError(f'"{command.id}": the argument "{name}" does not fit: {error}') from None

    arguments = collect(attempt, [name for name in signature.names if name not in besides], fit=fit)
    arguments.update({name: fit(name, value) for name, value in besides.items()})
    for name in signature.required:
        if name not in arguments:
            raise UsageError(
                f'"{command.id}": nothing gives the argument "{name}"; expected it in `parameters`, or an upstream '
                "command or a parameter of the workflow of that name"
            )
    return arguments
