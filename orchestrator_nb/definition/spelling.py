"""The spellings that are read besides the canonical one: camelCase, other words for a key, and shorter forms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from os import PathLike, fspath
from typing import Any

from orchestrator_nb.definition.durations import seconds
from orchestrator_nb.definition.identities import add_edges, expand_agents, give_ids
from orchestrator_nb.definition.models import KINDS, CommandDefinition, ParameterDefinition, WorkflowDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.parameters import EXPECTED, coerce, inferred_type
from orchestrator_nb.definition.pointers import child, parts
from orchestrator_nb.definition.spelled import Spelled
from orchestrator_nb.definition.values import described, escaped
from orchestrator_nb.errors import DefinitionError, Mistake

WORKFLOW_WORDS = {"workflow_id": "workflow", "id": "workflow", "name": "workflow", "workflow_type": "pattern"}
"""Other words for the keys of a workflow, in snake_case."""

COMMAND_WORDS = {
    "command_id": "id", "name": "id", "dependencies": "after", "depends_on": "after", "upstream": "after",
    "max_retries": "retries", "params": "parameters", "env": "environment",
}  # fmt: skip
"""Other words for the keys of a command, in snake_case."""

_SPELLED_OUT = ("arguments", "attempts", "command_type", "max_attempts", "retry_policy", "timeouts")
_RETRY_WORDS = {
    "retries": "retries", "max_retries": "retries", "attempts": "attempts", "max_attempts": "attempts",
    "delay": "retry_delay", "retry_delay": "retry_delay", "initial_delay": "retry_delay",
}  # fmt: skip
_TIMEOUT_WORDS = dict.fromkeys(("timeout", "execution", "command", "total", "seconds"), "timeout")
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
        "shell",
        "allow_failure_codes",
        "notebook",
        "cwd",
        "timeout",
        "duration",
        "retry_delay",
    )
)
_OWN_TYPES = frozenset((*KINDS, *_TYPES)) - {"type"}


def canonical(document: Mapping[str, Any]) -> Spelled:
    """Return the definition in the canonical spelling. It is not validated: values that it cannot read stay as they
    are, for the model to refuse."""
    spelled = Spelled({})
    spelled.data = _renamed(document, _workflow_name, "", "", spelled)
    data = spelled.data
    edges = data.pop("dependencies", None)
    if isinstance(data.get("pattern"), str):
        data["pattern"] = _PATTERNS.get(data["pattern"], data["pattern"])
    _shape(data, "", spelled)
    if isinstance(data.get("parameters"), Mapping):
        data["parameters"] = {name: _parameter(value) for name, value in data["parameters"].items()}
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
    return _name(key, _WORKFLOW_FIELDS | {"dependencies"}, WORKFLOW_WORDS)


@lru_cache(maxsize=1000)
def _command_name(key: str) -> str:
    return _name(key, _COMMAND_FIELDS | set(_SPELLED_OUT), COMMAND_WORDS)


def _name(key: str, known: frozenset[str], words: Mapping[str, str]) -> str:
    """Return the canonical key for a key, or the key itself when it is none that we know."""
    if key in known:
        return key
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    return words.get(snake, snake if snake in known else key)


def _renamed(
    body: Mapping[Any, Any], name_of: Callable[[str], str], pointer: str, origin: str, spelled: Spelled
) -> dict[str, Any]:
    """Return a mapping under canonical keys; keys with nothing (null) behind them are left out, save `commands`."""
    named: dict[str, Any] = {}
    written: dict[str, str] = {}
    for key, value in body.items():
        if not isinstance(key, str):
            spelled.mistakes.append(Mistake("a key is not text", origin, found=described(key), expected="text"))
            continue
        name = name_of(key)
        if name in named:
            spelled.mistakes.append(Mistake(
                f'"{written[name]}" and "{key}" mean the same', child(origin, key), expected=f'"{name}" only',
            ))  # fmt: skip
        elif value is not None or name == "commands":
            named[name] = value
            written[name] = key
            if name != key:
                spelled.origins[child(pointer, name)] = child(origin, key)
    return named


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _shape(body: dict[str, Any], pointer: str, spelled: Spelled) -> None:
    """Bring lists, paths and durations into the shape of the model, in place."""
    for name in _SHAPED.intersection(body):
        value = body[name]
        if name in ("timeout", "duration", "retry_delay"):
            body[name] = seconds(value)
        elif name in ("notebook", "cwd"):
            body[name] = _path(value)
        elif isinstance(value, (list, tuple)):
            body[name] = tuple([_path(item) for item in value])
        elif isinstance(value, (str, PathLike)) and name not in ("shell", "allow_failure_codes"):
            body[name] = (_path(value),)
            spelled.origins[f"{pointer}/{name}/0"] = spelled.origin(f"{pointer}/{name}")


def _path(value: Any) -> Any:
    return fspath(value) if isinstance(value, PathLike) else value


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
    named = _renamed(body, _command_name, pointer, origin, spelled)
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
    if "workflow" in named:
        named["workflow"] = _path(named["workflow"])
    return named


def _arguments(body: dict[str, Any], pointer: str, spelled: Spelled) -> None:
    value = body.pop("arguments")
    _put(body, "parameters" if isinstance(value, Mapping) else "args", value, f"{pointer}/arguments", pointer, spelled)


def _attempts(body: dict[str, Any], pointer: str, spelled: Spelled, *, key: str = "attempts") -> None:
    value, at = body.pop(key), f"{pointer}/{key}"
    if type(value) is int and value >= 1:
        _put(body, "retries", value - 1, at, pointer, spelled)
    else:
        spelled.mistakes.append(Mistake("the attempts cannot be counted", spelled.origin(at), found=described(value),
                                        expected="a whole number from 1, the first attempt included"))  # fmt: skip


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


def _retry_policy(body: dict[str, Any], pointer: str, spelled: Spelled) -> None:
    _spread(body, "retry_policy", _RETRY_WORDS, "retries", pointer, spelled)
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
        word = words.get(_name(str(name), frozenset(words), {}))
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
