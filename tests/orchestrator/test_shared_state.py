"""Shared state in real runs: merged as declared, filtered as declared, each version with its author."""

from __future__ import annotations

import threading

import pytest

from orchestrator_nb import RunFailed, Workflow, attach, context
from orchestrator_nb.data.transfer import FORMS, from_form, to_form


def test_commands_side_by_side_add_up(project):
    """Both began before either had ended, and nothing of either is lost."""
    together = threading.Barrier(2, timeout=20)
    flow = Workflow("w", context={"rows": 1, "seen": []}, merge={"rows": "add", "seen": "append"}, slots=2)

    def count(number):
        together.wait()
        context.shared["rows"] = number
        context.shared["seen"] = [number]
        return number

    flow.command(lambda: count(10), id="a")
    flow.command(lambda: count(100), id="b")
    flow.command(lambda: context.shared["rows"], id="after", after=["a", "b"])
    run = flow.start(wait=True)
    assert run.result.outputs["after"] == 111
    assert sorted(run.state.shared["seen"]) == [10, 100]
    first, second = run.state.versions
    assert {first.command, second.command} == {"a", "b"}
    assert (first.contested, set(second.contested)) == ((), {"rows", "seen"})


def test_a_conflict_fails_the_later_one_which_sees_the_other_when_it_is_tried_again(project):
    """With `fail`, the second attempt begins with what the first of them has written."""
    together = threading.Barrier(2, timeout=20)
    flow = Workflow("w", merge={"*": "fail"}, slots=2)

    def note(name):
        if context.attempt == 1:
            together.wait()
        seen = dict(context.shared)
        context.shared["who"] = [*seen.get("who", []), name]
        return len(seen)

    flow.command(lambda: note("a"), id="a", retries=1, retry_delay=0.01)
    flow.command(lambda: note("b"), id="b", retries=1, retry_delay=0.01)
    result = flow.run()
    assert sorted(result.shared["who"]) == ["a", "b"]
    assert sorted(record.attempt for record in result.commands.values()) == [1, 2]


def test_a_command_gets_the_keys_that_it_declares(project):
    """And no others; one that is missing or of another type stops it before it starts."""
    flow = Workflow("w", context={"rows": 3, "name": "x", "other": 1})
    flow.command(lambda: sorted(context.shared), id="a", context={"rows": "integer"})
    assert flow.run().outputs["a"] == ["rows"]
    began = []
    for declared, said in (({"gone": "any"}, '"gone" is missing'), ({"name": "integer"}, '"name"')):
        flow = Workflow("w", context={"rows": 3, "name": "x"})
        flow.command(lambda: None, id="before")
        flow.command(lambda: began.append(1), id="a", after="before", context=declared)
        with pytest.raises(RunFailed, match=said) as caught:
            flow.run()
        assert caught.value.result.errors["a"].kind == "context"
    assert not began


def test_the_context_of_a_run_is_read_at_any_time_and_goes_to_other_programs(project):
    """Both levels, while it runs too; the same from every form, large values left out by name."""
    flow = Workflow("w", parameters={"day": "2026-01-01"}, context={"notes": "x" * 1000})
    seen = []

    @flow.command
    def count():
        context.shared["rows"] = 3
        context.metric("tokens", 7)
        return {"rows": 3}

    flow.command(lambda: seen.append(attach("latest").context()), id="look", after="count")
    run = flow.start(wait=True)
    during = seen[0]
    assert during["workflow"]["state"] == "executing"
    assert (during["shared"]["rows"], during["versions"][0]["command"]) == (3, "count")
    assert during["commands"]["count"]["metrics"] == {"tokens": 7.0}
    assert during["commands"]["look"]["state"] == "running"
    after = run.context(size=100)
    assert after["left_out"] == ["notes"]
    for form in FORMS:
        assert from_form(to_form(after, form), form) == after


def test_what_is_read_is_a_copy_in_a_run_too(project):
    """Changing what was read changes nothing: not what the run began with, nor what was assigned by the same attempt."""
    flow = Workflow("w", context={"given": [1]})

    def change():
        context.shared["mine"] = ["forest"]
        for name in ("given", "mine"):
            context.shared[name].append("more")
        return [context.shared["given"], context.shared["mine"]]

    flow.command(change, id="a")
    result = flow.run()
    assert result.outputs["a"] == [[1], ["forest"]]
    assert dict(result.shared) == {"given": [1], "mine": ["forest"]}
