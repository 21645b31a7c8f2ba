"""Where the calls of `context` go inside a kernel: stored on the spot, written down, and shown in the notebook."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.commands.notebooks.kernel_messages import ARTIFACT, METRIC, MIME, OUTPUT, PROGRESS, SHARED, WRITTEN
from orchestrator_nb.context import Lazy, Sink
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.command_result import previous_results
from orchestrator_nb.data.secret_values import keep_out_environment
from orchestrator_nb.data.shared_values import shared_form, shared_view
from orchestrator_nb.data.stored import load, store
from orchestrator_nb.errors import UsageError
from orchestrator_nb.events import Stored
from orchestrator_nb.events.json_form import stored_from_plain, stored_to_plain
from orchestrator_nb.state.sharing import referred

NAMED = "orchestrator_nb.commands.notebooks.kernel_sink:sink"
"""What the variable of `context` names for this sink to be used."""

VARIABLE = "ORCHESTRATOR_NB_DATA"
"""The environment variable that names the JSON file with what there is to read.

An object: the fields of the context, `parameters`, `shared`, `metrics` and `changes` as values, `merge`,
`shared_limit` and `shares` of the shared state, `upstream`, `recorded`
and `partial` in stored form, `artifacts`, the folder of the run's artifacts, and `told`, the file to which what is told is appended."""

_FIELDS = ("workflow_id", "run_id", "command", "attempt", "execution_phase", "args", "agent", "scope")


def sink() -> Sink:
    """Return the sink of this kernel. Raises UsageError where the data of its attempt cannot be read."""
    named = os.environ.get(VARIABLE, "")
    try:
        data = json.loads(Path(named).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        found = f'"{named}": {error}'
        raise UsageError(f"the environment variable {VARIABLE} names no data of an attempt; found {found}") from error
    keep_out_environment()
    return KernelSink(data)


class KernelSink:
    """The sink of a kernel's process, and of those that it forks.

    Files go straight into the artifacts of the run. What is told is a line in a file, which neither a kernel that
    dies nor a cell that clears its outputs takes back; the message that people see also says that there is a new line.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self._artifacts = Artifacts(Path(data["artifacts"]))
        self._told = Path(data["told"])
        self._shared: dict[str, Any] = dict(data["shared"])
        self._progress: Any = None

    @property
    def ending(self) -> str | None:
        """None: a kernel that is to end is interrupted."""
        return None

    def record(self, name: str, value: Any) -> None:
        """Store a value and tell its name. Raises ResultRefused."""
        stored = store(value, artifacts=self._artifacts, live=None, at=name)
        self._tell({"kind": OUTPUT, "name": name, "stored": stored_to_plain(stored)}, f"{name}: {_described(stored)}")

    def metric(self, name: str, value: float) -> None:
        """Tell a number."""
        self._tell({"kind": METRIC, "name": name, "value": value}, f"{name} = {value:g}")

    def progress(self, fraction: float, text: str) -> None:
        """Tell how far it is: one line of output for all that a cell says about it."""
        if _shell() is None:  # a process that the kernel has forked: nobody would see it
            return
        told = {"kind": PROGRESS, "name": "", "value": fraction, "text": text}
        line = f"{math.floor(fraction * 100)} % {text}".rstrip()
        if self._progress is None:
            self._progress = _ProgressLine()
        self._progress.show(told, line)

    def artifact(self, path: Path, name: str) -> None:
        """Keep the content of a file."""
        sha256, size = self._artifacts.put_file(path, at=f'the artifact "{name}"')
        stored = Stored(form="file", artifact=sha256, size=size, name=name)
        self._tell({"kind": ARTIFACT, "name": name, "stored": stored_to_plain(stored)}, f"{name}: {size:,} bytes")

    def share(self, name: str, value: Any) -> None:
        """Tell a change of the shared state; what is large or no JSON goes into a file. Raises ResultRefused."""
        data = self._data
        form = shared_form(
            name,
            value,
            artifacts=self._artifacts,
            strategies=data["merge"],
            limit=data["shared_limit"],
            declared=data["shares"],
        )
        self._shared[name] = form
        stored = referred(form)
        if stored is None:
            self._tell({"kind": SHARED, "name": name, "value": form}, f"shared {name}: {_text(form)}")
        else:
            told = {"kind": SHARED, "name": name, "stored": stored_to_plain(stored)}
            self._tell(told, f"shared {name}: {_described(stored)}")

    def read(self, name: str) -> Any:
        """Return what the context knows under that name."""
        if name == "upstream":
            return self._lazy("upstream")
        if name == "previous_results":
            return self._previous_results()
        if name == "partial":
            return self._lazy("partial")
        if name == "shared":
            return shared_view(self._shared, self._load)
        if name == "parameters" or name in _FIELDS:
            return self._data[name]
        return None

    def _tell(self, told: Mapping[str, Any], text: str) -> None:
        line = json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n"
        # one write to the end of the file: whole lines also where several processes tell at the same time
        descriptor = os.open(self._told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
        if _shell() is not None:
            _display().display({MIME: {**told, WRITTEN: True}, "text/plain": text}, raw=True)

    def _lazy(self, name: str) -> Lazy:
        found = {key: stored_from_plain(plain) for key, plain in self._data[name].items()}
        return Lazy(found, self._load)

    def _previous_results(self) -> list[dict[str, Any]]:
        data = self._data
        recorded = {
            command: {name: stored_from_plain(plain) for name, plain in items.items()}
            for command, items in data["recorded"].items()
        }
        inputs = {command: stored_from_plain(plain) for command, plain in data["upstream"].items()}
        return previous_results(
            inputs=inputs, recorded=recorded, changes=data["changes"], metrics=data["metrics"], load=self._load
        )

    def _load(self, stored: Stored) -> Any:
        return load(stored, artifacts=self._artifacts, live=None)


class _ProgressLine:
    """An output that is shown again with each change; a new cell gets its own."""

    def __init__(self) -> None:
        self._cell: Any = None
        self._handle: Any = None

    def show(self, told: Mapping[str, Any], line: str) -> None:
        cell = getattr(_shell(), "execution_count", None)
        data = {MIME: dict(told), "text/plain": line}
        if self._handle is None or cell != self._cell:
            self._cell, self._handle = cell, _display().DisplayHandle()
            self._handle.display(data, raw=True)
        else:
            self._handle.update(data, raw=True)


def _display() -> Any:
    from IPython import display

    return display


def _shell() -> Any:
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _described(stored: Stored) -> str:
    if stored.form == "json" and stored.artifact is None:
        return _text(stored.value)
    if stored.items is not None:
        return ", ".join(stored.items)
    kind = {"parquet": "a table", "npy": "an array", "file": f"the file {stored.name}"}.get(stored.form, stored.form)
    return f"{kind}, {stored.size or 0:,} bytes"


def _text(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"
