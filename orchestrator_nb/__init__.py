"""Run the work of notebooks, callables and shell commands as workflows.

The public names are handed on when they are first used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any

_WHERE = {
    "Workflow": "orchestrator_nb.orchestrator.workflow",
    "WorkflowOrchestrator": "orchestrator_nb.orchestrator.interface",
    "GateResult": "orchestrator_nb.orchestrator.display.gate_result",
    "Verdict": "orchestrator_nb.ports",
    "CommandResult": "orchestrator_nb.data.command_result",
    "Run": "orchestrator_nb.orchestrator.run",
    "RunResult": "orchestrator_nb.orchestrator.display.result",
    "RunFailed": "orchestrator_nb.errors",
    "DefinitionError": "orchestrator_nb.errors",
    "register": "orchestrator_nb.commands.registry",
    "History": "orchestrator_nb.analytics.history",
    "Notify": "orchestrator_nb.orchestrator.notifying",
    "attach": "orchestrator_nb.orchestrator.attaching",
    "context": "orchestrator_nb.context",
}

_OF_IPYTHON = {
    "load_ipython_extension": "orchestrator_nb.jupyter.extension",
    "unload_ipython_extension": "orchestrator_nb.jupyter.extension",
}
"""What `%load_ext orchestrator_nb` looks for; no user types these."""

__all__ = sorted(_WHERE)  # noqa: PLE0605 - the table is the one place where the names stand


def __getattr__(name: str) -> Any:
    if name in _OF_IPYTHON:
        return getattr(import_module(_OF_IPYTHON[name]), name)
    if name not in _WHERE:
        raise AttributeError(f'module "orchestrator_nb" has no attribute "{name}"')
    module = _imported(_WHERE[name])
    value = module if _WHERE[name] == f"orchestrator_nb.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def _imported(name: str) -> Any:
    """Return a module. The collector rests meanwhile: what modules are made of is there to stay, and looking through it
    again and again takes longer than anything else in an import."""
    if not gc.isenabled():  # whoever has switched it off may switch it on at any moment
        return import_module(name)
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.enable()


def __dir__() -> list[str]:
    return list(__all__)
