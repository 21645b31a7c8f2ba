"""What can be clicked in a panel: what is done with the run, and what the panel then says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from orchestrator_nb.errors import UsageError
from orchestrator_nb.jupyter.rating import rate, ratings_of
from orchestrator_nb.jupyter.trends import chapters
from orchestrator_nb.orchestrator.display.shown import as_text
from orchestrator_nb.orchestrator.run import Run

LINES = 40
"""So many lines of what a command printed are shown of the one that is selected."""

REASON = "asked to in the panel"

Parts = dict[str, Any]
"""Parts of the panel by name, as they now are; a `Message` among them is none, and is sent."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to the page of a panel and kept by nobody."""

    content: dict[str, Any]
    buffers: list[bytes]


def _pause(run: Run, _content: Parts) -> Parts:
    run.pause(REASON)
    return {"said": {}}


def _resume(run: Run, _content: Parts) -> Parts:
    run.resume(REASON)
    return {"said": {}}


def _stop(run: Run, content: Parts) -> Parts:
    if content.get("now"):  # it was asked to before: what runs gets no more time
        run.stop(REASON, grace=0.0)
    else:
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


def _leave(_run: Run, _content: Parts) -> Parts:
    return {"tried": {}}


def _trends(run: Run, _content: Parts) -> Parts:
    """What the runs of the workflow came to, as figures: what plotly draws, and the same as SVG."""
    from orchestrator_nb.analytics.history import History

    found = [
        {
            "title": chapter.title,
            "figures": [
                {"title": one.title, "text": as_text(one.caption), "svg": one.to_svg(), "spec": one.to_plotly()}
                for one in chapter.figures
            ],
        }
        for chapter in chapters(History(run.folder.parent), run.state.run.workflow)
    ]
    return {"trends": {"chapters": found, "stamp": time.time()}}


def _plotly(_run: Run, _content: Parts) -> Parts:
    try:
        return {"": Message({"is": "plotly"}, [packed_plotly()])}
    except UsageError as error:
        return {"": Message({"is": "plotly", "why": str(error)}, [])}


@cache
def packed_plotly() -> bytes:
    """Return plotly.js, packed by gzip. Raises UsageError where plotly is not installed."""
    import gzip

    from orchestrator_nb.analytics.page import plotly_js

    return gzip.compress(plotly_js().encode(), compresslevel=6)


def _ratings(run: Run, _content: Parts) -> Parts:
    return {"ratings": ratings_of(run)}


def _rate(run: Run, content: Parts) -> Parts:
    rate(run, content)
    return {"ratings": ratings_of(run), "said": {}}


ACTS: dict[str, Callable[[Run, Parts], Parts]] = {
    "pause": _pause,
    "resume": _resume,
    "stop": _stop,
    "select": _select,
    "decide": _decide,
    "try": _try,
    "rollback": _rollback,
    "leave": _leave,
    "trends": _trends,
    "plotly": _plotly,
    "ratings": _ratings,
    "rate": _rate,
}
"""What is done for each thing that can be clicked; it raises what goes wrong, and the panel says that."""

READING = frozenset({"trends", "plotly"})
"""Those that only read, and take long."""
