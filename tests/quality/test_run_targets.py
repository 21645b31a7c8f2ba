"""Targets of a run: the time it may take, its overhead, its speed-up, held against what it came to."""

from __future__ import annotations

import threading

import pytest

from orchestrator_nb import History, Workflow
from orchestrator_nb.errors import DefinitionError
from orchestrator_nb.journal.store import find_store


def _flow(**targets: object) -> Workflow:
    """Two commands that run at the same time, for as long as the other needs to begin."""
    together = threading.Barrier(2)
    flow = Workflow(
        "w", slots=2, quality_requirements=[{"gate": "targets", "name": "service level", "options": targets}]
    )
    for name in ("one", "other"):
        flow.command(lambda: together.wait(30) and None, id=name)
    return flow


def test_a_run_that_keeps_its_targets_says_so(project) -> None:
    """Each figure is kept with the verdict."""
    _flow(seconds=600, overhead=1.0, retries=0, speed_up=0.0, efficiency=0.0).run()
    (checked,) = History(find_store(None)).gates().itertuples()
    assert (checked.gate, checked.verdict) == ("service level", "passed")
    assert checked.expected == "seconds ≤ 600, overhead ≤ 1.0, retries ≤ 0, speed_up ≥ 0.0, efficiency ≥ 0.0"


def test_a_run_that_misses_a_target_completes_with_a_word_about_it(project) -> None:
    """Names the figure, what it is and what was wanted; it is a warning unless it is said to block."""
    result = _flow(seconds=600, speed_up=50, memory="1 GB").run()
    (checked,) = History(find_store(None)).gates().itertuples()
    assert checked.verdict == "failed"
    assert "speed_up is " in checked.message
    assert "less than 50" in checked.message
    assert "memory was not measured" in checked.message  # a thread has none of its own
    assert "seconds is" not in checked.message
    assert result.state == "completed"


def test_targets_that_there_are_not_are_refused() -> None:
    """Before anything runs, with those that there are."""
    with pytest.raises(DefinitionError, match='"targets" has no option "second"'):
        _flow(second=3).plan()
    with pytest.raises(DefinitionError, match="there are no targets"):
        _flow().plan()
