"""The JSON Schema of a definition in its canonical form, by which editors complete and check what is typed."""

from __future__ import annotations

from typing import Any

from orchestrator_nb.definition.models import KINDS, WorkflowDefinition
from orchestrator_nb.definition.names import RESERVED
from orchestrator_nb.definition.wording import (
    CHECKPOINTS,
    COMMAND,
    ESCALATION,
    GATE,
    KERNELS,
    MONITORING,
    OPTIMIZATION,
    PARAMETER,
    RECOVERY,
    RULE,
    WORKFLOW,
)

_ONE_OR_MORE = (
    "after",
    "reads",
    "writes",
    "tags",
    "imports",
    "notify",
    "provides",
    "at",
    "include",
    "exclude",
    "preload",
)
_GATES = ("gates", "quality_requirements")
_NAMES = ("outputs", "context", "shares")
_DURATIONS = (
    "timeout", "start_timeout", "cell_timeout", "idle_timeout", "duration", "retry_delay", "deadline",
    "coordination_timeout", "interval", "keep_for", "automatic", "guided", "manual",
)  # fmt: skip
_DURATION = {
    "type": "string",
    "pattern": r"^\s*([0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)\s*)+$",
    "description": "a duration such as 90s, 5m or 1h30m",
}


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of a definition whose commands are a mapping of ids."""
    schema = WorkflowDefinition.model_json_schema()
    definitions = schema["$defs"]
    workflow = schema["properties"]
    command = definitions["CommandDefinition"]
    name = command["properties"].pop("id")
    command["required"] = [key for key in command.get("required", ()) if key != "id"]
    command["oneOf"] = [{"required": [kind]} for kind in KINDS]
    workflow["commands"] = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": name["pattern"], "not": {"enum": list(RESERVED)}},
        "additionalProperties": {"$ref": "#/$defs/CommandDefinition"},
    }
    strategy = workflow["merge"]["additionalProperties"]
    by_name = {"type": "object", "required": ["function"], "additionalProperties": False}
    strategy["anyOf"].append({**by_name, "properties": {"function": strategy["anyOf"][-1]}})
    workflow["parameters"] = {
        "type": "object",
        "propertyNames": {"pattern": r"^(?!__)[A-Za-z_][A-Za-z0-9_]*$"},
        "additionalProperties": {"anyOf": [{"$ref": "#/$defs/ParameterDefinition"}, {"description": "a default"}]},
    }
    for properties, words in (
        (workflow, WORKFLOW), (command["properties"], COMMAND),
        (definitions["ParameterDefinition"]["properties"], PARAMETER),
        (definitions["GateDefinition"]["properties"], GATE),
        (definitions["RecoveryDefinition"]["properties"], RECOVERY),
        (definitions["RuleDefinition"]["properties"], RULE),
        (definitions["EscalationDefinition"]["properties"], ESCALATION),
        (definitions["OptimizationDefinition"]["properties"], OPTIMIZATION),
        (definitions["MonitoringDefinition"]["properties"], MONITORING),
        (definitions["CheckpointsDefinition"]["properties"], CHECKPOINTS),
        (definitions["KernelsDefinition"]["properties"], KERNELS),
    ):  # fmt: skip
        _finish(properties, words)
    command.pop("title", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "A workflow of orchestrator_nb",
    }


def _finish(properties: dict[str, Any], words: dict[str, str]) -> None:
    """Give each key its description, and the short forms that are read besides the full one."""
    for key, expected in words.items():
        if key not in properties:
            continue
        found = properties[key]
        found.pop("title", None)
        known = found.pop("description", None)
        if key in _ONE_OR_MORE:
            found = {"anyOf": [found, {"type": "string"}], "default": found.pop("default", [])}
        elif key in _GATES:
            found["items"] = {"anyOf": [found["items"], {"type": "string", "minLength": 1}]}
            found = {"anyOf": [found, *found["items"]["anyOf"]], "default": found.pop("default")}
        elif key in _NAMES and "enum" in str(found["additionalProperties"]):
            found = {"anyOf": [found, {"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
        elif key == "recovery":
            found = {"anyOf": [found, {"enum": ["none", "retry"]}]}
        elif key == "checkpoints":
            found = {"anyOf": [found, {"enum": ["off", "on", False, True]}]}
        elif key == "kernels":
            found = {"anyOf": [found, {"enum": ["fork", "pool", "plain"]}]}
        elif key == "keep":
            count = {"anyOf": found.pop("anyOf")}
            keys = {"count": count, "age": {"anyOf": [{"type": "number"}, {"const": "none"}, _DURATION]}}
            mapping = {"type": "object", "properties": keys, "additionalProperties": False}
            found = {"anyOf": [*count["anyOf"], mapping], **found}
        elif key == "escalation":
            found = {**found, "anyOf": [*found["anyOf"], {"type": "boolean"}]}
        elif key in _DURATIONS:
            default = {"default": found.pop("default")} if "default" in found else {}
            found = {"anyOf": [*found.pop("anyOf", [found]), _DURATION], **default}
        properties[key] = {"description": known or expected, **found}
