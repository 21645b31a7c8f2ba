"""What a start or a resume does while another run of the same workflow is under way in the store."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import get_args

from orchestrator_nb.data.disk import write_error
from orchestrator_nb.definition.models import Overlap, WorkflowDefinition
from orchestrator_nb.errors import RunRefused, RunSkipped, StoreError, UsageError
from orchestrator_nb.journal.owner import holder, is_owned
from orchestrator_nb.journal.store import prepare_store

OVERLAPS: tuple[str, ...] = get_args(Overlap)

LOOK_EVERY = 0.2
"""Seconds between two looks whether the run that is waited for has ended."""

GATE_WAIT = 120.0
"""Seconds that one waits for another start or resume of the workflow, which holds the gate until its run is owned."""


def overlap_of(asked: str | None, definition: WorkflowDefinition) -> str:
    """Return what is asked for, else what the definition says. Raises UsageError for a word that is none of them."""
    if asked is not None and asked not in OVERLAPS:
        raise UsageError(f"overlap is one of {', '.join(OVERLAPS)}; found {asked!r}")
    return asked or definition.overlap


@contextmanager
def admitted(
    store: Path, workflow: str, overlap: str, *, besides: Path | None = None, wait: float | None = None
) -> Iterator[None]:
    """Hold the gate of the workflow for the time of the block, in which the run comes to be owned.

    Of any number of processes that start at the same time one is in the block. Raises RunRefused (`refuse`) or
    RunSkipped (`skip`) naming the run that is under way; `wait` waits for its end, `wait` seconds at the most where
    that is given, and raises RunRefused then; `allow` looks at nothing. The run `besides`, which is to go on, is not in
    its own way.
    """
    if overlap == "allow":
        yield
        return
    limit = time.monotonic() + wait if wait is not None else inf
    while True:
        with _gate(store, workflow):
            live = live_run(store, workflow, besides=besides)
            if live is None:
                yield
                return
        text = f'"{live.name}" of the workflow "{workflow}" is under way, owned by {holder(live)}'
        if overlap != "wait":
            if overlap == "skip":
                raise RunSkipped(f"skipped: {text}")
            raise RunRefused(f"{text}; wait for it, stop it, or come with --overlap wait, skip or allow")
        while is_owned(live):
            if time.monotonic() >= limit:
                raise RunRefused(f"{text}; this start has waited for its coordination timeout of {wait:g} s")
            time.sleep(LOOK_EVERY)


def live_run(store: Path, workflow: str, *, besides: Path | None = None) -> Path | None:
    """Return the folder of another run of that workflow which a living process owns, None where there is none."""
    name = re.compile(re.escape(workflow) + r"-\d{8}-\d{6}-[0-9a-f]{4}")
    try:
        folders = sorted((folder for folder in store.iterdir() if name.fullmatch(folder.name)), reverse=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f'the store "{store}" cannot be read: {error.strerror or error}') from error
    return next((folder for folder in folders if folder != besides and is_owned(folder)), None)


@contextmanager
def _gate(store: Path, workflow: str) -> Iterator[None]:
    from filelock import FileLock, Timeout

    prepare_store(store)
    path = store / f".{workflow}.gate"
    lock = FileLock(path, timeout=GATE_WAIT, is_singleton=False, thread_local=False)
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout as error:
        raise RunRefused(f'another start of "{workflow}" has held "{path}" for {GATE_WAIT:g} s') from error
    except OSError as error:
        raise write_error(f'"{path}" cannot be locked', path, error) from error
    try:
        yield
    finally:
        lock.release()
