"""What measured durations change about the order of the commands that are left."""

from __future__ import annotations

from orchestrator_nb import events as e
from orchestrator_nb.engine.estimates import Estimates
from orchestrator_nb.engine.scheduler import Scheduler
from orchestrator_nb.state.records import PlannedCommand
from orchestrator_nb.state.run_state import RunState


def planned(seconds: dict[str, float], program: str = "fit") -> dict[str, PlannedCommand]:
    return {name: PlannedCommand(seconds=value, program=program) for name, value in seconds.items()}


def test_an_order_stands_while_the_durations_hold() -> None:
    """A deviation of some percent is none."""
    plan = planned({f"c{number}": 1.0 + number for number in range(8)})
    estimates = Estimates(plan, list(plan))
    due = [estimates.returned(f"c{number}", (1.0 + number) * 1.03) for number in range(4)]
    assert due == [False, False, False, True]
    assert estimates.ranks() is None


def test_wrong_durations_of_one_program_are_drawn_together() -> None:
    """Expected to differ widely, found to be all the same: the order of the plan is as good as any."""
    expected = {f"c{number}": 2.0 ** (number % 7) for number in range(14)}
    plan = planned(expected)
    estimates = Estimates(plan, list(plan))
    for number in range(7):
        estimates.returned(f"c{number}", 8.0)
    ranks = estimates.ranks()
    assert ranks is not None
    assert [name for name, _ in sorted(ranks.items(), key=lambda item: item[1])] == list(expected)


def test_a_real_difference_between_programs_is_kept() -> None:
    """What is shrunk is the difference within a program, not between them."""
    short = planned({f"s{number}": 1.0 + number % 3 for number in range(6)}, "short")
    long = planned({f"l{number}": 100.0 * (1 + number % 3) for number in range(6)}, "long")
    plan = {**short, **long}
    estimates = Estimates(plan, list(plan))
    for number in range(4):
        estimates.returned(f"s{number}", 0.5 if number % 2 else 4.0)
    ranks = estimates.ranks()
    assert ranks is not None
    assert max(ranks[name] for name in long) < min(ranks[name] for name in short)


def test_declared_priorities_stay_first() -> None:
    """However wrong the durations are, what the user put first stays first."""
    plan = planned({f"c{number}": 1.0 + number for number in range(6)})
    plan["c0"] = PlannedCommand(seconds=1.0, program="fit", priority=5)
    estimates = Estimates(plan, list(plan))
    for number in range(1, 5):
        estimates.returned(f"c{number}", 50.0)
    ranks = estimates.ranks()
    assert ranks is not None
    assert ranks["c0"] == 0


def test_a_scheduler_made_anew_takes_up_what_was_measured() -> None:
    """Whoever goes on with a run decides by its recorded durations, not only by what it sees itself."""
    commands = {f"c{number}": {"seconds": 10.0 - number, "program": "fit", "rank": number} for number in range(10)}
    state = RunState()
    state.apply(e.RunStarted(at=0.0, run="r", workflow="w"))
    state.apply(e.RunPlanned(at=0.0, commands=commands))
    for number, seconds in enumerate((1.0, 90.0, 1.0, 90.0)):
        name = f"c{number}"
        state.apply(e.AttemptStarted(at=0.0, command=name, attempt=1))
        state.apply(e.AttemptReturned(at=0.0, command=name, attempt=1, seconds=seconds))
        state.apply(e.CommandSucceeded(at=0.0, command=name, attempt=1))
    none: dict[str, list[str]] = {name: [] for name in commands}
    scheduler = Scheduler(order=list(commands), upstream=none, downstream=none, slots=3)
    fresh = Estimates(state.planned, list(commands))
    ranks = fresh.begin(state)
    assert ranks is not None
    started = [event.command for event in scheduler.next(state, 1.0) if isinstance(event, e.AttemptStarted)]
    assert started == sorted(set(commands) - {"c0", "c1", "c2", "c3"}, key=lambda name: ranks[name])[:3]
