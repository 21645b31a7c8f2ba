"""What can be clicked in a panel: what is done with the run, and what the panel then says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.shown import as_text

LINES = 40
"""So many lines of what a command printed are shown of the one that is selected."""

REASON = "asked to in the panel"

Parts = dict[str, Any]
"""Parts of the panel by name, as they now are."""


def _pause(run: Run, _content: Parts) -> Parts:
    run.pause(REASON)
    return {"said": {}}


def _resume(run: Run, _content: Parts) -> Parts:
    run.resume(REASON)
    return {"said": {}}


def _stop(run: Run, _content: Parts) -> Parts:
    run.stop(REASON)
    return {"said": {}}


def _select(run: Run, content: Parts) -> Parts:
    command = str(content.get("command"))
    story = run.why(command)
    printed = run.logs(command).splitlines()[-LINES:]
    detail = {
        "command": command,
        "state": story.state,
        "facts": [as_text(fact) for fact in story.facts],
        "log": as_text("\n".join(printed)),
    }
    return {"detail": detail}


def _decide(run: Run, content: Parts) -> Parts:
    number, answer = int(content["number"]), str(content["answer"])
    run.decide(number, answer)
    told = f'decision {number} is made: "{answer}"'
    return {"said": {} if run.is_running else {"text": f"{told}; the run goes on when it is resumed"}}


def _try(run: Run, content: Parts) -> Parts:
    to = str(content["to"])
    return {"tried": {"to": to, "text": as_text(str(run.rollback(to=to, dry_run=True)))}, "said": {}}


def _rollback(run: Run, content: Parts) -> Parts:
    report = run.rollback(to=str(content["to"]), reason=REASON)
    return {"tried": {}, "said": {"text": as_text(str(report))}}


ACTS: dict[str, Callable[[Run, Parts], Parts]] = {
    "pause": _pause,
    "resume": _resume,
    "stop": _stop,
    "select": _select,
    "decide": _decide,
    "try": _try,
    "rollback": _rollback,
}
"""What is done for each thing that can be clicked; it raises what goes wrong, and the panel says that."""
