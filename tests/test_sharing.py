"""Shared state: any order in which commands come to their end gives what the sentence of the strategy promises."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from orchestrator_nb import events as e
from orchestrator_nb.engine.steps import Steps
from orchestrator_nb.engine.verdicts import clash
from orchestrator_nb.state.run_state import RunState, fold
from orchestrator_nb.state.sharing import merged, refused, strategy_of
from orchestrator_nb.state.transitions import IllegalTransition


class Namespaced(Struct, kw_only=True):
    """As much of a work as a merge needs."""

    command: str
    shared: dict = {}


NUMBERS = st.integers(-1000, 1000)
LISTS = st.lists(st.integers(0, 5), max_size=4)
LEAVES = st.integers(0, 9) | st.text(max_size=3)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), LEAVES | st.dictionaries(st.sampled_from("xy"), LEAVES, max_size=2))


def side_by_side(strategy, values, ends, *, before=None) -> tuple[RunState, list[str]]:
    """Fold a run in which all commands begin together and share the key k, and end in this order."""
    names = [f"c{number}" for number in range(len(values))]
    settings = {} if before is None else {"context": {"k": before}}
    state = fold([
        e.RunStarted(at=0.0, run="r", workflow="w", settings=settings),
        e.RunPlanned(at=0.0, commands={name: {} for name in names}, merge={"k": strategy}),
        *(e.AttemptStarted(at=1.0, command=name, attempt=1) for name in names),
    ])  # fmt: skip
    refused_names = []
    for number in ends:
        name = names[number]
        state.apply(e.AttemptReturned(at=2.0, command=name, attempt=1, seconds=1.0, shared={"k": values[number]}))
        if clash(name, state.commands[name], state, 2.0) is not None:
            refused_names.append(name)
        else:
            state.apply(e.CommandSucceeded(at=2.0, command=name, attempt=1))
    return state, refused_names


def ordered(values):
    return st.tuples(st.lists(values, min_size=1, max_size=5), st.randoms(use_true_random=False)).map(
        lambda pair: (pair[0], pair[1].sample(range(len(pair[0])), len(pair[0])))
    )


@given(ordered(NUMBERS), NUMBERS)
def test_last_is_the_value_of_the_one_that_succeeded_last(told, before):
    """Whoever comes last, and every version is kept with its author."""
    values, ends = told
    state, _ = side_by_side("last", values, ends, before=before)
    assert state.shared == {"k": values[ends[-1]]}
    assert [(it.number, it.command, it.changes) for it in state.versions] == [
        (place, f"c{number}", {"k": values[number]}) for place, number in enumerate(ends, 1)
    ]


@given(ordered(NUMBERS), NUMBERS)
def test_first_is_the_value_of_the_first_of_those_side_by_side(told, before):
    """What was there before they began is replaced by the first, and by no other."""
    values, ends = told
    state, _ = side_by_side("first", values, ends, before=before)
    assert state.shared == {"k": values[ends[0]]}


@given(ordered(NUMBERS))
def test_fail_refuses_all_but_the_first(told):
    """The others may be tried again, with what is there then."""
    values, ends = told
    state, names = side_by_side("fail", values, ends)
    assert state.shared == {"k": values[ends[0]]}
    assert names == [f"c{number}" for number in ends[1:]]
    if names:
        found = clash(names[0], state.commands[names[0]], state, 3.0)
        assert (found.failure.kind, found.failure.transient) == ("conflict", True)


@given(ordered(NUMBERS), NUMBERS)
def test_add_max_and_min_are_those_of_all_values(told, before):
    """In whatever order they come, with what was there before."""
    values, ends = told
    for strategy, expected in (("add", sum), ("max", max), ("min", min)):
        state, _ = side_by_side(strategy, values, ends, before=before)
        assert state.shared == {"k": expected([before, *values])}


@given(ordered(LISTS))
def test_append_and_union_join_lists_in_the_order_of_success(told):
    """Each list stays whole; a union has no value twice."""
    values, ends = told
    joined = [item for number in ends for item in values[number]]
    assert side_by_side("append", values, ends)[0].shared == {"k": joined}
    assert side_by_side("union", values, ends)[0].shared == {"k": list(dict.fromkeys(joined))}


@given(ordered(MAPPINGS))
def test_deep_keeps_every_key_with_the_last_value_that_is_no_mapping(told):
    """A key is there when anybody gave it; a leaf that nobody gave later stands."""
    values, ends = told
    found = side_by_side("deep", values, ends)[0].shared["k"]
    assert set(found) == {key for value in values for key in value}
    for key, value in found.items():
        given_last = [values[number][key] for number in ends if key in values[number]]
        if not isinstance(given_last[-1], dict):
            assert value == given_last[-1]
        else:
            assert set(given_last[-1]) <= set(value)


@given(ordered(LISTS), LISTS)
def test_a_function_is_called_for_one_change_after_the_other(told, before):
    """Each with what the one before has made of it, in the order of success; without its answer nobody succeeds."""

    def weave(there, given):
        return [*there, len(there), *given]

    values, ends = told
    names = [f"c{number}" for number in range(len(values))]
    state = fold([
        e.RunStarted(at=0.0, run="r", workflow="w", settings={"context": {"k": before}}),
        e.RunPlanned(at=0.0, commands={name: {} for name in names}, merge={"k": "steps:weave"}),
        *(e.AttemptStarted(at=1.0, command=name, attempt=1) for name in names),
        *(e.AttemptReturned(at=2.0, command=name, attempt=1, seconds=1.0, shared={"k": value})
          for name, value in zip(names, values, strict=True)),
    ])  # fmt: skip
    expected = before
    for number in ends:
        name = names[number]
        with pytest.raises(IllegalTransition, match="before merge"):
            state.apply(e.CommandSucceeded(at=3.0, command=name, attempt=1))
        made = weave(state.shared["k"], values[number])
        state.apply(e.SharedMerged(at=3.0, command=name, attempt=1, values={"k": made}))
        assert clash(name, state.commands[name], state, 3.0) is None
        state.apply(e.CommandSucceeded(at=3.0, command=name, attempt=1))
        expected = weave(expected, values[number])
    assert state.shared == {"k": expected}
    assert [version.made["k"][: len(before)] for version in state.versions] == [before] * len(values)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
def test_one_merge_is_handed_out_at_a_time(names):
    """The next one when that before is answered, with the shared state as it is then."""
    state = fold([
        e.RunStarted(at=0.0, run="r", workflow="w", settings={"context": {"k": 0}}),
        e.RunPlanned(at=0.0, commands={name: {} for name in "abcd"}, merge={"k": "steps:add"}),
        *(e.AttemptStarted(at=1.0, command=name, attempt=1) for name in "abcd"),
    ])  # fmt: skip
    handed = []
    executor = SimpleNamespace(carry_out=handed.append)
    steps = Steps(executor, lambda command, _: Namespaced(command=command))
    for name in names:
        state.apply(e.AttemptReturned(at=2.0, command=name, attempt=1, seconds=1.0, shared={"k": 1}))
        steps.hand_out(state)
    for count in range(1, len(names) + 1):
        assert len(handed) == count
        step = handed[-1]
        assert step.work.shared["k"] == count - 1
        state.apply(e.SharedMerged(at=3.0, command=step.command, attempt=1, values={"k": count}))
        state.apply(e.CommandSucceeded(at=3.0, command=step.command, attempt=1))
        steps.hand_out(state)
    assert state.shared == {"k": len(names)}


def test_values_that_cannot_be_combined_are_refused_for_good():
    """The message names the key, the strategy and what was found."""
    why = refused({"k": "text"}, {"k": 1}, {"k": "add"}, ())
    assert why == ("shared[\"k\"] is merged with add, which takes numbers; found 'text'", False)
    with pytest.raises(ValueError, match="merged as a list"):
        merged({"k": [1]}, {"k": 2}, {"k": "append"})


def test_a_star_stands_for_all_other_keys():
    """A key of its own goes before it; without either the last one wins."""
    assert strategy_of("k", {"*": "fail", "k": "add"}) == "add"
    assert strategy_of("j", {"*": "fail", "k": "add"}) == "fail"
    assert strategy_of("j", {}) == "last"
