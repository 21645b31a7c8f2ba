"""The summary that a run leaves in its folder."""

from __future__ import annotations

from pathlib import Path

from orchestrator_nb.orchestrator.store.leaving import FILE, leave_summary
from orchestrator_nb.orchestrator.workflow import Workflow


def test_a_run_leaves_its_summary(project: Path) -> None:
    """Whatever it came to: what it was, each command, what went wrong."""
    flow = Workflow("w", slots=1)

    @flow.command
    def slow() -> int:
        import time

        time.sleep(0.05)
        return 1

    @flow.command(after="slow", retries=0)
    def wrong() -> None:
        raise ValueError("no such column")

    run = flow.start(wait=False)
    result = run.wait(check=False)
    text = (run.folder / FILE).read_text(encoding="utf-8")
    assert text.startswith(f"# {run.id}\n")
    assert result.state == "failed"
    assert "is failed" in text
    assert "| slow | succeeded | 1 |" in text
    assert "no such column" in text


def test_a_run_that_is_too_quick_is_not_kept_waiting(project: Path) -> None:
    """Where very many commands take no time, the summary is there on demand only."""
    flow = Workflow("w", slots=1)
    for number in range(60):
        flow.command(lambda: 1, id=f"c{number}")
    run = flow.start(wait=False)
    run.wait()
    state = run.state
    for name, record in state.commands.items():
        state.commands[name] = type(record)(record.state, started=state.run.started, ended=state.run.started)
    (run.folder / FILE).unlink(missing_ok=True)
    leave_summary(run.folder, state)
    assert not (run.folder / FILE).exists()
    assert "60 succeeded" in run.report("summary").to_markdown()
