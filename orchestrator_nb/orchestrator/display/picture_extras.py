"""What a run's picture shows besides its commands: parameters, open decisions, checkpoints, gates with their evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator_nb.drawing.numbers import rounded
from orchestrator_nb.events import CheckpointTaken
from orchestrator_nb.orchestrator.display.compliance import gates_of
from orchestrator_nb.orchestrator.display.gate_result import GateResult
from orchestrator_nb.orchestrator.display.shown import as_text
from orchestrator_nb.state.escalation import LEVELS, MEANINGS
from orchestrator_nb.state.run_state import RunState

LONGEST = 160
"""Letters of a text that are shown."""


def parameters_of(state: RunState) -> list[list[str]]:
    """Return the parameters of a run as ``[name, value]``."""
    return [[name, _brief(value)] for name, value in state.run.parameters.items()]


def asked_of(state: RunState) -> list[dict[str, Any]]:
    """Return the decisions that are open, with what may be answered and what each answer means."""
    return [
        {
            "number": item.number,
            "command": item.command or "",
            "question": as_text(item.question),
            "options": [[option, MEANINGS.get(option, "")] for option in item.options],
            "fallback": item.default or "",
            "deadline": item.deadline,
            "level": LEVELS[item.level],
        }
        for item in state.open_decisions()
    ]


def points_of(state: RunState) -> list[dict[str, Any]]:
    """Return the checkpoints that a run can go back to, the oldest first."""
    return [{"to": item.id, "at": item.at, "label": _kept(item), "files": item.files} for item in state.checkpoints]


def _kept(taken: CheckpointTaken) -> str:
    """Return what a checkpoint is of."""
    of = taken.command or taken.boundary
    return f"{of}: {taken.gate} passed" if taken.gate and taken.command else taken.gate or of


def checked_of(state: RunState, folder: Path) -> list[list[Any]]:
    """Return the gates as ``[command, gate, verdict, blocking, found, evidence, seconds]``; `evidence` is the file that
    was kept, relative to the run's folder, empty where there is none."""
    return [
        [
            gate.command,
            gate.gate,
            gate.verdict,
            gate.blocking,
            as_text(found_by(gate))[:LONGEST],
            gate.to_plain(folder).get("evidence", ""),
            round(gate.seconds, 3),
        ]
        for gate in gates_of(state, folder)
    ]


def found_by(gate: GateResult) -> str:
    """Return what a gate found, in words."""
    if gate.message:
        return gate.message
    if gate.value is None:
        return ""
    return f"found {rounded(gate.value)!r}"


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
