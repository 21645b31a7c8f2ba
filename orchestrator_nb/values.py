"""What facts carry besides plain JSON: values in their stored form, and failures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Stored(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A value in its stored form: how it passes from one command to the next and survives the process.

    `form` is one of json, parquet, npy, bytes, file, mapping, live. `value` is there for json only, `artifact` (the
    SHA-256 of the content) and `size` (bytes) for the forms kept in files, `items` for a mapping. `type` is the
    qualified name of the Python type that went in, `name` the file name of a file.
    """

    form: str
    value: Any = None
    artifact: str | None = None
    size: int | None = None
    name: str | None = None
    type: str | None = None
    items: Mapping[str, Stored] | None = None


class Used(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What an attempt took of its machine; None for what could not be had.

    `cpu` is in seconds, of the whole process tree, or of the thread for a callable that ran in one. `memory` is the
    most resident memory that its processes were seen to have together, in bytes; a thread shares that of its process,
    so it has none. `read` and `written` are bytes from and to disks. `received` and `sent` are the bytes that went
    through the network interfaces of the **whole machine** meanwhile, whoever they were for.
    """

    cpu: float | None = None
    memory: int | None = None
    read: int | None = None
    written: int | None = None
    received: int | None = None
    sent: int | None = None


class Failure(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Why an attempt failed, as far as it is known.

    `kind` is one of exception, exit_code, signal, timeout, kernel_died, early_exit, result_refused, not_started,
    cancelled, lost, condition (what `when` says could not be evaluated), gate (a blocking gate does not hold), conflict (its changes of
    the shared state cannot be taken), context (what it declares to read of that is not there). `types` are the qualified names of the
    exception's class and its bases, most derived first. `cell` counts all cells of the notebook from 0, `cell_source`
    is the source of that cell, `line` the line of it that raised, from 1; `source` is the path of the notebook that was
    run, `notebook` that of its output, relative to the run's folder. `stage` says where in the attempt it happened when
    it was not in the user's code. `transient` says whether a repetition may succeed, None where the one that failed had
    nothing to say about it; `advice` is what the command's own `handle_error` answered, as plain JSON.
    `evidence` is what else tells the causes apart: ``errno``, the HTTP ``status``, the ``causes`` (names of the classes
    of the exceptions that led to it), ``oom`` (the system's own account of it).
    """

    kind: str
    message: str
    types: tuple[str, ...] = ()
    traceback: str | None = None
    cell: int | None = None
    cell_source: str | None = None
    line: int | None = None
    source: str | None = None
    notebook: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    stage: str | None = None
    transient: bool | None = None
    advice: Any = None
    evidence: Mapping[str, Any] = {}


class Classified(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What kind of error a failure is; the names are those of `recovery.taxonomy`.

    `severity` is critical, major, minor or informational; `transient` says whether it may pass by itself, None where
    nobody knows; `evidence` says in words what it was told by.
    """

    category: str
    kind: str
    severity: str
    transient: bool | None = None
    evidence: tuple[str, ...] = ()


def token(size: int) -> str:
    """Return so many random bytes as hexadecimal digits: a name that nobody else takes or guesses."""
    return os.urandom(size).hex()
