"""Taking the result of an earlier run into a new one, which then stands by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from orchestrator_nb import events as e
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.flush import flush_file, flush_folder
from orchestrator_nb.data.shared_values import stored_in
from orchestrator_nb.errors import CommandError, StoreError, UsageError
from orchestrator_nb.orchestrator.display.result import ARTIFACTS
from orchestrator_nb.orchestrator.earlier.results import Kept
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.sharing import merged
from orchestrator_nb.values import token

Made = Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, str]], dict[str, Any]]
"""Returns what functions make of changes of a shared state, by the strategies."""


def take_over(
    kept: Kept, command: str, *, folder: Path, now: float, reason: str, durable: bool = True, attempt: int | None = None
) -> e.CommandReused:
    """Bring everything that belongs to a result into the run's folder and return the event that names it.

    Artifacts are read whole and compared with their hash. Raises StoreError where one is gone or damaged.
    """
    record = kept.record
    source, target = Artifacts(kept.folder / ARTIFACTS), Artifacts(folder / ARTIFACTS, durable=durable)
    for sha256 in dict.fromkeys(hashes(record)):
        target.adopt(sha256, source=source)
    for name in (record.notebook, record.log):
        if name is not None:
            _copy(kept.folder / name, folder / name, durable=durable)
    return e.CommandReused(
        at=now,
        command=command,
        origin=kept.origin,
        origin_attempt=kept.attempt,
        attempt=attempt,
        reason=reason,
        result=record.result,
        recorded=record.recorded,
        metrics=record.metrics,
        artifacts=record.artifacts,
        shared=record.shared,
        reads=record.reads,
        writes=record.writes,
        notebook=record.notebook if record.notebook and (folder / record.notebook).exists() else None,
        log=record.log if record.log and (folder / record.log).exists() else None,
        key=kept.key,
        inputs=kept.inputs,
    )


def with_merges(
    facts: Iterable[e.Event], made: Made, *, shared: Mapping[str, Any], strategies: Mapping[str, str]
) -> list[e.Event]:
    """Return the facts with what functions make of the changes of the shared state that are taken over; `shared` is
    what there is before.

    Raises UsageError where they cannot be merged.
    """
    found: list[e.Event] = []
    for fact in facts:
        if isinstance(fact, e.CommandReused) and fact.shared:
            try:
                fact = structs.replace(fact, merged=made(shared, fact.shared, strategies) or None)  # noqa: PLW2901 - goes on as this
                shared = merged(shared, fact.shared or {}, strategies, made=fact.merged)
            except (CommandError, ValueError) as error:
                raise UsageError(
                    f'what "{fact.command}" has shared in an earlier run cannot be taken: {error}'
                ) from error
        found.append(fact)
    return found


def hashes(record: CommandRecord) -> Iterator[str]:
    """Yield the artifacts that a result consists of."""
    result = () if record.result is None else (record.result,)
    shared = stored_in((record.shared or {}).values())
    yield from _in((*result, *record.recorded.values(), *record.artifacts.values(), *shared))


def _in(stored: Iterable[e.Stored]) -> Iterator[str]:
    for item in stored:
        if item.artifact is not None:
            yield item.artifact
        yield from _in((item.items or {}).values())


def _copy(source: Path, target: Path, *, durable: bool) -> None:
    """Copy a file for people, which may be gone: a notebook or a log. A copy, since people edit notebooks."""
    part = target.with_name(f".{target.name}.{token(4)}")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(source, "rb") as reading, open(part, "xb") as writing:
            shutil.copyfileobj(reading, writing)
            if durable:
                writing.flush()
                flush_file(writing.fileno())
        os.replace(part, target)
        if durable:
            flush_folder(target.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f'"{target}" cannot be written: {error.strerror or error}') from error
    finally:
        part.unlink(missing_ok=True)
