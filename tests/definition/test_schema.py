"""The JSON Schema: it is valid, it accepts what we write and it refuses what we refuse."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from orchestrator_nb.definition.document import read_text
from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.definition.schema import json_schema
from orchestrator_nb.definition.writing import to_dict
from orchestrator_nb.errors import DefinitionError

SALES = """
workflow: sales
description: every day
pattern: hybrid
parameters:
  day: 2026-01-01
  size: {type: integer, default: 1, choices: [1, 2], description: how much}
  free: {type: any, required: true}
  tree: {a: [1]}
slots: 4
timeout: none
deadline: 2h
context: {tries: 0}
quality_requirements: ["rmse < 3.5", {gate: nbval, blocking: false, options: {lax: true}}]
recovery: {retries: 1, retry_delay: 500ms}
optimization: {history: false}
monitoring: {interval: 2s}
checkpoints: {at: [start, command], exclude: data/*, keep: {count: 50, age: 7d}, size_limit: 10MB, rollback: ask}
kernels: {start: fork, preload: pandas}
commands:
  01-clean:
    notebook: clean.ipynb
    parameters: {day: "${{ parameters.day }}"}
    writes: clean.parquet
    kernels: pool
    timeout: 5m
    outputs: {rows: integer, clean: table}
    gates: "rows > 0"
    targets: {seconds: 60, memory: 2GB}
  model:
    call: steps:model
    after: [01-clean]
    retries: 2
    outputs: [rmse]
    context: tries
    fallback: publish
    degraded: {size: 1}
    provides: modelling
    milestone: true
    retry_delay: 1.5
    args: {any: [thing]}
  publish:
    shell: [echo, done]
    after: model
    timeout: 60
    environment: {A: b}
"""
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_one() -> None:
    """It follows its own draft, names it, and describes every key."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for properties in (schema["properties"], *(part["properties"] for part in schema["$defs"].values())):
        assert all(found.get("description") for name, found in properties.items() if name != "default"), properties


def test_what_is_read_and_written_is_valid() -> None:
    """A document in canonical keys is valid, and so is what is written of it."""
    VALIDATOR.validate(read_text(SALES).data)
    VALIDATOR.validate(to_dict(read_definition(SALES).definition))


@pytest.mark.parametrize(
    "changes",
    [
        {"workflow": "sales report"}, {"workflow": None}, {"patern": "hybrid"}, {"pattern": "both"}, {"slots": 0}, {"commands": {}},
        {"commands": {"a": {}}}, {"commands": {"a": {"call": "s:f", "shell": ["ls"]}}}, {"commands": {"a b": {"call": "s:f"}}},
        {"commands": {"context": {"call": "s:f"}}}, {"commands": {"a": {"shell": "ls"}}}, {"commands": {"a": {"call": "s:f", "retries": "3"}}},
        {"commands": {"a": {"call": "s:f", "timeout": "5m!"}}}, {"commands": {"a": {"call": "s:f", "depends": "x"}}},
        {"parameters": {"a-b": 1}}, {"parameters": ["a"]}, {"commands": {"a": {"call": "s:f", "environment": {"A": 1}}}},
        {"timeout": -1}, {"durability": "none"}, {"deadline": 0}, {"recovery": "pray"}, {"recovery": {"retrys": 1}},
        {"quality_requirements": [{"name": "no gate"}]}, {"quality_requirements": 3}, {"monitoring": {"interval": "soon"}},
        {"checkpoints": "never"}, {"checkpoints": {"at": ["noon"]}}, {"checkpoints": {"keep": 1}},
        {"checkpoints": {"rollback": "maybe"}}, {"checkpoints": {"keep": {"days": 3}}}, {"checkpoints": {"excluded": "a"}},
        {"optimization": {"adaptive": "yes"}}, {"commands": {"a": {"call": "s:f", "outputs": {"rows": "int"}}}},
        {"commands": {"a": {"call": "s:f", "gates": [{"gate": "a < 1", "blockng": True}]}}},
        {"commands": {"a": {"call": "s:f", "targets": {"seconds": -1}}}},
        {"kernels": "frok"}, {"kernels": {"strat": "fork"}}, {"commands": {"a": {"notebook": "a.ipynb", "kernels": ["x"]}}},
    ],
)  # fmt: skip
def test_schema_and_reader_refuse_the_same(changes: dict[str, Any]) -> None:
    """What an editor underlines is what the reader refuses."""
    data = {"workflow": "w", "commands": {"a": {"call": "s:f"}}, **changes}
    assert not VALIDATOR.is_valid(data)
    with pytest.raises(DefinitionError):
        read_definition(data)
