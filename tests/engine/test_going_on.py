"""Going on with a run: what a death cost, what an end left open, which live results are needed once more."""

from __future__ import annotations

from orchestrator_nb import events as e
from orchestrator_nb.engine.resume import lost_attempts, lost_live_results, missing_parts
from orchestrator_nb.state.run_state import RunState, fold

LIVE = e.Stored(form="live", type="Model", name="k")


def _planned(**commands: dict[str, object]) -> list[e.Event]:
    return [e.RunStarted(at=1.0, run="r", workflow="w"), e.RunPlanned(at=1.0, commands=commands)]


def _succeeded(command: str, result: e.Stored | None = None) -> list[e.Event]:
    return [
        e.AttemptStarted(at=1.0, command=command, attempt=1),
        e.AttemptReturned(at=1.0, command=command, attempt=1, seconds=1.0, result=result),
        e.CommandSucceeded(at=1.0, command=command, attempt=1),
    ]


def _then(state: RunState, facts: list[e.Event]) -> RunState:
    state.apply(e.RunResumed(at=2.0))
    for fact in facts:
        state.apply(fact)
    return state


def test_what_was_under_way_will_run_again() -> None:
    """An attempt that died with its owner came to nothing, and the command is pending."""
    state = fold([*_planned(a={}, b={}), e.AttemptStarted(at=1.0, command="a", attempt=1)])
    state = _then(state, lost_attempts(state, 2.0))
    assert {name: record.state for name, record in state.commands.items()} == {"a": "pending", "b": "pending"}


def test_what_must_not_be_repeated_is_given_up() -> None:
    """Nobody knows whether a command that is not idempotent had its effect."""
    state = fold([*_planned(a={"idempotent": False}), e.AttemptStarted(at=1.0, command="a", attempt=1)])
    state = _then(state, lost_attempts(state, 2.0))
    assert state.commands["a"].state == "crashed"
    assert "not idempotent" in state.commands["a"].reason


def test_an_attempt_whose_results_are_recorded_is_not_lost() -> None:
    """Its gates are to be asked again, not the command."""
    state = fold([*_planned(a={}), *_succeeded("a")[:2]])
    assert lost_attempts(state, 2.0) == []


def test_an_ended_run_is_reopened_where_it_lacks_something() -> None:
    """Failed, given up and cancelled commands begin a new generation; what succeeded stays."""
    failure = e.Failure(kind="exception", message="no")
    state = fold([
        *_planned(a={}, b={"upstream": ["a"]}, c={}),
        e.AttemptStarted(at=1.0, command="a", attempt=1),
        e.AttemptFailed(at=1.0, command="a", attempt=1, seconds=1.0, failure=failure),
        e.CommandFailed(at=1.0, command="a"),
        e.UpstreamFailed(at=1.0, command="b", upstream=("a",)),
        *_succeeded("c"),
        e.RunCompleting(at=1.0),
        e.RunEnded(at=1.0, state="failed"),
    ])  # fmt: skip
    state = _then(state, missing_parts(state, 2.0))
    found = {name: (record.state, record.generation) for name, record in state.commands.items()}
    assert found == {"a": ("pending", 2), "b": ("pending", 2), "c": ("succeeded", 1)}


def test_a_run_that_was_left_has_nothing_to_reopen() -> None:
    """A pause or a death leaves the generations as they are."""
    assert missing_parts(fold(_planned(a={})), 2.0) == []


def test_a_live_result_is_made_again_for_whoever_still_needs_it_and_for_nobody_else() -> None:
    """A producer runs again only for an unfinished consumer, and needs its own live inputs then."""
    commands = {"base": {}, "model": {"upstream": ["base"]}, "use": {"upstream": ["model"]}, "other": {}, "idle": {}}
    events = [*_planned(**commands), *_succeeded("base", LIVE), *_succeeded("model", LIVE), *_succeeded("other", LIVE)]
    state = fold([*events, *_succeeded("idle")])
    inputs = {"model": ["base"], "use": ["model"], "idle": ["other"]}
    facts = lost_live_results(state, inputs=inputs, order=["base", "other", "model", "idle", "use"], now=2.0)
    assert sorted(fact.command for fact in facts) == ["base", "model"]  # type: ignore[attr-defined]
    state = _then(state, facts)
    assert state.commands["other"].state == "succeeded"


def test_a_live_result_is_not_made_again_for_a_consumer_that_the_death_has_ended() -> None:
    """A command that must not be repeated was under way: it is given up, and nobody needs its input."""
    commands = {"model": {}, "use": {"upstream": ["model"], "idempotent": False}}
    state = fold([
        *_planned(**commands), *_succeeded("model", LIVE), e.AttemptStarted(at=1.0, command="use", attempt=1)
    ])  # fmt: skip
    lost = lost_attempts(state, 2.0)
    assert lost_live_results(state, inputs={"use": ["model"]}, order=["model", "use"], now=2.0, before=lost) == []
    assert state.commands["use"].state == "running", "the state itself is left alone"


def test_a_stored_result_is_never_made_again() -> None:
    """What is in the artifacts is there after any death."""
    state = fold([*_planned(a={}, b={"upstream": ["a"]}), *_succeeded("a", e.Stored(form="json", value=1))])
    assert lost_live_results(state, inputs={"b": ["a"]}, order=["a", "b"], now=2.0) == []
