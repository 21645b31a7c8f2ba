"""Fingerprints of commands, by which a resumed run can tell which of them were changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import Any

import msgspec

from orchestrator_nb.definition.model import Model
from orchestrator_nb.definition.writing import said
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.ports import Command

WITHOUT = frozenset({
    # These say how a command is called, described and treated, not what it does.
    "id", "description", "tags", "optional", "retries", "retry_delay", "idempotent", "reuse", "timeout", "escalate",
    "start_timeout", "cell_timeout", "idle_timeout", "duration", "priority", "resources",
    "retry_resources", "kernels",
    # These say what it waits for and whether it runs; what it gets from there is in its parameters and its source.
    "after", "reads", "writes", "exclusive", "trigger_rule", "when",
    # These say what its results are held against, and what happens then.
    "outputs", "context", "shares", "gates", "targets", "fallback", "degraded", "provides", "milestone",
    # What a matrix says of a cell is filled in, where it counts.
    "matrix", "matrix_of", "key", "cell",
})  # fmt: skip
"""The fields of a definition whose change is no change of the command."""


def fingerprint(
    command: str, *, plan: Plan, commands: Mapping[str, Command], said: Mapping[str, Any] | None = None
) -> str:
    """Return the SHA-256, in hexadecimal, of what the command is: its definition and the source that its type names.

    It does not depend on other commands nor on the values of the workflow's parameters, and fields at their default
    do not count, so that a new version of this package leaves it as it is. `said` is what `canonical` gives for its
    definition, where that is known already. Raises KeyError for an unknown command,
    and whatever its type raises when the source cannot be read.
    """
    definition = plan.commands[command]
    source = commands[definition.kind].source(definition, folder=plan.folder)
    text = canonical_json(canonical(definition) if said is None else said)
    return hashlib.sha256(b"[%b,%b]" % (text, _encoded_source(source))).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return the one text that stands for a value of plain JSON: its keys in order, without blanks.

    Text that is no Unicode (half of a surrogate pair) is escaped.
    """
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


_encoder = msgspec.json.Encoder(order="deterministic")


@lru_cache(maxsize=100)
def _encoded_source(source: str) -> bytes:
    """Many commands run the same source."""
    return canonical_json(source)


def canonical(definition: Model) -> dict[str, Any]:
    """Return what a definition says of what the command does, as plain JSON; fields at their default are left out."""
    return {name: plain(value) for name, value in said(definition).items() if name not in WITHOUT}


def plain(value: Any) -> Any:
    """Return plain JSON for any value of a parameter, other types by name and text, sets in order."""
    if isinstance(value, float) and not isfinite(value):
        return ["float", str(value)]  # JSON has no other way to tell them apart
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Model):
        return {name: plain(item) for name, item in said(value).items()}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [type(value).__name__, sorted(canonical_json(plain(item)).decode() for item in value)]
    return [type(value).__qualname__, str(value)]
