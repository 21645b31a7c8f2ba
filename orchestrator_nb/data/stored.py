"""What passes between commands: values into their stored form and back, each reader with a copy of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.live import LiveResultMissing, LiveResults
from orchestrator_nb.data.plain import INTEGERS, Unfit, copied, plain, type_name
from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.data.tables import read_table, write_table
from orchestrator_nb.errors import ResultRefused, StoreError
from orchestrator_nb.events import Stored

INLINE = 64 * 1024
"""Bytes of JSON text up to which a value is kept in the journal; beyond, in a file."""

LARGEST = 64 * 2**20
"""Bytes of JSON text up to which a value is kept at all; beyond, a table or an array serves better."""

_NONE = Stored(form="json")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def store(value: Any, *, artifacts: Artifacts, live: LiveResults | None, at: str, inline: int = INLINE) -> Stored:
    """Return the stored form of `value`; its files are as durable as `artifacts` makes them.

    `live` keeps what has no stored form; None where nothing can be kept, as in a child process. `at` names the value
    in messages, such as ``result``; JSON of more than `inline` bytes goes into a file. Raises ResultRefused naming the place and what to do, and StoreError.
    """
    kind = type(value)
    if value is None:
        return _NONE
    if kind is bool or (kind is int and -INTEGERS <= value < INTEGERS):  # the usual, quickly
        return Stored(form="json", value=value)
    if kind is dict:
        return _store_dict(value, artifacts, live, at, inline)
    return _store_one(value, artifacts, live, at, inline)


def load(stored: Stored, *, artifacts: Artifacts, live: LiveResults | None) -> Any:
    """Return the value of a stored form: a copy of the reader's own, except for live results; nothing is unpickled.

    A file comes back as the path of the stored content, which is not to be written to. Raises StoreError where an
    artifact is not there and `live.LiveResultMissing`, a ResultRefused, where a live result is not in this process.
    """
    form = stored.form
    if form == "json":
        if stored.artifact is None:
            return copied(stored.value)
        return json.loads(artifacts.path(stored.artifact).read_bytes())
    if form == "mapping":
        items = stored.items or {}
        return {key: load(item, artifacts=artifacts, live=live) for key, item in items.items()}
    if form == "live":
        return _load_live(stored, live)
    if stored.artifact is None:
        raise StoreError(f'a stored value of the form "{form}" names no artifact')
    path = artifacts.path(stored.artifact)
    if form == "file":
        return path
    if form == "bytes":
        return path.read_bytes()
    if form == "parquet":
        return read_table(path, stored.type or "")
    if form == "npy":
        import numpy as np

        return np.load(path, allow_pickle=False)
    raise StoreError(f'the form "{form}" of a stored value is not known: it was written by a newer version')


def _store_dict(value: dict[Any, Any], artifacts: Artifacts, live: LiveResults | None, at: str, inline: int) -> Stored:
    size = [0]
    try:
        return _store_json(plain(value, size), size[0], None, artifacts, at, inline)
    except Unfit as unfit:
        # Only what is right in the mapping may have a form of its own.
        if unfit.why is not None or len(unfit.path) > 1:
            raise _refused(unfit, at) from None
    try:
        plain(dict.fromkeys(value), size)
    except Unfit as unfit:
        raise _refused(unfit, at) from None
    items = {}
    for key, item in value.items():
        place = f'{at}["{key}"]'
        items[key] = _NONE if item is None else _store_one(item, artifacts, live, place, inline)
    return Stored(form="mapping", items=items)


def _store_one(value: Any, artifacts: Artifacts, live: LiveResults | None, at: str, inline: int) -> Stored:
    size = [0]
    try:
        copy = plain(value, size)
    except Unfit as unfit:
        if unfit.path or unfit.why is not None:
            raise _refused(unfit, at) from None
    else:
        name = None if type(copy) is type(value) else type_name(type(value))
        return _store_json(copy, size[0], name, artifacts, at, inline)
    if type(value) is bytes:
        sha256, count = artifacts.put_bytes(value, at=at)
        return Stored(form="bytes", artifact=sha256, size=count, type="bytes")
    if isinstance(value, Path):
        return _store_file(value, artifacts, at)
    if _is_table(value):
        sha256, count = write_table(value, artifacts=artifacts, at=at)
        return Stored(form="parquet", artifact=sha256, size=count, type=type_name(type(value)))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _store_array(value, artifacts, at)
    return _store_live(value, live, at)


def _store_json(copy: Any, bound: int, name: str | None, artifacts: Artifacts, at: str, inline: int) -> Stored:
    """Keep plain JSON that is already private; `bound` is the most that its text can take."""
    if REDACTOR.active:
        copy = REDACTOR.value(copy)
    elif bound <= inline:
        return Stored(form="json", value=copy, type=name)
    text = _encode(copy).encode()
    if len(text) <= inline:
        return Stored(form="json", value=copy, type=name)
    if len(text) > LARGEST:
        raise ResultRefused(
            f"{at} is {len(text) / 2**20:,.0f} MiB as JSON, more than {LARGEST // 2**20} MiB: "
            "return a table, an array or the path of a file"
        )
    sha256, count = artifacts.put_bytes(text, suffix=".json")
    return Stored(form="json", artifact=sha256, size=count, type=name)


def _store_file(path: Path, artifacts: Artifacts, at: str) -> Stored:
    if not path.is_file():
        what = "a folder, which has no stored form: return the paths of its files" if path.is_dir() else "not there"
        raise ResultRefused(f'{at} is the path "{path}", which is {what} (looked at "{path.absolute()}")')
    try:
        sha256, count = artifacts.put_file(path, at=at)
    except OSError as error:
        raise ResultRefused(f'{at} is the path "{path}", which cannot be read: {error}') from error
    return Stored(form="file", artifact=sha256, size=count, name=path.name, type="pathlib.Path")


def _store_array(array: Any, artifacts: Artifacts, at: str) -> Stored:
    import numpy as np

    if array.dtype.hasobject:
        raise ResultRefused(f"{at} is an array of Python objects, which cannot be stored safely: give it a number type")
    if REDACTOR.active and (array.dtype.kind in "SUV" or array.dtype.itemsize == 1):
        REDACTOR.refuse(array.tobytes(), at=at)
    with artifacts.writer(suffix=".npy") as draft:
        try:
            with draft.path.open("wb") as file:
                np.save(file, np.asarray(array), allow_pickle=False)
            back = np.load(draft.path, mmap_mode="r" if array.size else None, allow_pickle=False)
            same = back.dtype == array.dtype and back.shape == array.shape
        except ValueError as error:
            raise ResultRefused(f"{at} is an array of {array.dtype}, which cannot be stored: {error}") from error
        if not same:
            raise ResultRefused(f"{at} is an array of {array.dtype}, which would come back as {back.dtype}: convert it")
        del back  # before the draft is renamed, which Windows refuses for mapped files
    return Stored(form="npy", artifact=draft.sha256, size=draft.size, type="numpy.ndarray")


def _store_live(value: Any, live: LiveResults | None, at: str) -> Stored:
    name = type_name(type(value))
    if live is None:
        raise ResultRefused(
            f'{at} is a "{name}", which has no stored form and cannot leave its process; expected JSON, a table '
            "(Parquet), an array (npy), bytes, or the Path of a file: write it to one (a model with skops or onnx) and "
            "give its Path, or run a function in a thread"
        )
    return Stored(form="live", name=live.put(value), type=name)


def _load_live(stored: Stored, live: LiveResults | None) -> Any:
    if live is None:
        raise LiveResultMissing(
            f'a live result of type "{stored.type}" cannot be had in another process: run its consumer in a thread, '
            "or let its producer store it (a model: with skops or onnx to a file) and return the file's Path"
        )
    try:
        return live.get(stored.name or "")
    except KeyError:
        raise LiveResultMissing(
            f'a live result of type "{stored.type}" is gone with the process that made it: '
            "the command that made it has to run again"
        ) from None


def _is_table(value: Any) -> bool:
    """Whether it is exactly one of the tables that can be stored; a subclass would come back as its base."""
    for module, name in (("pandas", "DataFrame"), ("pyarrow", "Table"), ("polars", "DataFrame")):
        loaded = sys.modules.get(module)
        if loaded is not None and type(value) is getattr(loaded, name, None):
            return True
    return False


def _refused(unfit: Unfit, at: str) -> ResultRefused:
    why = unfit.why
    if why is None:
        name = type_name(type(unfit.value))
        why = (
            f'is a "{name}", which can pass at the top of a result only: return a dict with it under a name of its own'
        )
    return ResultRefused(f"{unfit.place(at)} {why}")
