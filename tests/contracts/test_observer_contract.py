"""What every observer is promised, and what none can do: turns come durable, whole and in order; no view fails a run."""

from __future__ import annotations

import io

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.cli.panel import PanelDisplay
from orchestrator_nb.cli.progress import NoDisplay, PlainDisplay
from orchestrator_nb.journal.file import read
from orchestrator_nb.journal.store import JOURNAL


class Raising:
    """A view with a mistake in it."""

    def __call__(self, events, state):
        raise ValueError("a mistake of the view")


def raw(stream):
    """Return a stream that is closed already: whatever is written to it raises."""
    stream.close()
    return stream


OBSERVERS = {
    "none": NoDisplay,
    "plain": lambda: PlainDisplay(io.StringIO()),
    "panel": lambda: PanelDisplay(io.StringIO()),
    "plain on a closed stream": lambda: PlainDisplay(raw(io.StringIO())),
    "raising": Raising,
}


@pytest.mark.parametrize("name", OBSERVERS)
def test_turns_come_durable_whole_and_in_order_and_no_view_fails_the_run(project, store, name):
    """Besides any observer another one is told of every turn, once it is in the journal, and the run completes."""
    told, early = [], []

    def witness(events, state):
        recorded = list(read(store / state.run.run / JOURNAL))
        told.extend(events)
        if recorded[: len(told)] != told:
            early.append(events)

    flow = Workflow("w")
    flow.command(lambda: 1, id="a")
    flow.command(lambda a: a + 1, id="b")
    run = flow.start(observers=(OBSERVERS[name](), witness))
    assert run.result.outputs["b"] == 2
    assert early == []
    assert told == list(read(run.folder / JOURNAL))
