"""Doing something else in the place of what fails: reduced forms and fallbacks, and that nobody takes it for the thing."""

from __future__ import annotations

from pathlib import Path

from orchestrator_nb import Workflow, attach, context
from orchestrator_nb import events as e
from orchestrator_nb.journal.file import read


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
    assert result.deviations["exact"][0].startswith('"rough" was run in its place: it failed (no convergence)')
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
