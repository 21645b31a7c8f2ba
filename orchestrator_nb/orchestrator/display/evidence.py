"""What a checkpoint says besides its files: versions of the shared state and of the outputs, verdicts of gates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator_nb.ports import Step
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE


def evidence_of(state: RunState, step: Step | None = None, gate: str = "") -> dict[str, Any]:
    """Return what the checkpoint says that is taken for a step, or for a gate; without one, that of the run as it is."""
    found: dict[str, Any] = {"shared": version_of(dict(state.shared))}
    if step is not None and step.record is not None:
        found["output"] = version_of(msgspec.to_builtins(step.record.output()))
        gates = state.commands[step.command or ""].gates
    else:
        gates = state.run.gates
        found["outputs"] = version_of(sorted(_done(state)))
    if gate:
        told = gates[gate]
        whose = {"command": told.command, "attempt": told.attempt} if told.command else {}
        found["evidence"] = {"verdict": told.verdict, "value": told.value, "expected": told.expected, **whose}
    elif gates:
        found["gates"] = {name: gate.verdict for name, gate in gates.items()}
    return found


def version_of(plain: Any) -> str:
    """Return a short name for a plain value that is the same for the same value."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode("ascii", "backslashreplace")).hexdigest()[:16]


def _done(state: RunState) -> Iterator[tuple[str, int, int]]:
    return ((name, its.generation, its.attempt) for name, its in state.commands.items() if its.state in DONE)
