"""Own functions that merge changes of the shared state: called beside the data, within their time, and recorded."""

from __future__ import annotations

import contextvars
import inspect
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.importing import CannotImport, find
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.shared_values import read_shared, shared_form
from orchestrator_nb.data.stored import load
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.errors import Cancelled, CommandError, Mistake, OrchestratorError, ResultRefused
from orchestrator_nb.events import SharedMerged, Stored
from orchestrator_nb.executors.failures import failure_of
from orchestrator_nb.ports import Attempt, Step
from orchestrator_nb.state.sharing import by_function, is_function, strategy_of

LONGEST = 300.0
"""Seconds that a function has for one value."""

SESSION = "__main__:"
"""How the address of a function begins that exists in a session only."""

STAGE = "merging the shared state"

Functions = Mapping[str, Callable[..., Any]]
"""The functions of a session, by their address."""


class Merging:
    """Calls the functions that merge. `folder` is the definition's, `functions` are those of this session, `limit` is
    the size in bytes beyond which what they return is kept in a file.

    A function gets its own copies of the two values, whole tables among them, and returns what is there from now on:
    anything that has a stored form.
    """

    def __init__(
        self,
        *,
        folder: Path,
        artifacts: Artifacts,
        functions: Functions,
        limit: int | None = None,
        seconds: float = LONGEST,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._artifacts, self._functions = folder, artifacts, functions
        self._limit, self._seconds, self._clock = limit, seconds, clock

    def merge(self, step: Step, attempt: Attempt) -> SharedMerged:
        """Return what functions make of the changes of a step's attempt, or why that comes to nothing.

        Raises Cancelled when the step is ended.
        """
        begun, work = time.perf_counter(), attempt.work
        assert step.record is not None, "a merge follows an attempt that has returned"
        calls = _Calls(self._seconds)
        attempt.on_end(calls.end, timed=False)
        values, failure = {}, None
        try:
            values = self.made(work.shared, step.record.shared or {}, work.merge, calls=calls)
        except (OrchestratorError, OSError) as error:
            failure = failure_of(error, kind="conflict", stage=STAGE, transient=False)
        return SharedMerged(
            at=self._clock(),
            command=work.command,
            attempt=work.attempt,
            values=values,
            seconds=time.perf_counter() - begun,
            failure=failure,
        )

    def made(
        self,
        shared: Mapping[str, Any],
        changes: Mapping[str, Any],
        strategies: Mapping[str, str],
        *,
        calls: _Calls | None = None,
    ) -> dict[str, Any]:
        """Return what the functions make of those changes that they merge and for which there is a value already.

        Raises CommandError naming key, function and what went wrong, StoreError, and Cancelled once calls are ended.
        """
        calls = calls or _Calls(self._seconds)
        return {
            key: self._one(key, strategy_of(key, strategies), shared[key], changes[key], calls)
            for key in by_function(changes, strategies)
            if key in shared
        }

    def _one(self, key: str, name: str, before: Any, given: Any, calls: _Calls) -> Any:
        lead = f'shared["{key}"] is merged by {name}, which'
        try:
            function = function_of(name, folder=self._folder, functions=self._functions)
        except CannotImport as error:
            raise CommandError(f"{lead} cannot be had: {error}") from error
        try:
            value = calls.call(function, *(read_shared(each, self._load) for each in (before, given)))
        except TimeoutError as error:
            raise CommandError(f"{lead} was given up after {self._seconds:g} s") from error
        except Exception as error:
            known = failure_of(error)
            raise CommandError(
                f"{lead} raised {type(error).__name__}: {error}", types=known.types, traceback=known.traceback
            ) from error
        try:
            return shared_form(key, value, artifacts=self._artifacts, strategies={}, limit=self._limit)
        except ResultRefused as error:
            raise CommandError(f"{lead} returned what cannot be kept: {error}") from error

    def _load(self, stored: Stored) -> Any:
        return load(stored, artifacts=self._artifacts, live=None)


class _Calls:
    """Calls functions one after the other, each on a thread of its own that is left alone when its time is over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._woken = threading.Event()
        self._ended = False

    def end(self, _grace: float) -> None:
        """Wait for nothing any more."""
        self._ended = True
        self._woken.set()

    def call(self, function: Callable[..., Any], *values: Any) -> Any:
        """Return what the function returns. Raises what it raises, TimeoutError and Cancelled."""
        came_to: list[tuple[Any, BaseException | None]] = []

        def work() -> None:
            try:
                came_to.append((function(*values), None))
            except BaseException as error:  # noqa: BLE001 - handed over
                came_to.append((None, error))
            self._woken.set()

        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(work,), name="orchestrator_nb merge", daemon=True).start()
        self._woken.wait(self._seconds)
        if self._ended:
            raise Cancelled
        if not came_to:
            raise TimeoutError
        self._woken.clear()
        value, error = came_to[0]
        if error is not None and not isinstance(error, Exception):
            raise CommandError(f"it ended with {type(error).__name__}") from error
        if error is not None:
            raise error
        return value


def function_of(name: str, *, folder: Path, functions: Functions) -> Callable[..., Any]:
    """Return the function of that address. Raises CannotImport."""
    function = functions.get(name)
    if function is None:
        if name.startswith(SESSION):
            raise CannotImport(
                Mistake(f'"{name}" was defined in another session: define it again, or put it in a module')
            )
        function = find(name, folder=folder)
    if not callable(function):
        raise CannotImport(Mistake(f'"{name}" is no function', found=repr(function)))
    return function


def merge_mistakes(strategies: Mapping[str, str], *, folder: Path, functions: Functions) -> Iterator[Mistake]:
    """Yield what is wrong with the functions that merge: they cannot be had, or do not take two values."""
    for key, name in strategies.items():
        if not is_function(name):
            continue
        place = child("/merge", key)
        try:
            function = function_of(name, folder=folder, functions=functions)
            inspect.signature(function).bind(None, None)
        except CannotImport as error:
            yield error.at(place)
        except TypeError:
            text = f'"{name}" does not take two values: the one that is there and the one that is given'
            found = f"{name.partition(':')[2]}{inspect.signature(function)}"
            yield Mistake(text, place, found=found, expected="such as def merge(before, given)")
        except ValueError:
            continue  # one of those written in C, which does not say what it takes
