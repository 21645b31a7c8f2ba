"""What a command calls from inside, the same in a notebook and in a callable, harmless where no run is.

    from orchestrator_nb import context

    context.record("rows", 1834)            an output by name; a table goes to Parquet, a path is kept as a file
    context.metric("rmse", 3.2)             a number about the command
    context.progress(0.4, "epoch 4 of 10")  how far it is
    context.artifact("plot.png")            a file to keep with the run
    context.upstream["clean"]               the result of an upstream command
    context.shared["model"] = "forest"      the state that the commands of a run share; tables and whatever is large
                                            are kept in files, and read only when they are asked for
    context.partial                         what an earlier attempt had recorded before it failed
    context.previous_results                the upstream commands' records: result, changes, data, numbers, as dicts

Without a run, the values are shown and nothing else happens. The calls go to the sink of the current context; threads
that a command starts itself have to be given its context (`contextvars.copy_context().run`) to reach it.
"""

from __future__ import annotations

import importlib
import math
import numbers
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar, Token
from pathlib import Path
from typing import Any, Protocol

from orchestrator_nb.errors import Cancelled, UsageError

VARIABLE = "ORCHESTRATOR_NB_SINK"
FIELDS = (
    "workflow_id",
    "run_id",
    "command",
    "attempt",
    "execution_phase",
    "previous_results",
    "shared_state",
    "quality_requirements",
    "args",
    "agent",
    "scope",
)
"""What can be read of a run besides the mappings: the fields of the seed's WorkflowContext, and what is asked of the
command. All are None without a run."""

workflow_id: str | None
run_id: str | None
command: str | None
attempt: int | None
execution_phase: str | None
previous_results: Any
shared_state: MutableMapping[str, Any]
quality_requirements: Any
args: Any
agent: str | None
scope: str | None


class Sink(Protocol):
    """Where the calls of one attempt go. Its methods are called from any thread, with names and numbers checked."""

    @property
    def ending(self) -> str | None:
        """The reason why the attempt was asked to end, None while it was not."""

    def record(self, name: str, value: Any) -> None:
        """Take a named output; a name recorded again replaces it. Raises ResultRefused."""

    def metric(self, name: str, value: float) -> None:
        """Take a number."""

    def progress(self, fraction: float, text: str) -> None:
        """Take how far the command is, from 0 to 1."""

    def artifact(self, path: Path, name: str) -> None:
        """Keep the content of an existing file under `name`."""

    def share(self, name: str, value: Any) -> None:
        """Take a change of the shared state. Raises ResultRefused."""

    def read(self, name: str) -> Any:
        """Return one of `FIELDS` except shared_state, or one of the mappings upstream, partial, shared, parameters."""


class Lazy(Mapping[str, Any]):
    """A mapping whose values are loaded when they are asked for, each time anew, so that a reader has its own copy."""

    def __init__(self, sources: Mapping[str, Any], load: Callable[[Any], Any]) -> None:
        self._sources = sources
        self._load = load

    def __getitem__(self, name: str) -> Any:
        return self._load(self._sources[name])

    def __contains__(self, name: object) -> bool:  # without loading, as Mapping's own would
        return name in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


_sink: ContextVar[Sink | None] = ContextVar("orchestrator_nb_sink", default=None)
_process_sink: list[Sink] = []  # the one that the environment names, once it is there
_process_lock = threading.Lock()


def install(sink: Sink) -> Token[Sink | None]:
    """Send the calls of this context, and of contexts copied from it, to `sink`; the token undoes that."""
    return _sink.set(sink)


def current() -> Sink:
    """Return the sink that calls go to here. Raises UsageError where the process was given one that cannot be had."""
    sink = _sink.get()
    if sink is not None:
        return sink
    if _process_sink:
        return _process_sink[0]
    named = os.environ.get(VARIABLE)
    return _sink_of_process(named) if named else _BY_HAND


def record(name: str, value: Any) -> None:
    """Record an output by name, for the commands that come after and for people.

    It stays as a partial result when the command fails later. Raises UsageError for a bad name and ResultRefused for
    a value without a stored form.
    """
    _live_sink().record(_name("record", name), value)


def metric(name: str, value: float) -> None:
    """Record a finite real number about the command. Raises UsageError for anything else."""
    _live_sink().metric(_name("metric", name), _number("metric", name, value))


def progress(fraction: float, text: str = "") -> None:
    """Say how far the command is, from 0 to 1; what lies outside is taken as the nearer of the two."""
    number = _number("progress", text, fraction)
    _live_sink().progress(min(1.0, max(0.0, number)), str(text))


def artifact(path: str | os.PathLike[str], name: str | None = None) -> None:
    """Keep a copy of a file with the run, under the file's name unless another is given.

    Raises UsageError where there is no such file.
    """
    sink = _live_sink()
    file = Path(path)
    if not file.is_file():
        what = "a folder" if file.is_dir() else "nothing"
        raise UsageError(f'context.artifact("{path}"): found {what} at "{file.absolute()}", expected a file')
    name = file.name if name is None else name
    if not name or len(name) > 255 or name in (".", "..") or any(mark in name for mark in "/\\\0"):
        raise UsageError(f"context.artifact: {name!r} cannot be the name of a file")
    sink.artifact(file, name)


class _View(Mapping[str, Any]):
    """One of the mappings of whichever attempt it is read in."""

    def __init__(self, name: str, what: str) -> None:
        self._name = name
        self._what = what

    def _mapping(self) -> Mapping[str, Any]:
        mapping: Mapping[str, Any] = _live_sink().read(self._name)
        return mapping

    def __getitem__(self, name: str) -> Any:
        mapping = self._mapping()
        if name not in mapping:
            there = ", ".join(sorted(map(str, mapping))) or "none"
            if self._name == "upstream" and current() is _BY_HAND:
                there = f'no run here; by hand, take that of the latest run: attach().result.outputs["{name}"]'
            raise KeyError(f'no {self._what} "{name}"; there is {there}')
        return mapping[name]

    def __contains__(self, name: object) -> bool:
        return name in self._mapping()

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping())

    def __len__(self) -> int:
        return len(self._mapping())

    def __repr__(self) -> str:
        return f"<context.{self._name}: {', '.join(sorted(map(str, self._mapping()))) or 'empty'}>"


class _Shared(_View, MutableMapping[str, Any]):
    """The shared state; the sink gives a copy of what is read, so that only an assignment changes it for others."""

    def __setitem__(self, name: str, value: Any) -> None:
        _live_sink().share(_name("shared", name), value)

    def __delitem__(self, name: str) -> None:
        raise UsageError(f'context.shared: "{name}" cannot be deleted; set it to None')


upstream: Mapping[str, Any] = _View("upstream", "upstream result")
partial: Mapping[str, Any] = _View("partial", "partial result")
parameters: Mapping[str, Any] = _View("parameters", "parameter of the workflow")
shared: MutableMapping[str, Any] = _Shared("shared", "shared value")


def __getattr__(name: str) -> Any:
    if name == "shared_state":
        return shared
    if name in FIELDS:
        return _live_sink().read(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *FIELDS})


class _ByHand:
    """Where calls go without a run: recorded values are shown, the shared state is one of this process."""

    ending = None

    def __init__(self) -> None:
        self._shared: dict[str, Any] = {}

    def record(self, name: str, value: Any) -> None:
        if "IPython" in sys.modules and hasattr(value, "_repr_html_"):
            display = importlib.import_module("IPython.display").display
            _show(f"{name}:")
            display(value)
        else:
            _show(f"{name}: {value!r}")

    def metric(self, name: str, value: float) -> None:
        _show(f"{name} = {value:g}")

    def progress(self, fraction: float, text: str) -> None:
        _show(f"{fraction:4.0%} {text}".rstrip())

    def artifact(self, path: Path, name: str) -> None:
        _show(f"{name}: {path.stat().st_size:,} bytes in {path}")

    def share(self, name: str, value: Any) -> None:
        from copy import deepcopy

        self._shared[name] = deepcopy(value)

    def read(self, name: str) -> Any:
        if name == "shared":
            from copy import deepcopy

            return Lazy(self._shared, deepcopy)
        return {} if name in ("upstream", "partial", "parameters") else None


def _show(text: str) -> None:
    print(text)  # noqa: T201 - without a run, to be seen is all that a value is for


_BY_HAND: Sink = _ByHand()


def _live_sink() -> Sink:
    sink = current()
    if sink.ending is not None:
        raise Cancelled(sink.ending)
    return sink


def _sink_of_process(named: str) -> Sink:
    with _process_lock:
        if not _process_sink:
            module, _, function = named.partition(":")
            try:
                sink: Sink | None = getattr(importlib.import_module(module), function)()
            except Exception as error:
                raise UsageError(f'{VARIABLE}="{named}" in the environment gave no sink: {error!r}') from error
            if sink is None:
                raise UsageError(f'{VARIABLE}="{named}" in the environment gave no sink: it returned None')
            _process_sink.append(sink)
        return _process_sink[0]


def _name(call: str, name: Any) -> str:
    if isinstance(name, str) and name.isidentifier() and len(name) <= 100:
        return name
    raise UsageError(
        f"context.{call}: {name!r} cannot be a name; expected letters, digits and underscores, "
        "no digit first, at most 100 characters"
    )


def _number(call: str, name: str, value: Any) -> float:
    # Booleans are numbers to Python; True as a metric is a mistake more often than not.
    if not isinstance(value, bool) and isinstance(value, numbers.Real):
        number = float(value)
        if math.isfinite(number):
            return number
    found = f"{value!r} of type {type(value).__qualname__}"
    raise UsageError(f'context.{call}("{name}"): found {found}, expected a finite number')
