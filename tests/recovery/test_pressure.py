"""Fewer commands beside each other while memory is short, optional ones last, and back."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_nb import events as e
from orchestrator_nb.engine.loop import Loop
from orchestrator_nb.engine.replay import replay
from orchestrator_nb.engine.simulator import VirtualExecutor, make_scheduler
from orchestrator_nb.journal.memory import JournalInMemory
from orchestrator_nb.orchestrator.policies import POLICIES

SHORT = e.MemoryProbed(at=0.0, available=2**20, total=2**30)
EASED = e.MemoryProbed(at=0.0, available=2**29, total=2**30, short=False)


class Pressed:
    """A run on a virtual clock that is told how memory is."""

    def __init__(self, commands: dict[str, dict[str, Any]], *, slots: int, pools: dict[str, int] | None = None) -> None:
        self.executor = VirtualExecutor(dict.fromkeys(commands, 1.0), {})
        self.journal = JournalInMemory()
        self.loop = Loop(
            state=_new(),
            scheduler=make_scheduler(commands, slots=slots),
            policies=POLICIES,
            journal=self.journal,
            executor=self.executor,
            make_work=self.executor.work,
            clock=self.executor.clock,
        )
        started = e.RunStarted(at=0.0, run="r", workflow="w", slots=slots)
        self.loop.begin([started, e.RunPlanned(at=0.0, commands=commands, pools=pools or {})])

    @property
    def running(self) -> list[str]:
        return sorted(self.loop.published.running())

    @property
    def workers(self) -> int | None:
        return self.loop.published.run.workers

    def finish(self) -> str:
        while self.executor.next_end() is not None:
            self.executor.end_next()
        assert self.loop.error is None, self.loop.error
        return self.loop.published.run.state


def _new() -> Any:
    from orchestrator_nb.state.run_state import RunState

    return RunState()


def test_the_number_is_halved_and_doubled_again() -> None:
    """What runs is left alone; the numbers are said with what there was of memory, and a replay decides the same."""
    run = Pressed({f"c{number}": {} for number in range(40)}, slots=8)
    seen = []
    for fact in (SHORT, SHORT, SHORT, SHORT, EASED, EASED, EASED, EASED):
        run.loop.report(fact)
        seen.append(run.workers)
    assert seen == [4, 2, 1, 1, 2, 4, None, None]
    assert len(run.running) == 8
    assert run.finish() == "completed"
    texts = [event.text for event in run.journal.read() if isinstance(event, e.NoticeGiven)]
    assert [text.partition(" (")[0] for text in texts] == ["memory is short", "memory has eased"]
    assert replay(run.journal.read(), policies=POLICIES).same


def test_no_more_start_than_there_may_be() -> None:
    """One at a time in the end; and the run completes."""
    run = Pressed({f"c{number}": {} for number in range(12)}, slots=4)
    for _ in range(3):
        run.loop.report(SHORT)
    for _ in range(4):
        run.executor.end_next()
    widths = []
    while run.executor.next_end() is not None:
        widths.append(len(run.running))
        run.executor.end_next()
    assert set(widths) == {1}
    assert run.loop.published.run.state == "completed"


def test_optional_commands_wait_for_the_others() -> None:
    """Though they would rank first; one that something needed comes after does not wait."""
    commands: dict[str, dict[str, Any]] = {
        "first": {},
        "nice": {"optional": True, "upstream": ["first"]},
        "also nice": {"optional": True, "upstream": ["first"]},
        "wanted": {"optional": True, "upstream": ["first"]},
        "core": {"upstream": ["first", "wanted"]},
        "other": {"upstream": ["first"]},
    }
    run = Pressed(commands, slots=4)
    run.loop.report(SHORT)
    assert "also nice" in next(x.text for x in run.journal.read() if isinstance(x, e.NoticeGiven))
    assert run.finish() == "completed"
    order = [event.command for event in run.journal.read() if isinstance(event, e.AttemptStarted)]
    assert order == ["first", "wanted", "core", "other", "nice", "also nice"]
    assert replay(run.journal.read(), policies=POLICIES).same


@settings(max_examples=40)
@given(
    pressure=st.lists(st.sampled_from([SHORT, EASED, None]), max_size=30),
    optional=st.sets(st.integers(0, 9)),
    slots=st.integers(1, 5),
    pooled=st.booleans(),
)
def test_whatever_memory_does_the_run_completes(
    pressure: list[e.Event | None], optional: set[int], slots: int, pooled: bool
) -> None:
    """Nothing waits without end, nothing runs twice, with pools and without."""
    commands: dict[str, dict[str, Any]] = {}
    for number in range(10):
        commands[f"c{number}"] = {"upstream": [f"c{number - 4}"] if number > 3 else [], "optional": number in optional}
        if pooled and number % 3 == 0:
            commands[f"c{number}"]["needs"] = {"cpu": 1, "db": 1}
    run = Pressed(commands, slots=slots, pools={"cpu": slots, "db": 1} if pooled else None)
    for fact in pressure:
        if fact is not None:
            run.loop.report(fact)
        elif run.executor.next_end() is not None:
            run.executor.end_next()
        limit = run.workers
        assert limit is None or 1 <= limit <= slots
    assert run.finish() == "completed"
    started = [event.command for event in run.journal.read() if isinstance(event, e.AttemptStarted)]
    assert sorted(started) == sorted(commands)
    assert replay(run.journal.read(), policies=POLICIES).same
