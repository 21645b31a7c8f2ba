"""A command that failed for want of memory is tried again with more of it, where it says so."""

from __future__ import annotations

import pytest

from orchestrator_nb import RunFailed, Workflow
from orchestrator_nb import events as e
from orchestrator_nb.journal.file import read

STEPS = """\
from orchestrator_nb import context


def hungry():
    if context.attempt == 1:
        return len(bytearray(2**62))
    return "fed"
"""


def _flow(project, **more):
    (project / "hungry_steps.py").write_text(STEPS)
    command = {"call": "hungry_steps:hungry", "resources": {"memory": "100MB"}, "retry_delay": 0.01, **more}
    return Workflow.load({"workflow": "w", "pools": {"memory": "1GB"}, "commands": {"hungry": command}})


def test_want_of_memory_is_mended_by_more_of_it(project):
    """No retries have to be written: what it says of resources is why a retry may go well. The journal and `why` say
    what the second attempt held."""
    run = _flow(project, retry={"resources": {"memory": "400MB"}}).start(wait=False)
    result = run.wait(60)
    assert result.outputs["hungry"] == "fed"
    started = [event for event in read(run.folder / "journal.jsonl") if isinstance(event, e.AttemptStarted)]
    assert [dict(event.holds) for event in started] == [{}, {"cpu": 1, "memory": 400 * 10**6}]
    assert "attempt 2 started, holding cpu: 1, memory: 400,000,000" in str(run.why("hungry"))


def test_without_more_memory_it_is_not_tried_again(project):
    """The same again can only come to the same."""
    with pytest.raises(RunFailed):
        _flow(project).run()


def test_the_plan_says_what_a_retry_holds(project):
    """Before anything runs."""
    plan = _flow(project, retry={"resources": {"memory": "400MB"}}).plan()
    assert "400MB" in str(plan)
