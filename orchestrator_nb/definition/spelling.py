"""The spellings that are read besides the canonical one: camelCase, other words for a key, and shorter forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from os import PathLike, fspath
from typing import Any

from orchestrator_nb.definition.identities import add_edges, expand_agents, give_ids
from orchestrator_nb.definition.keys import meant, renamed
from orchestrator_nb.definition.models import KINDS, CommandDefinition, ParameterDefinition, WorkflowDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.nested import COMMAND_PARTS, RETRY_POLICY_WORDS, WORKFLOW_PARTS, read_parts, retries_in
from orchestrator_nb.definition.parameters import EXPECTED, coerce, inferred_type
from orchestrator_nb.definition.pointers import child, parts
from orchestrator_nb.definition.spelled import Spelled
from orchestrator_nb.definition.values import described, escaped
from orchestrator_nb.errors import DefinitionError, Mistake

WORKFLOW_WORDS = {
    "workflow_id": "workflow", "id": "workflow", "name": "workflow", "workflow_type": "pattern",
    "execution_context": "context", "error_recovery_strategy": "recovery", "recovery_strategy": "recovery",
    "recovery_strategies": "recovery", "optimization_preferences": "optimization",
    "monitoring_configuration": "monitoring", "conflict_resolution": "merge", "merge_strategies": "merge", "max_parallel": "slots", "resource_pools": "pools",
}  # fmt: skip
"""Other words for the keys of a workflow, in snake_case."""

COMMAND_WORDS = {
    "command_id": "id", "name": "id", "dependencies": "after", "depends_on": "after", "upstream": "after",
    "max_retries": "retries", "params": "parameters", "env": "environment", "quality_gates": "gates",
    "capabilities": "provides", "sla": "targets", "retry": "retry_policy",
}  # fmt: skip
"""Other words for the keys of a command, in snake_case."""

_SPELLED_OUT = ("arguments", "attempts", "command_type", "max_attempts", "retry_policy", "timeouts")
_STRATEGY_WORDS = {
    "parallelization": "parallelization", "resource_allocation": "pools", "resources": "pools",
    "optimization": "optimization", "monitoring": "monitoring",
}  # fmt: skip
_PARALLEL_WORDS = {
    "pattern": "pattern", "strategy": "pattern", "slots": "slots", "max_parallel": "slots", "max_workers": "slots",
}  # fmt: skip
_RUN_TIMEOUT_WORDS = {
    "deadline": "deadline", "workflow": "deadline", "total": "deadline", "command": "timeout", "timeout": "timeout",
    "coordination": "coordination_timeout", "coordination_timeout": "coordination_timeout",
}  # fmt: skip
_TIMEOUT_WORDS = {
    **dict.fromkeys(("timeout", "execution", "command", "total", "seconds"), "timeout"),
    **{word: f"{what}_timeout" for what in ("start", "cell", "idle") for word in (what, f"{what}_timeout")},
    "startup": "start_timeout", "kernel_start": "start_timeout", "output": "idle_timeout",
}  # fmt: skip
_DURATIONS = (
    "timeout", "start_timeout", "cell_timeout", "idle_timeout", "duration", "retry_delay", "deadline",
    "coordination_timeout",
)  # fmt: skip
_PATTERNS = {"parallel_coordination": "parallel"}
_TYPES = {"python": "call", "callable": "call", "function": "call"}

_WORKFLOW_FIELDS = frozenset(WorkflowDefinition.model_fields)
_COMMAND_FIELDS = frozenset(CommandDefinition.model_fields)
_PARAMETER_FIELDS = frozenset(ParameterDefinition.model_fields)
_SHAPED = frozenset(
    (
        "after",
        "reads",
        "writes",
        "tags",
        "imports",
        "notify",
        "shell",
        "allow_failure_codes",
        "notebook",
        "cwd",
        "provides",
        *_DURATIONS,
    )
)
_OWN_TYPES = frozenset((*KINDS, *_TYPES)) - {"type"}


def canonical(document: Mapping[str, Any]) -> Spelled:
    """Return the definition in the canonical spelling. It is not validated: values that it cannot read stay as they
    are, for the model to refuse."""
    spelled = Spelled({})
    spelled.data = renamed(document, _workflow_name, "", "", spelled)
    data = spelled.data
    edges = data.pop("dependencies", None)
    for name in [name for name in data if name in _WORKFLOW_READERS]:
        _WORKFLOW_READERS[name](data, spelled)
    if isinstance(data.get("pattern"), str):
        data["pattern"] = _PATTERNS.get(data["pattern"], data["pattern"])
    _shape(data, "", spelled)
    read_parts(data, "", WORKFLOW_PARTS, spelled)
    if isinstance(data.get("parameters"), Mapping):
        data["parameters"] = {name: _parameter(value) for name, value in data["parameters"].items()}
    if isinstance(data.get("merge"), Mapping):
        data["merge"] = {key: _strategy(value) for key, value in data["merge"].items()}
    bodies = _bodies(data, spelled)
    if bodies is not None:
        derived = give_ids(bodies)
        if edges is not None:
            add_edges(edges, bodies, spelled)
        expand_agents(bodies, derived, spelled)
        data["commands"] = tuple(bodies)
    return spelled


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1000)
def _workflow_name(key: str) -> str:
    return meant(key, _WORKFLOW_FIELDS | {"dependencies"} | set(_WORKFLOW_READERS), WORKFLOW_WORDS)


@lru_cache(maxsize=1000)
def _command_name(key: str) -> str:
    return meant(key, _COMMAND_FIELDS | set(_SPELLED_OUT), COMMAND_WORDS)


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _shape(body: dict[str, Any], pointer: str, spelled: Spelled) -> None:
    """Bring lists, paths and durations into the shape of the model, in place."""
    for name in _SHAPED.intersection(body):
        value = body[name]
        if name in _DURATIONS:
            from orchestrator_nb.definition.durations import seconds

            body[name] = seconds(value)
        elif name in ("notebook", "cwd"):
            body[name] = _path(value)
        elif isinstance(value, (list, tuple)):
            body[name] = tuple([_path(item) for item in value])
        elif isinstance(value, (str, PathLike)) and name not in ("shell", "allow_failure_codes"):
            body[name] = (_path(value),)
            spelled.origins[f"{pointer}/{name}/0"] = spelled.origin(f"{pointer}/{name}")


def _path(value: Any) -> Any:
    return fspath(value) if type(value) is not str and isinstance(value, PathLike) else value


def _strategy(value: Any) -> Any:
    """Return the name of a function that was written as ``{function: module:name}``, anything else as it is."""
    return value["function"] if isinstance(value, Mapping) and list(value) == ["function"] else value


def _parameter(value: Any) -> Any:
    """Return the fields of a ParameterDefinition for its declaration, or for a plain default."""
    if isinstance(value, ParameterDefinition):
        return value.model_dump()
    if not is_declaration(value):
        return {"type": inferred_type(value), "default": value}
    declared = dict(value)
    declared.setdefault("required", "default" not in declared)
    type_name = declared.setdefault("type", "any")
    if declared.get("default") is not None:
        declared["default"] = _coerced(declared["default"], type_name)
    if isinstance(declared.get("choices"), (list, tuple)):
        declared["choices"] = tuple(_coerced(choice, type_name) for choice in declared["choices"])
    return declared


def _coerced(value: Any, type_name: Any) -> Any:
    """Return the value as the declared type, or as it is when it does not fit: the check of all defaults says so."""
    try:
        return coerce(value, type_name)
    except (DefinitionError, KeyError, TypeError):
        return value


def is_declaration(value: Any) -> bool:
    """Whether a value is the declaration of a parameter, and not its default."""
    if not isinstance(value, Mapping) or not value:
        return False
    if _PARAMETER_FIELDS.issuperset(value) or not {"default", "choices", "required"}.isdisjoint(value):
        return True
    return isinstance(value.get("type"), str) and value["type"] in EXPECTED


# ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────


def _bodies(data: dict[str, Any], spelled: Spelled) -> list[dict[str, Any]] | None:
    """Return the commands as a list of canonical mappings, or None when there is no list of commands at all."""
    commands = data.get("commands")
    if isinstance(commands, Mapping):
        spelled.keyed = True
        entries = [(key, body) for key, body in commands.items()]
    elif isinstance(commands, (list, tuple)):
        entries = [(None, body) for body in commands]
    else:
        if "commands" in data:
            del data["commands"]
            spelled.mistakes.append(Mistake("the commands cannot be read", "/commands", found=described(commands),
                                            expected="a mapping of ids to commands, or a list of commands"))  # fmt: skip
        return None
    bodies: list[dict[str, Any]] = []
    for place, (key, body) in enumerate(entries):
        origin = child("/commands", place if key is None else str(key))
        pointer = child("/commands", len(bodies))
        if origin != pointer:
            spelled.origins[pointer] = origin
        bodies.append(_command(key, body, pointer, origin, spelled))
    return bodies


def _command(key: Any, body: Any, pointer: str, origin: str, spelled: Spelled) -> dict[str, Any]:
    if not isinstance(body, Mapping):
        spelled.mistakes.append(Mistake("a command is not a mapping", origin, found=described(body),
                                        expected='a mapping such as {"notebook": "clean.ipynb"}'))  # fmt: skip
        return {} if key is None else {"id": key}
    named = renamed(body, _command_name, pointer, origin, spelled)
    if key is not None:
        if named.get("id", key) != key:
            spelled.mistakes.append(Mistake("the command has two ids",
                                            spelled.origins.get(f"{pointer}/id", child(origin, "id")), found=described(named["id"]),
                                            expected=f"{escaped(str(key))} only"))  # fmt: skip
        named["id"] = key
    for name in [name for name in named if name in _READERS]:
        _READERS[name](named, pointer, spelled)
    parameters = named.get("parameters")
    if type(parameters) is not dict and isinstance(parameters, Mapping):
        named["parameters"] = dict(parameters)
    if isinstance(named.get("type"), str) and named["type"] in _OWN_TYPES:
        _command_type(named, pointer, spelled, key="type")
    _shape(named, pointer, spelled)
    if type(named.get("when")) is bool:
        named["when"] = "true" if named["when"] else "false"
    read_parts(named, pointer, COMMAND_PARTS, spelled)
    if "workflow" in named:
        named["workflow"] = _path(named["workflow"])
    return named


def _arguments(body: dict[str, Any], pointer: str, spelled: Spelled) -> None:
    value = body.pop("arguments")
    _put(body, "parameters" if isinstance(value, Mapping) else "args", value, f"{pointer}/arguments", pointer, spelled)


def _attempts(body: dict[str, Any], pointer: str, spelled: Spelled, *, key: str = "attempts") -> None:
    at = f"{pointer}/{key}"
    retries = retries_in(body.pop(key), at, spelled)
    if retries is not None:
        _put(body, "retries", retries, at, pointer, spelled)


def _max_attempts(body: dict[str, Any], pointer: str, spelled: Spelled) -> None:
    _attempts(body, pointer, spelled, key="max_attempts")


def _command_type(body: dict[str, Any], pointer: str, spelled: Spelled, *, key: str = "command_type") -> None:
    """A type that names one of our own kinds repeats what the key of that kind says; any other is a registered name."""
    value, at = body.pop(key), f"{pointer}/{key}"
    kind = _TYPES.get(value, value) if isinstance(value, str) else None
    if kind in KINDS and kind != "type":
        if kind not in body:
            spelled.mistakes.append(Mistake(f'the command is of the type "{value}" and does not say which', spelled.origin(at),
                                            expected=f'a key "{kind}" besides'))  # fmt: skip
            body[kind] = ("?",) if kind == "shell" else "?"
    else:
        _put(body, "command", value, at, pointer, spelled)


def _execution_strategy(data: dict[str, Any], spelled: Spelled) -> None:
    """Move the parts of a strategy to the keys of their own; a text is the pattern."""
    _spread(data, "execution_strategy", _STRATEGY_WORDS, "pattern", "", spelled)
    if "parallelization" in data:
        _spread(data, "parallelization", _PARALLEL_WORDS, "pattern", "", spelled)


def _run_timeouts(data: dict[str, Any], spelled: Spelled) -> None:
    _spread(data, "timeouts", _RUN_TIMEOUT_WORDS, "deadline", "", spelled)


_WORKFLOW_READERS: dict[str, Callable[[dict[str, Any], Spelled], None]] = {
    "execution_strategy": _execution_strategy,
    "timeouts": _run_timeouts,
}


def _retry_policy(body: dict[str, Any], pointer: str, spelled: Spelled) -> None:
    _spread(body, "retry_policy", RETRY_POLICY_WORDS, "retries", pointer, spelled)
    if "attempts" in body:
        _attempts(body, pointer, spelled)


def _timeouts(body: dict[str, Any], pointer: str, spelled: Spelled) -> None:
    _spread(body, "timeouts", _TIMEOUT_WORDS, "timeout", pointer, spelled)


def _spread(
    body: dict[str, Any], key: str, words: Mapping[str, str], single: str, pointer: str, spelled: Spelled
) -> None:
    """Move what is below a key to the command itself; a value that is not a mapping is the `single` one."""
    value, at = body.pop(key), f"{pointer}/{key}"
    if not isinstance(value, Mapping):
        _put(body, single, value, at, pointer, spelled)
        return
    for name, item in value.items():
        word = words.get(meant(str(name), frozenset(words), {}))
        if word is None:
            spelled.mistakes.append(Mistake(
                f'"{parts(spelled.origin(at))[-1]}" has no key {escaped(str(name))}', spelled.origin(child(at, str(name))),
                expected=f"one of {', '.join(words)}", nearest=nearest(str(name), words),
            ))  # fmt: skip
        else:
            _put(body, word, item, child(at, str(name)), pointer, spelled)


def _put(body: dict[str, Any], name: str, value: Any, at: str, pointer: str, spelled: Spelled) -> None:
    """Give a command a value that was written elsewhere, at the canonical pointer `at`."""
    origin = spelled.origin(at)
    if name in body:
        spelled.mistakes.append(Mistake(f'"{name}" is said twice', origin, expected="once"))
        return
    body[name] = value
    spelled.origins[f"{pointer}/{name}"] = origin


_READERS: dict[str, Callable[[dict[str, Any], str, Spelled], None]] = {
    "arguments": _arguments,
    "attempts": _attempts,
    "command_type": _command_type,
    "max_attempts": _max_attempts,
    "retry_policy": _retry_policy,
    "timeouts": _timeouts,
}
