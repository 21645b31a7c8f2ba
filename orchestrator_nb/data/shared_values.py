"""Values of the shared state: small plain JSON as it is, all else in a file of the run, read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec import structs

from orchestrator_nb.context import Lazy
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.declared import WORDS, unfit
from orchestrator_nb.data.plain import copied
from orchestrator_nb.data.stored import INLINE, store
from orchestrator_nb.errors import ResultRefused
from orchestrator_nb.events import Stored
from orchestrator_nb.state.sharing import COMBINING, REFERENCE, reference, referred, strategy_of

LARGEST_COMBINED = 2**20
"""Bytes of JSON that a value may have which a strategy looks into: it has to be in the journal."""


def shared_form(
    name: str,
    value: Any,
    *,
    artifacts: Artifacts,
    strategies: Mapping[str, str],
    limit: int | None = None,
    declared: Mapping[str, str] | None = None,
) -> Any:
    """Return what stands in the shared state for a value: plain JSON of at most `limit` bytes (64 KiB), else a
    reference to its stored form, whose file is durable then. A `Stored` stands for itself. `declared` are the keys that
    may be changed, with their types; all where there are none.

    Raises ResultRefused for what has no stored form, what a strategy cannot look into, and what is not as declared.
    """
    stored = _stored(name, value, artifacts=artifacts, strategies=strategies, limit=limit)
    if declared and name not in declared:
        there = ", ".join(declared)
        raise ResultRefused(f'shared["{name}"] is not among the keys that it declares to change (shares: {there})')
    if declared and (wrong := unfit(stored, declared[name])):
        raise ResultRefused(f'shared["{name}"] is not as it is declared (shares){wrong}')
    return stored.value if stored.form == "json" and stored.artifact is None else reference(stored)


def _stored(name: str, value: Any, *, artifacts: Artifacts, strategies: Mapping[str, str], limit: int | None) -> Stored:
    at, strategy = f'shared["{name}"]', strategy_of(name, strategies)
    combined = strategy in COMBINING
    if isinstance(value, Stored):
        stored = value
    elif isinstance(value, Mapping) and REFERENCE in value:
        raise ResultRefused(f'{at} is a mapping with the key "{REFERENCE}", which stands for values in files')
    else:
        inline = LARGEST_COMBINED if combined else INLINE if limit is None else limit
        stored = store(value, artifacts=artifacts, live=None, at=at, inline=inline)
    if stored.form == "json" and stored.artifact is None:
        return stored
    if combined:
        found = WORDS[stored.form] if stored.form != "json" else f"{stored.size or 0:,} bytes of it"
        raise ResultRefused(
            f"{at} is merged with {strategy}, which takes plain JSON of at most {LARGEST_COMBINED:,} bytes at a time; "
            f'found {found}: hand it on as a result, or merge it with a function (merge: {{{name}: "module:function"}})'
        )
    if stored.form == "json" and stored.type is None and not isinstance(value, Stored):
        stored = structs.replace(stored, type=type(value).__name__)
    return stored


def read_shared(value: Any, load: Callable[[Stored], Any]) -> Any:
    """Return a value of the shared state, as the reader's own copy. Raises what `load` raises."""
    stored = referred(value)
    return copied(value) if stored is None else load(stored)


def shared_view(values: Mapping[str, Any], load: Callable[[Stored], Any]) -> Mapping[str, Any]:
    """Return the values of a shared state, each read when it is asked for."""
    return Lazy(values, lambda value: read_shared(value, load))


def stored_in(values: Iterable[Any]) -> Iterator[Stored]:
    """Yield the stored forms that values of a shared state refer to."""
    return (stored for value in values if (stored := referred(value)) is not None)
