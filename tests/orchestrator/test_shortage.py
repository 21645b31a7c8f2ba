"""Real runs while memory is short, and near their deadline."""

from __future__ import annotations

import threading

from orchestrator_nb import Workflow
from orchestrator_nb import events as e
from orchestrator_nb.journal.file import read
from orchestrator_nb.orchestrator.memory_watch import MemoryWatch


def _facts(run, kind):
    return [event for event in read(run.folder / "journal.jsonl") if isinstance(event, kind)]


def test_memory_is_told_when_it_becomes_short_while_it_is_and_when_it_eases(monkeypatch):
    """Not in between, where it would be short again with the next command; and not without end."""
    now = [0.0]
    monkeypatch.setattr("orchestrator_nb.orchestrator.memory_watch.time.monotonic", lambda: now[0])
    told, free, held = [], [1000], [False]
    watch = MemoryWatch(100, held=lambda: held[0], tell=told.append, clock=lambda: 7.0, memory=lambda: (free[0], 2000))
    seen = []
    for available in (1000, 99, 99, 99, 120, 120, 200, 200, 200):
        free[0] = available
        now[0] += 6.0
        held[0] = available < 200 or len(seen) < 8
        before = len(told)
        watch.look()
        watch.look()  # a moment later
        seen.append([event.short for event in told[before:]])
    assert seen[1:] == [[True], [True], [True], [], [], [False], [False], []]
    quiet = MemoryWatch(0, held=lambda: True, tell=told.append, clock=lambda: 7.0, memory=lambda: (0, 2000))
    count = len(told)
    quiet.look()
    assert len(told) == count


def test_with_less_than_the_reserve_commands_start_one_by_one(project, until):
    """A reserve that no machine has: the run goes on, one command after the other, and says so."""
    flow = Workflow("w", recovery={"memory_reserve": "1000TB"}, slots=4)
    short, most, lock, running = threading.Event(), [0], threading.Lock(), [0]

    @flow.command
    def begin():
        assert short.wait(30)

    def work():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.05)
        with lock:
            running[0] -= 1

    for number in range(6):
        flow.command(work, id=f"w{number}", after="begin")
    optional = []
    flow.command(lambda: optional.append(running[0]), id="nice", after="begin", optional=True)

    def heard(events, state):
        if any(isinstance(event, e.WorkersChanged) for event in events):
            short.set()

    run = flow.start(wait=False, observers=[heard])
    assert run.wait(60).succeeded
    assert most[0] == 1
    assert _facts(run, e.WorkersChanged)[0].workers == 1
    order = [event.command for event in _facts(run, e.AttemptStarted)]
    assert order[-1] == "nice"
    (notice, *_) = [event.text for event in _facts(run, e.NoticeGiven) if "memory is short" in event.text]
    assert "optional ones wait for the others: nice" in notice


def test_optional_commands_give_way_to_the_deadline_and_a_resume_takes_them_up(project, monkeypatch):
    """The run completes with deviations instead of being stopped; what was left for later is said and done later."""
    monkeypatch.setattr("orchestrator_nb.orchestrator.session.NEAR", 0.01)
    released = threading.Event()
    flow = Workflow("w", deadline=90.0, slots=1)
    flow.command(lambda: released.wait(30) and None, id="slow")
    flow.command(lambda: "done", id="core", after="slow")
    flow.command(lambda: "nice", id="nice", after="slow", optional=True, priority=9)

    def heard(events, state):
        if any(isinstance(event, e.DeadlineNear) for event in events):
            released.set()

    run = flow.start(wait=False, observers=[heard])
    result = run.wait(60)
    assert (result.state, result.outputs["core"]) == ("completed", "done")
    assert "nice" not in result.outputs
    (text,) = result.deviations["nice"]
    assert "left for later" in text
    again = flow.resume(wait=False).wait(60)
    assert again.outputs["nice"] == "nice"
    assert not again.deviations
