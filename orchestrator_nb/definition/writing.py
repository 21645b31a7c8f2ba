"""Writing a definition: the canonical form as plain data, YAML or JSON, which reads back as the very same definition."""

from __future__ import annotations

import json
import re
from typing import Any

from orchestrator_nb.definition.model import Model
from orchestrator_nb.definition.models import GateDefinition, ParameterDefinition, WorkflowDefinition
from orchestrator_nb.definition.parameters import inferred_type
from orchestrator_nb.definition.spelling import is_declaration

_PLAIN = r"([A-Za-z_/.]|[0-9]+-[A-Za-z])[A-Za-z0-9_./-]*( [A-Za-z0-9_./][A-Za-z0-9_./-]*)*"
_OLD_WORDS = frozenset(("y", "n", "yes", "no", "on", "off"))
_UNSEEN = "[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]"
_WIDTH = 100
_LONGEST_KEY = 500


def to_dict(definition: WorkflowDefinition) -> dict[str, Any]:
    """Return the definition as plain data: commands by id, defaults left out."""
    plain = _fields(definition, ("parameters", "commands"))
    if definition.parameters:
        plain["parameters"] = {name: _parameter(declared) for name, declared in definition.parameters.items()}
    plain["commands"] = {command.id: _fields(command, ("id",)) for command in definition.commands}
    return plain


def to_json(definition: WorkflowDefinition) -> str:
    """Return the definition as JSON, indented, with a line break at the end."""
    return json.dumps(to_dict(definition), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def to_yaml(definition: WorkflowDefinition) -> str:
    """Return the definition as YAML 1.2, quoted so that older readers of YAML see the same."""
    return plain_yaml(to_dict(definition))


def plain_yaml(value: dict[str, Any]) -> str:
    """Return plain JSON as YAML 1.2, quoted so that older readers of YAML see the same."""
    return "\n".join(_block(value, "")) + "\n"


def to_plain(value: Any, *, defaults: bool = False) -> Any:
    """Return the value of a field as plain data, fields at their default left out unless `defaults` are wanted; a gate
    that is nothing but its expression is that text."""
    if isinstance(value, GateDefinition) and value == GateDefinition(gate=value.gate):
        return value.gate
    if isinstance(value, Model):
        return _fields(value, (), defaults=defaults)
    return [to_plain(item, defaults=defaults) for item in value] if isinstance(value, tuple) else value


def said(model: Model) -> dict[str, Any]:
    """Return the fields that are not at their default, in the order of the model, as they are."""
    fields = model.model_fields
    given = sorted(model.model_fields_set, key=model.places.__getitem__)  # as a rule a few of many
    return {name: value for name in given if (value := getattr(model, name)) != fields[name].default}


def _fields(model: Model, without: tuple[str, ...], *, defaults: bool = False) -> dict[str, Any]:
    shown = {name: getattr(model, name) for name in type(model).model_fields} if defaults else said(model)
    return {name: to_plain(value, defaults=defaults) for name, value in shown.items() if name not in without}


def _parameter(declared: ParameterDefinition) -> Any:
    """Return a parameter as its plain default where that says it all, else as its declaration."""
    default = declared.default
    if not is_declaration(default) and declared == ParameterDefinition(type=inferred_type(default), default=default):
        return default
    plain = {"type": declared.type, **_fields(declared, ("type",))}
    return plain if declared.required else {**plain, "default": default}


def _block(value: dict[str, Any], indent: str) -> list[str]:
    """Return the lines of a mapping, one key a line or more."""
    lines = []
    for key, item in value.items():
        lead = f"{indent}{_scalar(key)}:"
        if len(lead) > _LONGEST_KEY:
            lines += [f"{indent}? {_scalar(key)}", f"{indent}: {_flow(item)}"]
        elif type(item) is dict and item:
            lines += [lead, *_block(item, f"{indent}  ")]
        elif type(item) is list and len(lead) + len(_flow(item)) > _WIDTH:
            lines += [lead, *(f"{indent}  - {_flow(one)}" for one in item)]
        else:
            lines.append(f"{lead} {_flow(item)}")
    return lines


def _flow(value: Any) -> str:
    """Return a value on one line."""
    if type(value) is list or type(value) is tuple:
        return f"[{', '.join(_flow(item) for item in value)}]"
    if type(value) is dict:
        return f"{{{', '.join(f'{_flow_key(key)}: {_flow(item)}' for key, item in value.items())}}}"
    return _scalar(value)


def _flow_key(key: str) -> str:
    written = _scalar(key)
    return f"? {written} " if len(written) > _LONGEST_KEY else written


def _scalar(value: Any) -> str:
    from orchestrator_nb.definition.yaml_text import is_plain_text

    if type(value) is str and re.fullmatch(_PLAIN, value) and is_plain_text(value) and value.lower() not in _OLD_WORDS:
        return value
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return re.sub(_UNSEEN, lambda match: f"\\u{ord(match.group()):04x}", written)
