"""What commands change in the shared state, against who reads it and who else changes it."""

from __future__ import annotations

import nbformat
import pytest

from orchestrator_nb import context
from orchestrator_nb.commands.notebooks.command import NotebookCommand
from orchestrator_nb.errors import DefinitionError
from orchestrator_nb.plan.shared import assigned_keys


def shared_notes(plan):
    return [note for note in plan.notes if 'shared["' in note]


def sharers(**more):
    return {
        "a": {"shares": {"rows": "integer"}},
        "b": {"shares": {"rows": "integer"}, **more},
        "c": {"after": ["a", "b"]},
    }


def test_two_that_may_run_side_by_side_and_change_one_key_are_named(planned):
    """With what to type, by the type that they declare."""
    (note,) = shared_notes(planned(sharers()))
    assert note == (
        '"a" and "b" may run side by side and change shared["rows"], of which then the last one is left: say how they '
        "come together (merge: {rows: add}), or put one after the other (after)"
    )


@pytest.mark.parametrize("merge", [{"rows": "last"}, {"*": "fail"}, {"rows": "json:dumps"}])
def test_a_declared_strategy_is_the_answer(planned, merge):
    """Also that the last one wins, where somebody has said so."""
    assert not shared_notes(planned(sharers(), merge=merge))


def test_those_in_an_order_are_no_conflict(planned):
    """Directly, or through others; in a sequence nobody is beside anybody."""
    assert not shared_notes(planned(sharers(after=["a"])))
    assert not shared_notes(planned(sharers(), pattern="sequential"))


def test_code_shows_what_it_changes(planned, tmp_path):
    """A function and a notebook that declare nothing are read."""

    def a():
        context.shared["rows"] = 1

    cell = nbformat.v4.new_code_cell(
        "%matplotlib inline\nfrom orchestrator_nb import context\ncontext.shared['rows'] = 1"
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "b.ipynb")
    from orchestrator_nb.commands.callable import CallableCommand

    types = {"call": CallableCommand({"a": a}), "notebook": NotebookCommand()}
    (note,) = shared_notes(planned({"a": {}, "b": {"notebook": "b.ipynb"}}, functions={"a": a}, types=types))
    assert note.startswith('"a" and "b" may run side by side and change shared["rows"]')


def test_keys_are_read_from_code_as_far_as_they_are_written_out():
    """Assignments, in place or by `update`; nothing else, and never an error."""
    assert assigned_keys("context.shared['a'] = 1\ncontext.shared['b'] += 1\ncontext.shared.update(c=1)") == (
        "a",
        "b",
        "c",
    )
    assert assigned_keys("context.shared[name] = 1\nother['a'] = 1\nx = context.shared['a']") == ()
    assert assigned_keys("def (:") == ()


def test_a_reader_beside_a_writer_is_told_that_it_is_chance(planned):
    """And what to put after what."""
    plan = planned({"give": {"shares": ["k"]}, "take": {"context": ["k"]}}, context={"k": 1})
    (note,) = shared_notes(plan)
    assert note.startswith('"take" reads shared["k"] while "give" may be changing it')
    assert "after: [give]" in note
    assert not shared_notes(planned({"give": {"shares": ["k"]}, "take": {"context": ["k"], "after": ["give"]}}))


def test_a_key_that_nobody_gives_is_named(planned):
    """Unless a command before may give it without having declared anything."""
    (note,) = shared_notes(planned({"take": {"context": ["k"]}}))
    assert note.startswith('"take" reads shared["k"], and neither the workflow\'s `context` nor a command before gives')
    assert not shared_notes(planned({"take": {"context": ["k"]}}, context={"k": 1}))

    def may():
        return 1

    body = {"may": {}, "take": {"context": ["k"], "after": ["may"]}}
    assert not shared_notes(planned(body, functions={"may": may}))
    assert shared_notes(planned({**body, "may": {"shares": ["other"]}}, functions={"may": may}))


@pytest.mark.parametrize(("given", "wanted"), [("integer", "string"), ("table", "list"), ("number", "integer")])
def test_a_key_of_another_type_than_it_is_given_as_is_a_mistake(planned, given, wanted):
    """Both commands, the key and both types are named."""
    body = {"give": {"shares": {"k": given}}, "take": {"context": {"k": wanted}, "after": ["give"]}}
    with pytest.raises(DefinitionError) as caught:
        planned(body)
    (mistake,) = caught.value.mistakes
    assert (mistake.path, mistake.found, mistake.expected) == ("/commands/take/context/k", given, wanted)
    assert '"give"' in mistake.message


def test_types_that_fit_and_types_left_open_are_right(planned):
    """A whole number is a number, a date is text."""
    for given, wanted in (("integer", "number"), ("date", "string"), ("any", "table"), ("table", "any")):
        assert planned({"give": {"shares": {"k": given}}, "take": {"context": {"k": wanted}, "after": ["give"]}})


def test_what_the_run_begins_with_has_to_be_of_the_type_too(planned):
    """Where no command gives it."""
    with pytest.raises(DefinitionError, match="the context that the run begins with"):
        planned({"take": {"context": {"k": "integer"}}}, context={"k": "text"})

    def may():
        return 1

    body = {"may": {}, "take": {"context": {"k": "integer"}, "after": ["may"]}}
    assert planned(body, functions={"may": may}, context={"k": "text"})


def test_many_that_change_or_read_one_key_are_one_note(planned):
    """Six are named, the others counted."""
    body = {f"c{number}": {"shares": ["k"]} for number in range(9)}
    (note,) = shared_notes(planned(body))
    assert '"c5" and 3 more may run side by side' in note
    readers = {f"r{number}": {"context": ["k"]} for number in range(8)}
    _, reading = shared_notes(planned({**body, **readers}, context={"k": 1}))
    assert '"r5" and 2 more read shared["k"] while "c0"' in reading
