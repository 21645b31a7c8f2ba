"""The whole story of a run that did not complete: one card a failed command, then what to type next."""

from __future__ import annotations

from orchestrator_nb.orchestrator.display.failure_card import card_lines
from orchestrator_nb.orchestrator.display.result import RunResult
from orchestrator_nb.orchestrator.display.shown import as_text, listed
from orchestrator_nb.state.standing import told_of_milestones

MANY = 20
"""So many commands are named in one line at the most."""


def failure_text(result: RunResult) -> str:
    """Return the whole story of a run that did not complete: one card a failed command, then what to type."""
    state = result.state if result.state == "failed" else f"is {result.state}"
    lines = [f'run "{result.run}" {state}' + (f": {result.reason}" if result.reason else "")]
    alike = _alike(result)
    for command, failure in result.errors.items():
        if command not in alike:
            continue
        notebook, log = result.notebooks.get(command), result.logs.get(command)
        lines += ["", *card_lines(command, failure, notebook, log, cell=result.commands[command].cell)]
        lines += _kind_of_error(result, command)
        if alike[command]:
            lines.append(f"  failed in the same way: {listed(alike[command], MANY)}")
    held_back = [name for name, record in result.commands.items() if record.state == "upstream_failed"]
    if held_back:
        lines += ["", f"not run, because of that: {listed(held_back, MANY)}"]
    if result.milestones:
        lines += ["", told_of_milestones(result.milestones)]
    if result.next_steps:
        lines += ["", *result.next_steps]
    return as_text("\n".join(lines))


def _kind_of_error(result: RunResult, command: str) -> list[str]:
    """Return what kind of error it was and what may help, where that says more than the failure itself."""
    error = result.commands[command].error
    if error is None or error.kind == "command_failure":
        return []
    told = f", told by {', '.join(error.evidence)}" if error.evidence else ""
    kind = f"  kind of error: {error.kind.replace('_', ' ')}, {error.severity}{told}"
    return [kind, *(f"  may help: {text}" for text in result.recommendations[command])]


def _alike(result: RunResult) -> dict[str, list[str]]:
    """Return the commands that have a card, each with the other cells of its matrix that failed just so."""
    first: dict[tuple[object, ...], str] = {}
    alike: dict[str, list[str]] = {}
    for command, failure in result.errors.items():
        matrix = result.matrices.get(command, command)
        shown = first.setdefault((matrix, failure.kind, failure.types, failure.message, failure.cell), command)
        alike.setdefault(shown, []).extend([command] if shown != command else [])
    return alike
