"""The way back in a run's history, from its facts alone."""

from __future__ import annotations

from orchestrator_nb import events as e
from orchestrator_nb.engine.endings import Reopen
from orchestrator_nb.orchestrator.rollbacks.moments import Past
from orchestrator_nb.state.run_state import fold

PLAN = {"a": {"fingerprint": "1"}, "b": {"upstream": ["a"], "fingerprint": "1"}}


def journal(*facts):
    """Return a run whose two commands succeeded and shared a number each, with these facts after it."""
    events = [e.RunStarted(at=1.0, run="r", workflow="w"), e.RunPlanned(at=1.0, commands=PLAN, merge={"*": "add"})]
    for name in PLAN:
        events += life(name, 1)
    return [*events, *facts]


def life(name, attempt):
    """Return an attempt that succeeds."""
    return [
        e.AttemptStarted(at=2.0, command=name, attempt=attempt),
        e.AttemptReturned(at=3.0, command=name, attempt=attempt, seconds=1.0, shared={name: 1, "both": attempt}),
        e.CommandSucceeded(at=3.0, command=name, attempt=attempt),
    ]


def rolled_back(events, name, *, to=None, undo=()):
    """Return what comes after these facts with a rollback."""
    past = Past(events)
    rollback = past.rollback_named(undo[0]) if undo and undo[0] not in PLAN else None
    if rollback is not None:
        course = past.before(rollback)
    else:
        course = past.without(undo) if undo else past.back_to(past.moment(to))
    asked = e.RollbackAsked(at=4.0, rollback=name, to=to, undo=tuple(undo))
    final = {each for each, record in past.now.commands.items() if record.state in ("succeeded", "failed")}
    done = e.RolledBack(
        at=4.0, rollback=name, what="", results=course.results, shared=course.shared,
        commands=tuple(each for each in PLAN if each in final and (each in course.commands or each in course.results)),
        undid=rollback.event.rollback if rollback else "",
    )  # fmt: skip
    state = fold([*events, asked, done])
    return [*events, asked, done, *Reopen()(done, state)]


def test_a_moment_before_a_rollback_has_the_results_of_then():
    """Going to the last success of a command that was rolled back gives it that success, and its changes."""
    events = rolled_back(journal(), "x", to="start")
    assert Past(events).now.shared == {}
    events = rolled_back(events, "y", to="a")
    state = fold(events)
    assert {name: record.state for name, record in state.commands.items()} == {"a": "succeeded", "b": "pending"}
    assert state.shared == {"a": 1, "both": 1}
    assert (state.commands["a"].generation, state.commands["a"].attempt) == (2, 1)


def test_an_end_that_was_given_back_is_that_of_its_first_time():
    """After an undone rollback every moment means what it had meant before."""
    events = rolled_back(rolled_back(journal(), "x", undo=["a", "b"]), "y", undo=["rollback-1"])
    course = Past(events).back_to(Past(events).moment("a"))
    assert (course.commands, course.results, course.shared) == (("b",), {}, {"a": 1, "both": 1})


def test_what_is_another_command_by_now_runs_again():
    """A result of other code is not given back, nor what it had changed in the shared state."""
    changed = {**PLAN, "b": {"upstream": ["a"], "fingerprint": "2"}}
    events = rolled_back(journal(), "x", undo=["a", "b"])
    events.append(e.RunPlanned(at=5.0, commands=changed, merge={"*": "add"}))
    course = Past(events).before(Past(events).rollbacks[0])
    assert (course.commands, course.results, course.shared) == (("b",), {"a": 1}, {"a": 1, "both": 1})


def test_changes_that_came_since_stay_with_what_comes_back():
    """A number that was added after the rollback is added to those that come back with its undoing."""
    events = rolled_back(journal(), "x", undo=["b"])
    assert Past(events).now.shared == {"a": 1, "both": 1}
    events += [e.CommandReopened(at=5.0, command="a", reason="again"), *life("a", 2)]
    past = Past(events)
    course = past.before(past.rollbacks[0])
    assert (course.results, course.stayed) == ({"b": 1}, ())
    assert course.shared == {"a": 1, "b": 1, "both": 3}


def test_attempts_and_generations_count_on_after_an_end_was_given_back():
    """The next attempt has a number of its own."""
    events = rolled_back(rolled_back(journal(), "x", undo=["b"]), "y", undo=["rollback"])
    events += [e.CommandReopened(at=6.0, command="b", reason="again"), *life("b", 2)]
    record = fold(events).commands["b"]
    assert (record.generation, record.attempt, record.state) == (3, 2, "succeeded")
