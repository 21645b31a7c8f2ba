"""The gates by name: our own, and those of installed packages.

A package brings a gate, used as ``gates: [{gate: name}]``, by an entry point of the group `GROUP`, in its
pyproject.toml:

    [project.entry-points."orchestrator_nb.gates"]
    name = "package.module:ClassWithoutArguments"

The class derives from `ports.Gate`, where its methods are described.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from orchestrator_nb.definition.models import GateDefinition
from orchestrator_nb.errors import UsageError
from orchestrator_nb.ports import Gate
from orchestrator_nb.quality.function import FunctionGate

GROUP = "orchestrator_nb.gates"
"""The entry point group under which a package names its gates: ``name = "module:ClassWithoutArguments"``."""

BUILT_IN: Mapping[str, str] = {
    "nbval": "orchestrator_nb.quality.notebook_tests:NbvalGate",
    "pytest": "orchestrator_nb.quality.notebook_tests:PytestGate",
    "pandera": "orchestrator_nb.quality.tables:PanderaGate",
    "ruff": "orchestrator_nb.quality.code:RuffGate",
    "complexity": "orchestrator_nb.quality.code:ComplexityGate",
    "bandit": "orchestrator_nb.quality.code:BanditGate",
    "secrets": "orchestrator_nb.quality.leaks:SecretsGate",
    "targets": "orchestrator_nb.quality.figures:TargetsGate",
    "baseline": "orchestrator_nb.quality.figures:BaselineGate",
    "anomaly": "orchestrator_nb.quality.figures:AnomalyGate",
}
"""Where our own gates are, by name: module:class."""

_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@cache
def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def names() -> tuple[str, ...]:
    """Return the names of all gates."""
    return tuple(sorted({*BUILT_IN, *_installed()}))


def is_expression(gate: GateDefinition) -> bool:
    """Whether a gate is an expression, and not the name of a check or of a function."""
    text = gate.gate.strip()
    return not (text in BUILT_IN or _FUNCTION.fullmatch(text) or text in _installed())


def gate_of(gate: GateDefinition, functions: Mapping[str, Callable[..., Any]]) -> Gate:
    """Return the gate of a definition; `functions` are those of this session, by their address.

    Raises UsageError where it cannot be had.
    """
    name = gate.gate.strip()
    return FunctionGate(name, functions) if _FUNCTION.fullmatch(name) else _named(name)


@cache
def _named(name: str) -> Gate:
    lead = f'the gate "{name}"'
    try:
        if name in BUILT_IN:
            module, _, attribute = BUILT_IN[name].partition(":")
            made: Any = getattr(import_module(module), attribute)()
        else:
            lead = f'the gate "{name}" of "{_installed()[name].value}"'
            made = _installed()[name].load()()
    except Exception as error:
        raise UsageError(f"{lead} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(made, Gate):
        raise UsageError(f"{lead} is no gate: derive it from orchestrator_nb.ports.Gate")
    return made
