"""Doing something else in the place of what fails: reduced forms and fallbacks, and that nobody takes it for the thing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from orchestrator_nb import Workflow, attach, context
from orchestrator_nb import events as e
from orchestrator_nb.engine.replay import replay
from orchestrator_nb.engine.simulation import Outcome
from orchestrator_nb.engine.simulator import simulate
from orchestrator_nb.journal.file import read
from orchestrator_nb.orchestrator.policies import POLICIES


def _facts(kind: type[e.Event]) -> list[e.Event]:
    return [event for event in read(attach().folder / "journal.jsonl") if isinstance(event, kind)]


def test_a_fallback_takes_the_place_and_gives_the_result(project: Path) -> None:
    """What comes after gets its result under the name of the command; it does not run by itself; a deviation says so."""
    flow = Workflow("w")
    ran = []

    @flow.command
    def begin() -> int:
        return 20

    @flow.command(after="begin", fallback="rough")
    def exact(begin: int) -> int:
        raise ValueError("no convergence")

    @flow.command(after="begin")
    def rough(begin: int) -> int:
        ran.append(context.command)
        return begin + 1

    @flow.command
    def use(exact: int) -> int:
        return exact * 2

    result = flow.run()
    assert (result.state, result.exit_code, result.outputs["use"]) == ("completed", 3, 42)
    assert result.commands["rough"].state == "skipped"
    assert len(ran) == 1
    assert result.deviations["exact"][0].startswith(
        '"rough", its fallback, was run in its place: it failed (no convergence)'
    )
    again = flow.run(reuse=True)
    assert again.commands["begin"].state == "reused"
    assert again.commands["exact"].state == "succeeded"


def test_a_fallback_stands_by_where_nothing_fails(project: Path) -> None:
    """The run completes without deviations, and the fallback is skipped."""
    flow = Workflow("w")
    flow.command(lambda: 1, id="exact", fallback="rough")
    flow.command(lambda: 2, id="rough")
    result = flow.run()
    assert (result.exit_code, result.outputs["exact"], result.commands["rough"].state) == (0, 1, "skipped")


def test_the_reduced_form_comes_before_the_fallback(project: Path) -> None:
    """Its parameters go before the command's own; if that fails, too, the fallback is run; if that fails, it is over."""
    flow = Workflow("w")
    sizes = []

    def work(size: int) -> int:
        sizes.append(size)
        raise ValueError(f"{size} is too much")

    def other() -> int:
        raise ValueError("and this neither")

    flow.command(work, id="work", parameters={"size": 9}, degraded={"size": 3}, fallback="other")
    flow.command(other, id="other")
    result = flow.run(check=False)
    assert (result.state, sizes, result.commands["work"].attempt) == ("failed", [9, 3], 3)
    assert [len(texts) for texts in result.deviations.values()] == [2]
    adapted = _facts(e.CommandAdapted)
    assert [getattr(event, "substitute", None) for event in adapted] == ["", "other"]


def test_a_reduced_form_that_comes_through_is_a_deviation(project: Path) -> None:
    """The run completes with it: exit code 3."""
    flow = Workflow("w")

    def work(size: int) -> int:
        if size > 5:
            raise ValueError("too much")
        return size

    flow.command(work, id="work", parameters={"size": 9}, degraded={"size": 3})
    result = flow.run()
    assert (result.exit_code, result.outputs["work"]) == (3, 3)
    assert "with size = 3" in result.deviations["work"][0]
    assert "it was changed" in str(attach().why("work"))


def test_commands_that_provide_the_same_take_the_place_one_after_the_other(project: Path) -> None:
    """Without a fallback, those that stand by since they provide as much are run, in the order of the definition."""
    flow = Workflow("w")

    def fails() -> int:
        raise ValueError("no index")

    flow.command(fails, id="exact", provides=["search"])
    flow.command(lambda: 0, id="other", provides=["ranking"])
    flow.command(fails, id="near", provides=["search"])
    flow.command(lambda: 7, id="rough", provides=["search", "ranking"])

    @flow.command
    def use(exact: int) -> int:
        return exact * 6

    assert '"near" and then "rough" stand by for "exact", to provide "search" should it fail' in flow.plan().notes
    result = flow.run()
    assert (result.state, result.exit_code, result.outputs["use"]) == ("completed", 3, 42)
    assert [result.commands[name].state for name in ("other", "near", "rough")] == ["succeeded", "skipped", "skipped"]
    assert [text.split(",")[0] for text in result.deviations["exact"]] == ['"near"', '"rough"']
    assert list(result.deviations) == ["exact"]


def test_where_no_alternative_is_left_the_command_has_failed(project: Path) -> None:
    """Each alternative is tried once; one whose own upstream is not done is passed over."""
    flow = Workflow("w")

    def fails() -> int:
        raise ValueError("no index")

    flow.command(fails, id="exact", provides=["search"])
    flow.command(fails, id="begin")
    flow.command(lambda begin: begin, id="near", after="begin", provides=["search"])
    flow.command(fails, id="rough", provides=["search"])
    result = flow.run(check=False)
    assert (result.state, result.commands["exact"].state) == ("failed", "failed")
    assert [event.substitute for event in _facts(e.CommandAdapted) if isinstance(event, e.CommandAdapted)] == ["rough"]


def test_a_fallback_waits_for_what_it_comes_after(project: Path) -> None:
    """It never runs without its own upstream: it is put off until that is done, and gets its result."""
    flow = Workflow("w")
    released = threading.Event()

    @flow.command
    def slow() -> int:
        assert released.wait(30)
        return 40

    @flow.command(fallback="rough")
    def exact() -> int:
        raise ValueError("no convergence")

    @flow.command(after="slow")
    def rough(slow: int) -> int:
        return slow + 2

    def heard(events: Sequence[e.Event], state: object) -> None:
        if any(isinstance(event, e.RetryScheduled) and "waits for slow" in event.reason for event in events):
            released.set()

    result = flow.run(observers=[heard], slots=2)
    assert (result.state, result.outputs["exact"]) == ("completed", 42)
    started = [(event.command, event.attempt) for event in _facts(e.AttemptStarted)]  # type: ignore[attr-defined]
    ended = [event.command for event in _facts(e.CommandSucceeded)]  # type: ignore[attr-defined]
    assert sorted(started) == [("exact", 1), ("exact", 2), ("slow", 1)]
    assert ended == ["slow", "exact"]
    assert replay(list(read(attach().folder / "journal.jsonl")), policies=POLICIES).same


def test_a_fallback_that_can_never_run_is_said_not_to(project: Path) -> None:
    """What it comes after has failed: the command fails by itself, and it is said why nothing took its place."""
    flow = Workflow("w")

    @flow.command
    def broken() -> int:
        raise ValueError("gone")

    @flow.command(fallback="rough", retries=1, retry_delay=0.01)
    def exact() -> int:
        raise ValueError("no convergence")

    @flow.command(after="broken")
    def rough(broken: int) -> int:
        raise AssertionError("never")

    result = flow.run(check=False, slots=1)
    assert (result.state, result.commands["exact"].attempt) == ("failed", 2)
    assert '"rough" did not take its place: "broken", which it comes after, is failed' in str(attach().why("exact"))


def test_a_fallback_after_the_command_itself_is_none() -> None:
    """It would wait for ever; also where others are between the two."""
    commands = {"a": {"fallback": "spare"}, "b": {"upstream": ["a"]}, "spare": {"upstream": ["b"], "standby": True}}
    failure = e.Failure(kind="exception", message="no", types=("ValueError",))
    done = simulate(
        e.RunPlanned(at=0.0, commands=commands), slots=2, outcomes={"a": [Outcome(failure=failure)]}, policies=POLICIES
    )
    assert done.state == "failed"
    assert [event.text for event in done.events if isinstance(event, e.NoticeGiven)] == [
        '"spare" did not take its place: what it comes after waits for "a" itself'
    ]
