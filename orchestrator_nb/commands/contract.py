"""The contract of native commands: objects that know of the workflow they run in, and how they go on after a failure.

A native command is an object, or a class that is made without arguments anew for each attempt, with the method

    execute_in_workflow(arguments, context, environment)    its work; returns a result, or a CommandResult

and with those of the following that it has a use for:

    preserve_state()                what its next attempt needs to go on, as JSON, a table or an array; None for nothing
    restore_state(state)            the same, handed back before the work begins
    handle_error(error)             "retry", "fail", or a mapping with a boolean `retry` and whatever else should be
                                    recorded, such as a `message`; None where it knows no better than anyone else
    validate_quality_gates(gates)   False, or a mapping whose `passed` is false, where the work is not good enough

`arguments` holds what the definition gives, by name: its parameters, and `args`, `agent` and `scope` where they are
set. `context` is the module `orchestrator_nb.context`. The state is preserved when an attempt fails and when it is
asked to end. Anything else that can be run (a function, a notebook, a program) gets the same of us: what it had
recorded is kept, the context is there, its result is put into the same record.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from orchestrator_nb import context
from orchestrator_nb.commands.arguments import resolve, resolved
from orchestrator_nb.commands.coroutine import awaited
from orchestrator_nb.data.command_result import NEXT, CommandResult
from orchestrator_nb.data.plain import Unfit, plain
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.errors import CommandError, Mistake
from orchestrator_nb.events import NoticeGiven
from orchestrator_nb.ports import Attempt

METHOD = "execute_in_workflow"
"""The method that makes an object a native command."""

ANSWERS = {"retry": True, "fail": False}
"""What `handle_error` may answer in one word, and whether a repetition may then succeed."""


class ExecutionEnvironment(Struct, frozen=True, kw_only=True):
    """Where a native command runs.

    `folder` is the definition's, `run_folder` the run's, `directory` the one that it works in; `variables` are the
    environment variables of its process, `timeout` is in seconds, None for no limit.
    """

    folder: Path
    run_folder: Path
    directory: Path
    variables: Mapping[str, str]
    timeout: float | None = None


def is_native(found: Any) -> bool:
    """Whether it is a native command, or a class of them."""
    return callable(getattr(found, METHOD, None))


def check_native(found: Any, command: CommandDefinition, *, key: str) -> list[Mistake]:
    """Return what is wrong with a native command, `key` being the field of the definition that names it."""
    mistakes = []
    name = found.__qualname__ if isinstance(found, type) else type(found).__qualname__
    if isinstance(found, type):
        why = _why_not_made(found)
        if why is not None:
            expected = "a class that is made without arguments, or an object of it"
            mistakes.append(Mistake(f'the command "{name}" cannot be made: {why}', f"/{key}", expected=expected))
    for method, given in _CALLS.items():
        called = getattr(found, method, None)
        if called is None:
            continue
        arguments = (found, *given) if isinstance(found, type) and _takes_self(found, method) else given
        if not _takes(called, arguments):
            expected = f"{method}({', '.join(given)})"
            mistakes.append(Mistake(f'"{name}.{method}" cannot be called', f"/{key}", expected=expected))
    clash = {"args", "agent", "scope"} & command.parameters.keys()
    mistakes.extend(
        Mistake(f'the argument "{taken}" is given twice', f"/parameters/{taken}")
        for taken in sorted(clash)
        if getattr(command, taken) is not None
    )
    return mistakes


def run_native(attempt: Attempt, found: Any) -> Any:
    """Run a native command and return its result. Raises whatever it raises, after its state was preserved."""
    command = found() if isinstance(found, type) else found
    arguments = _arguments(attempt)
    _restore(attempt, command)
    try:
        value = awaited(attempt, command.execute_in_workflow(arguments, context, _environment(attempt)))
        _validate(attempt, command)
        return _spread(attempt, value) if isinstance(value, CommandResult) else value
    except BaseException as error:
        _preserve(attempt, command)
        if isinstance(error, Exception):
            _ask(attempt, command, error)
        raise


def _arguments(attempt: Attempt) -> dict[str, Any]:
    definition = attempt.work.definition
    arguments = resolve(attempt)
    for name in ("args", "agent", "scope"):
        value = getattr(definition, name)
        if value is not None:
            arguments[name] = resolved(attempt, value, place=f"/{name}")
    return arguments


def _environment(attempt: Attempt) -> ExecutionEnvironment:
    work = attempt.work
    return ExecutionEnvironment(
        folder=work.folder,
        run_folder=work.run_folder,
        directory=Path.cwd(),
        variables=dict(os.environ),
        timeout=work.timeout,
    )


def _restore(attempt: Attempt, command: Any) -> None:
    state = attempt.work.preserved
    if state is not None and hasattr(command, "restore_state"):
        command.restore_state(attempt.load(state))


def _preserve(attempt: Attempt, command: Any) -> None:
    """Keep the command's state for its next attempt; what goes wrong here must not hide what went wrong before."""
    if not hasattr(command, "preserve_state"):
        return
    try:
        state = command.preserve_state()
        if state is not None:
            attempt.preserve(state)
    except BaseException as error:  # noqa: BLE001 - as above, whatever it is
        _say(attempt, f"its state could not be preserved: {type(error).__name__}: {error}")


def _ask(attempt: Attempt, command: Any, error: Exception) -> None:
    """Ask the command what it makes of its failure."""
    if not hasattr(command, "handle_error"):
        return
    try:
        answer = plain(command.handle_error(error), [0])
        attempt.advice = answer
        hint = answer.get("retry") if isinstance(answer, dict) else ANSWERS.get(str(answer))
        attempt.transient = hint if isinstance(hint, bool) else None
    except Unfit as unfit:
        _say(attempt, f"what its handle_error answered cannot be recorded: {unfit.place('it')} is no plain JSON")
    except BaseException as trouble:  # noqa: BLE001 - it is asked about another failure, which is the one to tell
        _say(attempt, f"its handle_error failed: {type(trouble).__name__}: {trouble}")


def _validate(attempt: Attempt, command: Any) -> None:
    """Raise CommandError where the command finds that its own work is not good enough."""
    if not hasattr(command, "validate_quality_gates"):
        return
    verdict = command.validate_quality_gates(list(context.quality_requirements or ()))
    passed = verdict.get("passed", True) if isinstance(verdict, Mapping) else verdict
    if passed is not None and not passed:
        said = f": {verdict}" if isinstance(verdict, Mapping) else ""
        message = f'"{attempt.work.command}" does not pass its own validate_quality_gates{said}'
        raise CommandError(message, kind="gate", transient=False)


def _spread(attempt: Attempt, result: CommandResult) -> Any:
    """Record what a command put into a record by itself and return its result. Raises CommandError without success."""
    for name, item in result.workflow_data.items():
        context.record(name, item)
    for name, number in result.quality_metrics.items():
        context.metric(name, number)
    if result.next_command_context:
        context.record(NEXT, dict(result.next_command_context))
    if not result.success:
        raise CommandError(f'"{attempt.work.command}" says that it did not succeed', kind="exception")
    for name, item in result.state_changes.items():
        context.shared[name] = item
    return result.primary_outputs


def _say(attempt: Attempt, text: str) -> None:
    work = attempt.work
    attempt.report(NoticeGiven(at=time.time(), text=text, command=work.command, attempt=work.attempt))


_CALLS: dict[str, tuple[str, ...]] = {
    METHOD: ("arguments", "context", "environment"),
    "preserve_state": (),
    "restore_state": ("state",),
    "handle_error": ("error",),
    "validate_quality_gates": ("gates",),
}
"""The methods and how they are called."""


def _why_not_made(kind: type) -> str | None:
    if inspect.isabstract(kind):
        return f"its methods {', '.join(sorted(kind.__abstractmethods__))} are abstract"  # type: ignore[attr-defined]
    try:
        inspect.signature(kind).bind()
    except TypeError as error:
        return str(error)
    except ValueError:  # a class written in C does not say what it takes
        return None
    return None


def _takes_self(kind: type, method: str) -> bool:
    return not isinstance(inspect.getattr_static(kind, method), (staticmethod, classmethod))


def _takes(called: Any, arguments: tuple[Any, ...]) -> bool:
    try:
        inspect.signature(called).bind(*arguments)
    except TypeError:
        return False
    except ValueError:
        return True
    return True
