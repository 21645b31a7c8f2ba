"""What this machine has for commands: its processors and its memory."""

from __future__ import annotations

import os

from orchestrator_nb.definition.models import WorkflowDefinition
from orchestrator_nb.plan.pools import MEMORY, takes


def machine_memory(definition: WorkflowDefinition) -> int | None:
    """Return how many bytes of memory the machine has, None where no command of the workflow takes any."""
    holding = (command for command in definition.commands if takes(command))
    if not any(MEMORY in {*command.resources, *command.retry_resources} for command in holding):
        return None
    import psutil

    return int(psutil.virtual_memory().total)


def cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
