"""Gates that are functions: their arguments are results by name, and what they return or raise is the verdict."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.importing import CannotImport, find
from orchestrator_nb.data.plain import Unfit, plain
from orchestrator_nb.definition.models import CommandDefinition, GateDefinition
from orchestrator_nb.errors import Mistake, UsageError
from orchestrator_nb.ports import Gate, Subject, Verdict

SESSION = "__main__:"
"""How the address of a function begins that exists in a session only."""


class FunctionGate(Gate):
    """A function as a gate.

    An argument is an option of that name, else a value by its name in expressions (whole tables too), else its default;
    `subject` is the `ports.Subject`. It holds when the function returns true or nothing; false, and an AssertionError
    with its text, mean that it does not; a text is what is wrong, empty when nothing is; a `Verdict` stands for itself.
    """

    def __init__(self, name: str, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.name = name
        self._functions = functions

    def check(
        self,
        gate: GateDefinition,
        command: CommandDefinition | None,  # noqa: ARG002 - the contract
        *,
        folder: Path,
    ) -> list[Mistake]:
        """Return why the function cannot be had, and the options that it does not take."""
        try:
            function = self._function(folder)
        except CannotImport as error:
            return [error.at("/gate")]
        except UsageError as error:
            return [Mistake(str(error), "/gate")]
        taken = inspect.signature(function).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
            return []
        return [
            Mistake(f'"{self.name}" takes no "{name}"', f"/options/{name}", expected=f"one of {', '.join(taken)}")
            for name in gate.options
            if name not in taken
        ]

    def verdict(self, subject: Subject) -> Verdict:
        """Call the function and return what it says."""
        function = self._function(subject.folder)
        try:
            given = function(**_arguments(function, subject))
        except AssertionError as error:
            return Verdict(holds=False, expected=self.name, message=str(error) or "an assertion does not hold")
        if isinstance(given, Verdict):
            return given
        if isinstance(given, str):
            return Verdict(holds=not given, expected=self.name, message=given)
        holds = given is None or bool(given)
        return Verdict(
            holds=holds, value=_plain(given), expected=self.name, message="" if holds else f"it gave {given!r}"
        )

    def _function(self, folder: Path) -> Callable[..., Any]:
        function = self._functions.get(self.name)
        if function is None:
            if self.name.startswith(SESSION):
                raise UsageError(
                    f'"{self.name}" was defined in another session: define it again, or put it in a module'
                )
            function = find(self.name, folder=folder)
        if not callable(function):
            raise UsageError(f'"{self.name}" is no function; found {function!r}')
        return function


def _arguments(function: Callable[..., Any], subject: Subject) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "subject":
            given[name] = subject
        elif name in subject.options:
            given[name] = subject.options[name]
        elif parameter.kind is parameter.VAR_KEYWORD:
            given.update({key: value for key, value in subject.options.items() if key not in given})
        else:
            try:
                given[name] = subject.value(name)
            except UsageError:
                if parameter.default is parameter.empty:
                    raise
    return given


def _plain(value: Any) -> Any:
    try:
        return plain(value, [0])
    except Unfit:
        return repr(value)[:200]
