"""The parts of a definition that are mappings or lists of their own: gates, outputs, recovery, monitoring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator_nb.definition.keys import meant, renamed
from orchestrator_nb.definition.models import (
    CheckpointsDefinition,
    EscalationDefinition,
    GateDefinition,
    KernelsDefinition,
    MonitoringDefinition,
    RuleDefinition,
)
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.spelled import Spelled
from orchestrator_nb.definition.values import described
from orchestrator_nb.errors import Mistake

RETRY_WORDS = {
    "retries": "retries", "max_retries": "retries", "attempts": "attempts", "max_attempts": "attempts",
    "delay": "retry_delay", "retry_delay": "retry_delay", "initial_delay": "retry_delay",
}  # fmt: skip
"""The words for how often and when something is tried again."""

RETRY_POLICY_WORDS = {**RETRY_WORDS, "resources": "retry_resources", "retry_resources": "retry_resources"}
"""The same for one command, with what it holds then."""

_GATE_WORDS = {"expression": "gate", "check": "gate"}
_GATE_FIELDS = frozenset(GateDefinition.model_fields)
_ESCALATION_FIELDS = frozenset(EscalationDefinition.model_fields)
_RULE_FIELDS = frozenset(RuleDefinition.model_fields)
_MONITORING_FIELDS = frozenset(MonitoringDefinition.model_fields)
_CHECKPOINT_FIELDS = frozenset(CheckpointsDefinition.model_fields)
_KERNELS_FIELDS = frozenset(KernelsDefinition.model_fields)
_CHECKPOINT_WORDS = {"boundaries": "at", "retention": "keep", "age": "keep_for", "limit": "size_limit"}
_CHECKPOINTS: dict[Any, dict[str, Any]] = {"off": {"at": ()}, False: {"at": ()}, "on": {}, True: {}}
_RECOVERIES: dict[str, dict[str, Any]] = {"none": {"retries": 0}, "retry": {}}

Reader = Callable[[Any, str, Spelled], Any]
"""Takes a value, its canonical pointer and the definition; gives the value in the shape of the model."""


def read_parts(body: dict[str, Any], pointer: str, readers: Mapping[str, Reader], spelled: Spelled) -> None:
    """Bring the parts for which there are `readers` into the shape of the model, in place."""
    for name in readers.keys() & body.keys():
        body[name] = readers[name](body[name], f"{pointer}/{name}", spelled)


def retries_in(attempts: Any, pointer: str, spelled: Spelled) -> int | None:
    """Return the tries after the first among so many attempts; None, and a mistake, where these cannot be counted."""
    if type(attempts) is int and attempts >= 1:
        return attempts - 1
    spelled.mistakes.append(Mistake("the attempts cannot be counted", spelled.origin(pointer), found=described(attempts),
                                    expected="a whole number from 1, the first attempt included"))  # fmt: skip
    return None


def _gates(value: Any, pointer: str, spelled: Spelled) -> Any:
    """Return gates as a tuple of mappings; one that is a text is its expression."""
    if not isinstance(value, (list, tuple)):
        spelled.origins[f"{pointer}/0"] = spelled.origin(pointer)
        value = (value,)
    return tuple([_gate(item, f"{pointer}/{place}", spelled) for place, item in enumerate(value)])


def _gate(value: Any, pointer: str, spelled: Spelled) -> Any:
    if isinstance(value, str):
        spelled.origins[f"{pointer}/gate"] = spelled.origin(pointer)
        return {"gate": value}
    if not isinstance(value, Mapping):
        return value
    return _with_seconds(renamed(value, _gate_name, pointer, spelled.origin(pointer), spelled), "timeout")


def _gate_name(key: str) -> str:
    return meant(key, _GATE_FIELDS, _GATE_WORDS)


def _typed(value: Any, pointer: str, spelled: Spelled) -> Any:
    """Return names with their types; names alone may be anything."""
    if isinstance(value, str):
        value = (value,)
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        spelled.origins.update(
            {child(pointer, name): spelled.origin(child(pointer, i)) for i, name in enumerate(value)}
        )
        return dict.fromkeys(value, "any")
    return value


def _recovery(value: Any, pointer: str, spelled: Spelled) -> Any:
    """Return what is done about failures; a word stands for a whole way of it."""
    if isinstance(value, str) and value in _RECOVERIES:
        return dict(_RECOVERIES[value])
    if not isinstance(value, Mapping):
        return value
    named = renamed(value, _recovery_name, pointer, spelled.origin(pointer), spelled)
    if "attempts" in named:
        retries = retries_in(named.pop("attempts"), f"{pointer}/attempts", spelled)
        if retries is not None:
            named["retries"] = retries
    if isinstance(named.get("rules"), (list, tuple)):
        named["rules"] = tuple(
            renamed(rule, _rule_name, f"{pointer}/rules/{place}", spelled.origin(f"{pointer}/rules/{place}"), spelled)
            if isinstance(rule, Mapping)
            else rule
            for place, rule in enumerate(named["rules"])
        )
    if "escalation" in named:
        named["escalation"] = _escalation(named["escalation"], f"{pointer}/escalation", spelled)
    return _with_seconds(named, "retry_delay")


def _recovery_name(key: str) -> str:
    return meant(
        key,
        frozenset((*RETRY_WORDS.values(), "learn", "retry_budget", "memory_reserve", "rules", "escalation")),
        RETRY_WORDS,
    )


def _rule_name(key: str) -> str:
    return meant(key, _RULE_FIELDS, {})


def _escalation(value: Any, pointer: str, spelled: Spelled) -> Any:
    """Return when people are asked; true is all of it at its default."""
    if isinstance(value, bool):
        return {} if value else None
    if not isinstance(value, Mapping):
        return value
    named = renamed(value, _escalation_name, pointer, spelled.origin(pointer), spelled)
    if named.get("default") in ("rollback", "roll_back", "roll-back"):
        named["default"] = "roll back"
    for name in ("automatic", "guided", "manual"):
        _with_seconds(named, name)
    return named


def _escalation_name(key: str) -> str:
    return meant(key, _ESCALATION_FIELDS, {})


def _monitoring(value: Any, pointer: str, spelled: Spelled) -> Any:
    if not isinstance(value, Mapping):
        return value
    named = renamed(value, _monitoring_name, pointer, spelled.origin(pointer), spelled)
    return _with_seconds(named, "interval")


def _with_seconds(named: dict[str, Any], name: str) -> dict[str, Any]:
    if name in named:
        from orchestrator_nb.definition.durations import seconds

        named[name] = seconds(named[name])
    return named


def _monitoring_name(key: str) -> str:
    return meant(key, _MONITORING_FIELDS, {})


def _checkpoints(value: Any, pointer: str, spelled: Spelled) -> Any:
    """Return when files are kept; "off" stands for never, `keep` may be a mapping of count and age."""
    if isinstance(value, (str, bool)) and value in _CHECKPOINTS:
        return dict(_CHECKPOINTS[value])
    if not isinstance(value, Mapping):
        return value
    named = renamed(value, _checkpoints_name, pointer, spelled.origin(pointer), spelled)
    if isinstance(named.get("keep"), Mapping) and {"count", "age"}.issuperset(named["keep"]):
        kept = named.pop("keep")
        named.update({name: kept[key] for key, name in (("count", "keep"), ("age", "keep_for")) if key in kept})
    for name in ("at", "include", "exclude"):
        if isinstance(named.get(name), (str, list, tuple)):
            named[name] = (named[name],) if isinstance(named[name], str) else tuple(named[name])
    return _with_seconds(named, "keep_for")


def _checkpoints_name(key: str) -> str:
    return meant(key, _CHECKPOINT_FIELDS, _CHECKPOINT_WORDS)


def _kernels(value: Any, pointer: str, spelled: Spelled) -> Any:
    """Return how kernels come to be; a text is how they are started."""
    if isinstance(value, str):
        spelled.origins[f"{pointer}/start"] = spelled.origin(pointer)
        return {"start": value}
    if not isinstance(value, Mapping):
        return value
    named = renamed(value, _kernels_name, pointer, spelled.origin(pointer), spelled)
    if isinstance(named.get("preload"), (str, list, tuple)):
        named["preload"] = (named["preload"],) if isinstance(named["preload"], str) else tuple(named["preload"])
    return named


def _kernels_name(key: str) -> str:
    return meant(key, _KERNELS_FIELDS, {})


def _matrix(value: Any, pointer: str, spelled: Spelled) -> Any:  # noqa: ARG001 - as all readers
    """Return a matrix with its values in lists."""
    if not isinstance(value, Mapping):
        return value
    return {name: list(values) if isinstance(values, tuple) else values for name, values in value.items()}


WORKFLOW_PARTS: dict[str, Reader] = {
    "quality_requirements": _gates, "recovery": _recovery, "monitoring": _monitoring, "checkpoints": _checkpoints,
    "kernels": _kernels,
}  # fmt: skip
COMMAND_PARTS: dict[str, Reader] = {
    "gates": _gates, "outputs": _typed, "context": _typed, "shares": _typed, "matrix": _matrix, "kernels": _kernels,
}  # fmt: skip
"""How each part is read, by its key."""
