"""The threads of an executor: short attempts run one after the other on one of them, and a long one holds up nobody."""

from __future__ import annotations

import threading

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.executors import workers


@pytest.fixture(name="flow")
def _flow(tmp_path, monkeypatch):
    """A workflow whose attempts are all taken for short, so that its workers take several of them at a time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "SHORT", 1e9)
    flow = Workflow("w", slots=4)
    flow.command(lambda: 0, id="root")
    return flow


def test_short_attempts_run_on_the_thread_that_let_them_start(flow):
    """No other thread is woken for them."""
    threads = {}
    for number in range(4):
        flow.command(lambda name=f"c{number}": threads.setdefault(name, threading.get_ident()) and None,
                     id=f"c{number}", after="root")  # fmt: skip
    assert flow.run().succeeded
    assert len(threads) == 4
    assert len(set(threads.values())) == 1


def test_an_attempt_that_turns_out_to_be_long_does_not_hold_up_the_ones_behind_it(flow):
    """They are given to other threads: here the first can only end when the second has run."""
    opened = threading.Event()
    flow.command(lambda: opened.wait(30), id="waits", after="root")
    flow.command(opened.set, id="opens", after="root")
    assert flow.run().outputs["waits"] is True


def test_what_was_done_before_a_long_attempt_is_told_meanwhile(flow):
    """Here the long one can only end when a third command has run, which follows from the success of the first."""
    opened = threading.Event()
    flow.command(lambda: 1, id="quick", after="root")
    flow.command(lambda: opened.wait(30), id="waits", after="root")
    flow.command(opened.set, id="opens", after="quick")
    assert flow.run().outputs["waits"] is True


def test_attempts_that_are_not_short_run_side_by_side(flow, monkeypatch):
    """Each has a thread of its own, from the beginning."""
    monkeypatch.setattr(workers, "SHORT", 0.0)
    met = threading.Barrier(4)
    for number in range(4):
        flow.command(lambda: met.wait(30) and None, id=f"c{number}", after="root")
    assert flow.run().succeeded
