"""In which way the kernel of a notebook is to come to be, and why it is not forked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator_nb.commands.notebooks.kernel import Kernel
from orchestrator_nb.definition.models import KernelsDefinition
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.errors import Mistake
from orchestrator_nb.kernels.fork_server import servers, why_no_fork
from orchestrator_nb.kernels.ways import FORK, PLAIN, POOL, SWITCH


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelWay:
    """`start` is fork, pool or plain; `reason` says why it is not fork, None where it is."""

    start: str
    reason: str | None = None


def kernel_way(
    kernel: Kernel, own: KernelsDefinition | None, workflow: KernelsDefinition | None, environment: Mapping[str, str]
) -> KernelWay:
    """Return how this kernel is to be started: as the user has said, for this run in a variable, for the command or
    for the workflow; where a fork is meant and cannot be, from the pool.

    `environment` is that of the kernel.
    """
    switch = os.environ.get(SWITCH)
    said = [(switch, f"{SWITCH}={switch} is set")]
    said += [
        (part.start, f"{whose} says `kernels: {part.start}`")
        for part, whose in ((own, "the command"), (workflow, "the workflow"))
        if part is not None and part.start is not None
    ]
    for start, reason in said:
        if start in (POOL, PLAIN):
            return KernelWay(start=start, reason=reason)
        if start == FORK:
            break
    why = _why_not_forked(kernel, environment)
    return KernelWay(start=FORK) if why is None else KernelWay(start=POOL, reason=why)


def switch_mistake() -> Mistake | None:
    """Return what is wrong with the variable that says how kernels are started."""
    switch = os.environ.get(SWITCH)
    ways = (FORK, POOL, PLAIN)
    if not switch or switch in ways:
        return None
    message = f"the environment variable {SWITCH} cannot be used"
    return Mistake(message, found=f'"{switch}"', expected=", ".join(ways), nearest=nearest(switch, ways))


def _why_not_forked(kernel: Kernel, environment: Mapping[str, str]) -> str | None:
    if not kernel.is_ipykernel:
        return f'the kernel "{kernel.name}" is not the Python kernel of Jupyter'
    if kernel.interpreter is None:
        return f'the command of the kernel "{kernel.name}" does not begin with the path of a Python interpreter'
    return why_no_fork() or servers.why_unable(kernel.interpreter, environment)
