"""The whole story of a run that did not complete: one card a failed command, then what to type next."""

from __future__ import annotations

from orchestrator_nb.orchestrator.failure_card import card_lines
from orchestrator_nb.orchestrator.result import RunResult


def failure_text(result: RunResult) -> str:
    """Return the whole story of a run that did not complete: one card a failed command, then what to type."""
    state = result.state if result.state == "failed" else f"is {result.state}"
    lines = [f'run "{result.run}" {state}' + (f": {result.reason}" if result.reason else "")]
    for command, failure in result.errors.items():
        notebook, log = result.notebooks.get(command), result.logs.get(command)
        lines += ["", *card_lines(command, failure, notebook, log, cell=result.commands[command].cell)]
    held_back = [name for name, record in result.commands.items() if record.state == "upstream_failed"]
    if held_back:
        lines += ["", f"not run, because of that: {', '.join(held_back)}"]
    if result.next_steps:
        lines += ["", *result.next_steps]
    return "\n".join(lines)
