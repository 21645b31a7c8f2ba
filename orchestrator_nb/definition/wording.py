"""What the model finds wrong, in plain words: what was found, what is expected, and the key that may have been meant."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from orchestrator_nb.definition.models import (
    KINDS,
    CheckpointsDefinition,
    CommandDefinition,
    ErrorKind,
    EscalationDefinition,
    GateDefinition,
    KernelsDefinition,
    MonitoringDefinition,
    OptimizationDefinition,
    OutputType,
    ParameterDefinition,
    RecoveryDefinition,
    RuleDefinition,
    WorkflowDefinition,
)
from orchestrator_nb.definition.names import nearest, slug
from orchestrator_nb.definition.nested import RETRY_WORDS
from orchestrator_nb.definition.parameters import EXPECTED as TYPES
from orchestrator_nb.definition.pointers import child
from orchestrator_nb.definition.spelling import COMMAND_WORDS, WORKFLOW_WORDS
from orchestrator_nb.definition.values import described, escaped
from orchestrator_nb.errors import Mistake
from orchestrator_nb.state.sharing import Strategy
from orchestrator_nb.state.trigger_rules import TRIGGER_RULES

ID = 'at most 100 of the letters a to z and A to Z, digits, "_", "-" and ".", and neither "-" nor "." first'
_SECONDS = 'seconds above 0 and at most 366 days, such as 90 or "5m"'
_IDS = "a list of ids of commands"
_PATHS = "a list of paths or names of resources"
_AMOUNTS = 'whole numbers from 0, or amounts of memory such as "2GB"'
_TYPES = f"one of {', '.join(get_args(OutputType))}"
_GATES = 'a list of gates, such as "rmse < 3.5", or mappings with the key gate'
_KERNELS = "fork, pool or plain, or a mapping with start and preload"
_SHELL = 'a program and its arguments as a list, such as ["python", "clean.py"]'

WORKFLOW = {
    "workflow": f"a name for the workflow: {ID}",
    "description": "text",
    "pattern": "sequential, parallel or hybrid",
    "parameters": "a mapping of names to defaults or declarations",
    "commands": "a mapping of ids to commands, at least one",
    "slots": "a whole number from 1 to 10000",
    "pools": f"a mapping of names to {_AMOUNTS}",
    "durability": "full or process",
    "timeout": f'{_SECONDS}, or "none"',
    "imports": "a list of modules",
    "notify": "a list of addresses, such as mailto://user:pass@example.org",
    "overlap": "refuse, wait, skip or allow",
    "deadline": _SECONDS,
    "coordination_timeout": _SECONDS,
    "context": "a mapping of names to values",
    "context_limit": 'a whole number of bytes, or an amount such as "64KiB"',
    "merge": f"a mapping of keys of the shared state, or *, to {', '.join(get_args(Strategy))}, or module:function",
    "quality_requirements": _GATES,
    "recovery": "a mapping with retries, retry_delay, rules and escalation, or one of the words none and retry",
    "optimization": "a mapping with history and adaptive",
    "monitoring": "a mapping with interval and log_size",
    "checkpoints": "a mapping with at, include, exclude, keep, keep_for, size_limit and rollback, or the word off",
    "kernels": _KERNELS,
}
COMMAND = {
    "id": ID,
    "notebook": "the path of a notebook, as text",
    "call": "a function as module:name",
    "shell": _SHELL,
    "command": "a registered name, such as /query",
    "workflow": "the path of another workflow, as text",
    "type": "the name of a type of command",
    "parameters": "a mapping of names to values",
    "agent": "text",
    "scope": "text",
    "after": _IDS,
    "matrix": "a mapping of names to lists, such as {region: [north, south]}",
    "when": 'an expression over upstream results and parameters, such as "clean.rows > 100"',
    "trigger_rule": f"one of {', '.join(TRIGGER_RULES)}",
    "reads": _PATHS,
    "writes": _PATHS,
    "exclusive": "true or false",
    "outputs": f"a list of names, or a mapping of names to types, each {_TYPES}",
    "context": f"a list of names, or a mapping of names to types, each {_TYPES}",
    "shares": f"a list of names, or a mapping of names to types, each {_TYPES}",
    "gates": _GATES,
    "targets": 'a mapping of names to numbers above 0, or amounts such as "2GB"',
    "description": "text",
    "tags": "a list of words",
    "optional": "true or false",
    "fallback": "the id of a command",
    "degraded": "a mapping of names of parameters to values",
    "provides": "a list of words",
    "milestone": "true or false",
    "retries": "a whole number from 0 to 1000",
    "retry_delay": _SECONDS,
    "idempotent": "true or false",
    "reuse": "true or false",
    "escalate": "true or false",
    "timeout": f'{_SECONDS}, or "none"',
    "start_timeout": _SECONDS,
    "cell_timeout": _SECONDS,
    "idle_timeout": _SECONDS,
    "duration": _SECONDS,
    "priority": "a whole number from -1000 to 1000",
    "resources": f'a mapping of names to {_AMOUNTS}, or "all"',
    "retry_resources": f'a mapping of names to {_AMOUNTS}, or "all"',
    "isolation": "thread or process",
    "environment": "a mapping of names to text; put numbers in quotes",
    "cwd": "the path of a folder, as text",
    "kernel": "the name of a Jupyter kernel, as text",
    "kernels": _KERNELS,
    "allow_early_exit": "true or false",
    "allow_failure_codes": "a list of whole numbers",
}
GATE = {
    "gate": "an expression such as rmse < 3.5, or the name of a check, as text",
    "name": "text",
    "blocking": "true or false",
    "retry": "true or false",
    "timeout": _SECONDS,
    "options": "a mapping of names to values",
}
RECOVERY = {
    "retries": "a whole number from 0 to 1000",
    "retry_delay": _SECONDS,
    "learn": "true or false",
    "retry_budget": "a whole number from 0 to 1000000",
    "memory_reserve": 'a whole number of bytes, or an amount such as "2GB"',
    "rules": "a list of rules, such as {message: quota, kind: external_service_failure, transient: true}",
    "escalation": "true, false, or a mapping with automatic, guided, manual and default",
}
RULE = {
    "type": "the name of an exception's class, as text",
    "message": "text",
    "exit_code": "a whole number",
    "signal": "a whole number",
    "failure": "exception, exit_code, signal, timeout, kernel_died, early_exit, result_refused, not_started or gate",
    "kind": f"one of {', '.join(get_args(ErrorKind))}",
    "severity": "critical, major, minor or informational",
    "transient": "true or false",
}
ESCALATION = {
    "automatic": _SECONDS,
    "guided": _SECONDS,
    "manual": _SECONDS,
    "default": "retry, skip, fail or roll back",
}
OPTIMIZATION = {"history": "true or false", "adaptive": "true or false"}
MONITORING = {"interval": _SECONDS, "log_size": "a whole number of bytes from 4096", "audit": "true or false"}
CHECKPOINTS = {
    "at": "a list of start, command, gate, recovery, pause and completion",
    "include": "a list of paths",
    "exclude": "a list of paths",
    "keep": "a whole number from 2",
    "keep_for": f'{_SECONDS}, or "none"',
    "size_limit": 'a whole number of bytes, or an amount such as "50MB"',
    "rollback": "off, ask or automatic",
}
KERNELS = {"start": "fork, pool or plain", "preload": "a list of modules"}
PARAMETER = {
    "type": f"one of {', '.join(TYPES)}",
    "required": "true or false",
    "choices": "a list of values",
    "description": "text",
}
"""What each key takes, in words."""

_SECTIONS: dict[str, tuple[str, Mapping[str, str], tuple[str, ...]]] = {
    "workflow": ("a workflow", WORKFLOW, (*WorkflowDefinition.model_fields, *WORKFLOW_WORDS)),
    "command": ("a command", COMMAND, (*CommandDefinition.model_fields, *COMMAND_WORDS)),
    "parameter": ("the declaration of a parameter", PARAMETER, tuple(ParameterDefinition.model_fields)),
    "gate": ("a gate", GATE, tuple(GateDefinition.model_fields)),
    "recovery": ("the recovery", RECOVERY, (*RecoveryDefinition.model_fields, *RETRY_WORDS)),
    "rule": ("a rule", RULE, tuple(RuleDefinition.model_fields)),
    "escalation": ("the escalation", ESCALATION, tuple(EscalationDefinition.model_fields)),
    "optimization": ("the optimization", OPTIMIZATION, tuple(OptimizationDefinition.model_fields)),
    "monitoring": ("the monitoring", MONITORING, tuple(MonitoringDefinition.model_fields)),
    "checkpoints": ("the section of checkpoints", CHECKPOINTS, tuple(CheckpointsDefinition.model_fields)),
    "kernels": ("the section of kernels", KERNELS, tuple(KernelsDefinition.model_fields)),
}


def _literal(annotation: Any) -> Any:
    """Return the list of words that an annotation is, or is besides None; None where there is none."""
    kinds = [annotation, *get_args(annotation)]
    return next((kind for kind in kinds if get_origin(kind) is Literal), None)


_CHOICES = {
    (section, name): tuple(choice for choice in get_args(literal) if isinstance(choice, str))
    for section, model in (
        ("workflow", WorkflowDefinition),
        ("command", CommandDefinition),
        ("parameter", ParameterDefinition),
        ("escalation", EscalationDefinition),
        ("kernels", KernelsDefinition),
    )
    for name in model.model_fields
    if (literal := _literal(model.annotation(name))) is not None
}


_COMMAND_SECTIONS: Mapping[int | str, str] = {"gates": "gate", "kernels": "kernels"}
"""The sections that a command has."""


def translate(error: Mapping[str, Any], data: Mapping[str, Any]) -> Mistake | None:
    """Return the mistake for one of pydantic's errors, its path into `data`; None for one that only follows from
    others."""
    location = error["loc"]
    keys, value = _followed(location, data)
    pointer = ""
    for key in keys:
        pointer = child(pointer, key)
    kind = error["type"]
    if kind == "too_short" and keys == ("commands",):
        return None if value else Mistake("the workflow has no commands", pointer, expected=WORKFLOW["commands"])
    section = _section(keys)
    whole, words, _ = _SECTIONS[section]
    if kind == "extra_forbidden":
        return _unknown_key(section, str(location[-1]), pointer)
    if kind == "missing":
        return Mistake(
            f'"{location[-1]}" is missing', child(pointer, location[-1]), expected=words.get(str(location[-1]))
        )
    if kind == "value_error" or not keys:
        return _of_whole(whole, value, pointer, str(error["msg"]))
    field = _field(keys, words)
    expected = words.get(field, str(error["msg"])) if field else str(error["msg"])
    found = escaped(value) if isinstance(value, str) else described(value)
    near = _meant(section, field, kind, value) if isinstance(value, str) else None
    return Mistake(f'the value of "{field or keys[-1]}" cannot be used', pointer, found=found, expected=expected,
                   nearest=near)  # fmt: skip


def _followed(location: tuple[int | str, ...], data: Any) -> tuple[tuple[int | str, ...], Any]:
    """Return the keys of pydantic's location that lead through the data, and what is there; the names of the branches
    of a union lead nowhere."""
    keys: list[int | str] = []
    value: Any = data
    for key in location:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            continue
        keys.append(key)
    return tuple(keys), value


def _section(keys: tuple[int | str, ...]) -> str:
    """Return the section that the place is in, by the keys that lead to it."""
    top = keys[0] if len(keys) >= 2 else None
    if top == "commands":
        return _COMMAND_SECTIONS.get(keys[2], "command") if len(keys) >= 4 else "command"
    if top == "quality_requirements":
        return "gate"
    if top == "parameters":
        return "parameter"
    if keys[:2] == ("recovery", "rules") and len(keys) >= 4:
        return "rule"
    if keys[:2] == ("recovery", "escalation") and len(keys) >= 3:
        return "escalation"
    return str(top) if top in _SECTIONS else "workflow"


def _field(keys: tuple[int | str, ...], words: Mapping[str, str]) -> str | None:
    """Return the key of the section that the value belongs to: the first below the section's beginning."""
    return next((key for key in keys if isinstance(key, str) and key in words and key != "commands"),
                "commands" if keys == ("commands",) else None)  # fmt: skip


def _meant(section: str, field: str | None, kind: str, value: str) -> str | None:
    if kind == "string_pattern_mismatch":
        return slug(value) if value.strip() else None
    return nearest(value, _CHOICES.get((section, field or ""), ()))


def _of_whole(whole: str, value: Any, pointer: str, message: str) -> Mistake:
    if isinstance(value, Mapping) and whole == "a command":
        given = [name for name in KINDS if value.get(name) is not None]
        return Mistake("it is not clear what the command runs", pointer,
                       found=" and ".join(f'"{name}"' for name in given) or "none of them",
                       expected=f"exactly one of {', '.join(KINDS)}")  # fmt: skip
    return Mistake(f"{whole} cannot be read: {message}", pointer, found=described(value))


@lru_cache(maxsize=1000)
def _unknown_key(section: str, key: str, pointer: str) -> Mistake:
    whole, words, names = _SECTIONS[section]
    near = nearest(key, names)
    return Mistake(f"{whole} has no key {escaped(key)}", pointer, nearest=near,
                   expected=None if near else f"one of {', '.join(words)}")  # fmt: skip
