"""How functions are addressed in a definition, and what the session is called in which some of them exist only."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from orchestrator_nb.definition.models import WorkflowDefinition
from orchestrator_nb.orchestrator.gates import all_gates

SESSION = "__main__:"
"""How the address of a function begins that exists in a session only."""


def address(function: Any) -> str:
    """Return module:name where the function can be imported from, else a name in the session."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    found: Any = sys.modules.get(module or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    if module and module != "__main__" and found is function:
        return f"{module}:{name}"
    plain = getattr(function, "__name__", type(function).__name__)
    return f"{SESSION}{plain if plain.isidentifier() else 'function'}"


def needs_session(definition: WorkflowDefinition) -> bool:
    """Whether functions of a session are part of a workflow, so that no other process can run it."""
    if any(command.call is not None and command.call.startswith(SESSION) for command in definition.commands):
        return True
    if any(strategy.startswith(SESSION) for strategy in definition.merge.values()):
        return True
    return any(gate.gate.startswith(SESSION) for gate in all_gates(definition))


def cell_number() -> int | None:
    """Return the number of the cell that runs in this session of IPython or Jupyter; None outside of one."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return None if shell is None else int(shell.execution_count)


def session_name() -> str:
    """Return the name of the notebook or program in which this process defines things."""
    notebook = os.environ.get("JPY_SESSION_NAME")
    if notebook:
        return Path(notebook).name
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(main).name if main else "the session that defined it"
