"""What a result depends on, as hashes: while they are what they were, a result of an earlier run is up to date.

A key has four parts: the code, the options, the parameters that the command can see, and the values of the secrets that
it refers to, of which nothing is told but that they changed; see `data.secret_digests`. What upstream commands gave
and what is in files is known only when the command's turn comes; it is compared besides. Versions of Python, of
packages and of kernels are no part of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from orchestrator_nb.data.secret_digests import SecretDigests
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.definition.references import FIELDS, references_in, secrets_in
from orchestrator_nb.errors import OrchestratorError
from orchestrator_nb.events import Stored
from orchestrator_nb.plan.contents import named_resources
from orchestrator_nb.plan.fingerprint import canonical, canonical_json, plain
from orchestrator_nb.plan.plan import Plan
from orchestrator_nb.plan.shared_before import SharedBefore
from orchestrator_nb.ports import Command
from orchestrator_nb.state.records import CommandRecord
from orchestrator_nb.state.transitions import DONE

PARTS = ("code", "options", "parameters", "secrets")
"""What the parts of a key are the hashes of, in their order."""

SHARED = "the shared state"
"""Stands among the inputs of a command for what those before it have shared; no id has a blank."""

_NO_MATTER = ("targets", "fallback", "provides", "milestone")
"""Options of a command that say what becomes of its result, or of it, and not what the result is."""
_CALLED = frozenset({"call", "command", "notebook"})
"""Kinds that can ask for any parameter of the workflow, by `context.parameters`."""
_TOLD = frozenset({"shell", "workflow"})
"""Kinds that get the parameters that are handed to them, and no others."""
_ASKS = r"\bparameters\b"


def why_never(name: str, *, plan: Plan, commands: Mapping[str, Command]) -> str | None:
    """Return why no result of a command is ever reused, None where it may be."""
    try:
        _code(name, plan, commands)
    except _Never as never:
        return str(never)
    return None


def key_of(
    name: str,
    *,
    plan: Plan,
    commands: Mapping[str, Command],
    secrets: SecretDigests | None = None,
    said: Mapping[str, Any] | None = None,
) -> str:
    """Return the key of a command, its parts joined by dots; nothing where no result of it is ever reused.

    The shared state that the run begins with can be seen by all commands and is one of its parameters. `secrets` may
    be left out for a command that refers to none. `said` is what `fingerprint.canonical` gives for its definition,
    where that is known already. Raises StoreError.
    """
    try:
        code = _code(name, plan, commands)
    except _Never:
        return ""
    definition = plan.commands[name]
    options = dict(canonical(definition) if said is None else said)
    told: list[Any] = [options.pop("parameters", {})]
    for option in _NO_MATTER:
        options.pop(option, None)
    if definition.gates:  # a result is up to date only where it was held against the same
        options["gates"] = plain(definition.gates)
    told.append({item: plain(plan.parameters[item]) for item in _visible(definition, plan, commands, code)})
    if plan.definition.context:
        told.append(plain(plan.definition.context))
    parts = (code.encode("utf-8", "surrogatepass"), canonical_json(options), canonical_json(told))
    values = "" if secrets is None else secrets.of(name for name, _ in secrets_in(definition))
    return f"{'.'.join(map(_known_hash, parts))}.{values}"


class _Never(Exception):
    """No result of the command is ever reused; the text says why."""


def _code(name: str, plan: Plan, commands: Mapping[str, Command]) -> str:
    """Return the code of a command. Raises _Never."""
    definition = plan.commands[name]
    if not definition.reuse:
        raise _Never("it is declared `reuse: false`")
    try:
        outside = named_resources(definition, plan.parameters) if definition.reads or definition.writes else ()
        code = commands[definition.kind].code(definition, folder=plan.folder)
    except Exception as error:
        said = str(error) if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}"
        raise _Never(f"its code cannot be looked at: {said}") from error
    if outside:
        raise _Never(f'"{outside[0]}" names a resource that is no file: what is in it cannot be looked at')
    return code


def visible_parameters(name: str, *, plan: Plan, commands: Mapping[str, Command]) -> list[str]:
    """Return the names of the workflow's parameters that a command can see: those that it refers to or takes by name;
    all of them where its code asks for parameters by itself, and where nothing is known of it."""
    definition = plan.commands[name]
    return _visible(definition, plan, commands, commands[definition.kind].code(definition, folder=plan.folder))


def _visible(definition: CommandDefinition, plan: Plan, commands: Mapping[str, Command], code: str) -> list[str]:
    known = plan.parameters
    if not known:
        return []
    if definition.kind not in _TOLD and (definition.kind not in _CALLED or _asks(code)):
        return sorted(known)
    named = {
        reference.keys[0]
        for field in FIELDS
        if (value := getattr(definition, field))
        for reference in references_in(value)
        if reference.root == "parameters"
    }
    return sorted(known.keys() & {*named, *commands[definition.kind].wants(definition, folder=plan.folder)})


def changed_parts(before: str, now: str) -> list[str]:
    """Return in which of its `PARTS` a key differs from another."""
    one, other = before.split("."), now.split(".")
    if len(one) != len(PARTS) or len(other) != len(PARTS):
        return list(PARTS)
    return [part for part, was, becomes in zip(PARTS, one, other, strict=True) if was != becomes]


def inputs_of(
    command: str,
    upstream: Sequence[str],
    records: Mapping[str, CommandRecord],
    *,
    shared: SharedBefore | None = None,
) -> dict[str, str]:
    """Return a hash of what each upstream command hands on, by name: nothing for what lives in a process only.

    What commands further up have `shared` counts besides, since everything after them can see it; it may be left out
    where nothing is.
    """
    found = {name: handed_on(records[name]) for name in upstream}
    before = "" if shared is None else shared.digest(command, records)
    if before:
        found[SHARED] = before
    return found


def handed_on(record: CommandRecord) -> str:
    """Return a hash of everything that a command hands on: its result, what it recorded, numbered and shared, and the
    files that it wrote. Nothing where a part of that lives in a process only; one that has no result, since it failed
    or was skipped, hands on the same as any other of these."""
    if record.state not in DONE:
        return _hash(b"no result", size=16)
    output = record.output()
    if is_live(output) or any(map(is_live, record.recorded.values())):
        return ""
    parts = [output, record.recorded, record.metrics, record.shared, record.writes]
    return _hash(canonical_json(msgspec.to_builtins(parts)), size=16)


def is_live(stored: Stored | None) -> bool:
    """Whether a stored value, or a part of it, lives in a process only."""
    return stored is not None and (stored.form == "live" or any(map(is_live, (stored.items or {}).values())))


@lru_cache(maxsize=1000)
def _known_hash(text: bytes) -> str:
    return _hash(text)


@lru_cache(maxsize=1000)
def _asks(code: str) -> bool:
    return re.search(_ASKS, code) is not None


def _hash(text: bytes, *, size: int = 8) -> str:
    return hashlib.blake2b(text, digest_size=size).hexdigest()
