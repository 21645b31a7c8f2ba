"""What can be clicked in a panel: what is done with the run, and what the panel then says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator_nb.drawing.sparkline import sparkline
from orchestrator_nb.orchestrator.run import Run
from orchestrator_nb.orchestrator.shown import as_text

LINES = 40
"""So many lines of what a command printed are shown of the one that is selected."""

MOST_METRICS, MOST_RUNS = 8, 30
"""So many metrics have a line in the panel, each over so many runs."""

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


def _trends(run: Run, _content: Parts) -> Parts:
    """How long the runs of the workflow took, and what they recorded about themselves."""
    from orchestrator_nb.analytics.history import History

    history, workflow = History(run.folder.parent), run.state.run.workflow
    figures = []
    for name in ["seconds", *history.metric_names(workflow=workflow)[:MOST_METRICS]]:
        for command, frame in history.trends(name, workflow=workflow).groupby("command", observed=True, dropna=False):
            values = [float(value) for value in frame["value"].dropna().tail(MOST_RUNS)]
            label = f"{command}: {name}" if isinstance(command, str) and command else name
            if values:
                told = f"the last {values[-1]:.4g}, between {min(values):.4g} and {max(values):.4g}"
                figures.append([label, sparkline(values, label=label), told])
    return {"trends": {"figures": figures}}


ACTS: dict[str, Callable[[Run, Parts], Parts]] = {
    "pause": _pause,
    "resume": _resume,
    "stop": _stop,
    "select": _select,
    "decide": _decide,
    "try": _try,
    "rollback": _rollback,
    "trends": _trends,
}
"""What is done for each thing that can be clicked; it raises what goes wrong, and the panel says that."""
