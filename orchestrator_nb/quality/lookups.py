"""What the names in a gate's expression stand for: results, what was recorded, baselines, parameters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.definition.expressions import Lookup, follow, listed
from orchestrator_nb.definition.names import addresses
from orchestrator_nb.errors import UsageError
from orchestrator_nb.events import Stored
from orchestrator_nb.ports import Work
from orchestrator_nb.quality.past import NoBaseline, Past
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.sharing import referred

ARTIFACTS = "artifacts"
BASELINE = "baseline"


class Lookups:
    """Looks up the names of one expression; `seen` has what was found, by the text of the name.

    For a command, a name is a key of its result, an output that it recorded, or one of its metrics; then `result`,
    `seconds` (of the attempt), `parameters`, `shared`, `context`, `baseline` (the same command in the last run that
    completed), and the commands before it. For a run, a name is a command, and `baseline` leads to commands, too.
    Of a table there are `rows` and `columns`, of an array its `shape` and of a file its `size`.
    """

    def __init__(self, work: Work, record: CommandRecord, *, past: Past) -> None:
        self.seen: dict[str, Any] = {}
        self._work = work
        self._record = record
        self._past = past
        self._own = values_of(record, work.run_folder) if work.command else {}

    def __call__(self, name: Lookup) -> Any:
        """Return the value. Raises UsageError naming what is there instead, and NoBaseline."""
        value = self._found(name)
        self.seen[name.text] = value
        return value

    def stored(self, name: str) -> Stored | None:
        """Return the stored form of what the command itself gave under a name, None where there is no such."""
        record = self._record
        items = record.result.items if record.result is not None else None
        for there in (items or {}, record.recorded, record.artifacts):
            if name in there:
                return there[name]
        return record.output() if name == "result" else None

    def _found(self, name: Lookup) -> Any:
        work, root, keys = self._work, name.root, name.keys
        if root == BASELINE:
            return self._baseline(name)
        if root in self._own:
            return _read(self._own[root], name, keys, f"{root} of this command")
        known: dict[str, Callable[[], Any]] = {
            "parameters": lambda: dict(work.parameters),
            "shared": lambda: {key: self._shared(value) for key, value in work.shared.items()},
            "context": lambda: {
                "workflow": work.workflow, "run": work.run, "command": work.command, "attempt": work.attempt,
            },
            "seconds": lambda: self._record.seconds,
        }  # fmt: skip
        if root in known:
            return follow(known[root](), name, keys, f'"{root}"')
        target = addresses(work.inputs).get(root)
        if target is None:
            there = [*self._own, *work.inputs]
            raise UsageError(f'"{name.text}": there is no "{root}"; there is {listed(there)}')
        record = CommandRecord(
            result=work.inputs[target],
            recorded=work.recorded.get(target, {}),
            metrics=work.metrics.get(target, {}),
        )
        return _in_record(record, work.run_folder, name, keys, f'the result of "{target}"')

    def _shared(self, value: Any) -> Any:
        stored = referred(value)
        return value if stored is None else as_plain(stored, self._work.run_folder)

    def _baseline(self, name: Lookup) -> Any:
        command, keys = self._work.command, name.keys
        if not command:
            if not keys:
                raise UsageError(f'"{name.text}" names no command; expected such as baseline.model.rmse')
            command, keys = addresses(self._work.inputs).get(str(keys[0]), str(keys[0])), keys[1:]
        for earlier in self._past(command):
            return _in_record(earlier.record, earlier.folder, name, keys, f'the result of "{command}" in {earlier.run}')
        raise NoBaseline(command)


def values_of(record: CommandRecord, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return what a command gave, by name: functions that give plain values, since some are in files."""
    found: dict[str, Callable[[], Any]] = {}
    output = record.output()
    if output is not None:
        found["result"] = lambda: as_plain(output, folder)
        if output.form == "json" and output.artifact is None:
            if isinstance(output.value, dict):
                found.update({key: _constant(value) for key, value in output.value.items()})
        elif output.form != "mapping":
            whole = as_plain(output, folder)
            found.update({key: _constant(value) for key, value in (whole if isinstance(whole, dict) else {}).items()})
    items = record.result.items if record.result is not None else None
    for name, value in record.metrics.items():
        found[name] = _constant(value)
    for named in (record.artifacts, record.recorded, items or {}):
        for name, stored in named.items():
            found[name] = _reader(stored, folder)
    return found


def as_plain(stored: Stored, folder: Path) -> Any:
    """Return a stored value as plain JSON; of a table, an array and a file what is known of it.

    Raises UsageError for a value that lives in a process only, StoreError where its file is gone.
    """
    if stored.form == "mapping":
        return {name: as_plain(item, folder) for name, item in (stored.items or {}).items()}
    if stored.form == "json" and stored.artifact is None:
        return stored.value
    if stored.artifact is None:
        raise UsageError(f"a {stored.type or stored.form} has no stored form, so that it cannot be looked at")
    path = Artifacts(folder / ARTIFACTS).path(stored.artifact)
    if stored.form == "json":
        return json.loads(path.read_bytes())
    if stored.form == "parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.ParquetFile(path)
        names = [name for name in table.schema_arrow.names if not name.startswith("__index_level_")]
        return {"rows": table.metadata.num_rows, "columns": names, "size": stored.size}
    if stored.form == "npy":
        import numpy as np

        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return {"shape": list(array.shape), "size": stored.size}
    return {"size": stored.size, "name": stored.name}


def _in_record(record: CommandRecord, folder: Path, name: Lookup, keys: tuple[str | int, ...], place: str) -> Any:
    values = values_of(record, folder)
    if not keys:
        return values["result"]() if "result" in values else None
    if str(keys[0]) in values:
        return _read(values[str(keys[0])], name, keys[1:], place)
    raise UsageError(f'"{name.text}" asks {place} for "{keys[0]}"; there is {listed(values)}')


def _read(read: Callable[[], Any], name: Lookup, keys: tuple[str | int, ...], place: str) -> Any:
    return follow(read(), name, keys, place)


def _reader(stored: Stored, folder: Path) -> Callable[[], Any]:
    return lambda: as_plain(stored, folder)


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def shown(seen: Mapping[str, Any]) -> str:
    """Return values by name in words."""
    return ", ".join(f"{text} is {_short(value)}" for text, value in seen.items())


def _short(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    text = json.dumps(int(value) if whole else value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
