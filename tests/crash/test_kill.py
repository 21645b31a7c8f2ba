"""kill -9 at every crash point: what is recorded as done is never run again, nothing is lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb import events as e
from orchestrator_nb.errors import OrchestratorError
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL, list_runs
from orchestrator_nb.orchestrator.attaching import attach
from orchestrator_nb.state.run_state import fold

Server = Callable[..., dict[str, Any]]

FLOW = """
workflow: crash
slots: 2
commands:
  numbers: {call: "steps:numbers"}
  table: {call: "steps:table", after: [numbers]}
  file: {call: "steps:file", after: [numbers]}
  flaky: {call: "steps:flaky", retries: 2, retry_delay: 0.01, after: [numbers]}
  total: {call: "steps:total"}
  say: {shell: [echo, "total ${{ total.sum }}"]}
  extra: {call: "steps:extra", optional: true, after: [numbers]}
"""

STEPS = """
import os
from pathlib import Path

from orchestrator_nb import context


def ledger(name):
    line = f"{name} {context.attempt}\\n".encode()
    out = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(out, line)
    os.close(out)


def numbers():
    ledger("numbers")
    context.record("half", 1.5)
    return [1, 2, 3]


def table(numbers):
    import pandas as pd

    ledger("table")
    return pd.DataFrame({"n": numbers})


def file(numbers):
    ledger("file")
    Path("out.txt").write_text("x" * 1000)
    return Path("out.txt")


def flaky(numbers):
    ledger("flaky")
    if context.attempt == 1:
        raise ConnectionError("not yet")
    return "came right"


def total(table, file, flaky):
    ledger("total")
    context.shared["seen"] = len(table)
    return {"sum": int(table["n"].sum()), "letters": len(file.read_text())}


def extra(numbers):
    ledger("extra")
    raise ValueError("always")
"""


def _project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "flow.yaml").write_text(FLOW)
    (folder / "steps.py").write_text(STEPS)
    return folder


def _ledger(folder: Path) -> list[str]:
    path = folder / "ledger"
    return path.read_text().splitlines() if path.exists() else []


def _outcome(folder: Path) -> dict[str, Any]:
    """What a run has come to, without what differs from run to run."""
    result = attach(store=folder / "runs").result
    return {
        "state": result.state,
        "states": {name: record.state for name, record in result.commands.items()},
        "numbers": result.outputs["numbers"],
        "recorded": dict(result.recorded["numbers"]),
        "table": result.outputs["table"].to_dict(),
        "file": result.outputs["file"].read_text(),
        "flaky": result.outputs["flaky"],
        "total": result.outputs["total"],
        "say": result.outputs["say"],
        "shared": result.shared,
        "deviations": sorted(result.deviations),
    }


@pytest.fixture(scope="module", name="undisturbed")
def _undisturbed(server: Server, place: Path) -> tuple[dict[str, Any], dict[str, int]]:
    folder = _project(place / "undisturbed")
    answer = server(folder)
    assert answer["code"] == 0
    return _outcome(folder), answer["hits"]


def _check(server: Server, folder: Path, undisturbed: dict[str, Any]) -> None:
    """After a death: resume until complete, and compare with the run that nothing happened to."""
    runs = list_runs(folder / "runs")
    if not runs:
        assert _ledger(folder) == [], "something ran that is not recorded"
        return
    events = list(read(runs[0] / JOURNAL))
    state = fold(events)
    before = _ledger(folder)
    started = {f"{event.command} {event.attempt}" for event in events if isinstance(event, e.AttemptStarted)}
    assert {line for line in before if not line.startswith("say")} <= started, "an attempt ran before it was recorded"
    done = {name for name, record in state.commands.items() if record.state == "succeeded"}
    answer = server(folder, resume=True)
    assert answer["code"] == 0
    after = _ledger(folder)[len(before) :]
    again = {line.split()[0] for line in after} & done
    assert not again, f"{again} ran again although their success was recorded"
    assert _outcome(folder) == undisturbed


def _points(hits: dict[str, int]) -> list[tuple[str, int]]:
    return [(point, hit) for point, count in sorted(hits.items()) for hit in range(1, count + 1)]


def test_the_crash_points_are_reached(undisturbed: tuple[dict[str, Any], dict[str, int]]) -> None:
    """A crash point that is never hit tests nothing."""
    outcome, hits = undisturbed
    assert outcome["state"] == "completed"
    assert outcome["deviations"] == ["extra"]
    assert len(hits) >= 26
    assert sum(hits.values()) >= 80


def test_kill_at_every_crash_point(
    server: Server, undisturbed: tuple[dict[str, Any], dict[str, int]], place: Path
) -> None:
    """Before and after everything that is written or handed out: the resumed run equals an undisturbed one."""
    outcome, hits = undisturbed
    killed = 0
    for number, (point, hit) in enumerate(_points(hits)):
        folder = _project(place / f"at-{number}")
        answer = server(folder, point=point, hit=hit)
        killed += answer["code"] == -9
        try:
            _check(server, folder, outcome)
        except (AssertionError, OrchestratorError) as error:
            error.add_note(f"killed {point}, hit {hit}") if hasattr(error, "add_note") else None
            raise
    assert killed > 0.8 * sum(hits.values())


def test_kill_again_while_resuming(
    server: Server, undisturbed: tuple[dict[str, Any], dict[str, int]], place: Path
) -> None:
    """A second death during the resume changes nothing about the promise."""
    outcome, hits = undisturbed
    chance = random.Random(7)
    points = _points(hits)
    for number in range(15):
        folder = _project(place / f"again-{number}")
        point, hit = chance.choice(points)
        server(folder, point=point, hit=hit)
        if list_runs(folder / "runs"):
            point, hit = chance.choice(points)
            server(folder, resume=True, point=point, hit=max(1, hit // 2))
        _check(server, folder, outcome)
