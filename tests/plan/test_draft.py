"""Which edges there are and why, which are dropped, and what is refused."""

from __future__ import annotations

import pytest

from orchestrator_nb.errors import DefinitionError


def edges(plan):
    return {(edge.upstream, edge.downstream): (edge.reasons, edge.inferred) for edge in plan.edges}


def refused(planned, *args, **options):
    with pytest.raises(DefinitionError) as caught:
        planned(*args, **options)
    return caught.value.mistakes


def test_after_is_an_explicit_edge(planned):
    """What the user wrote in `after` is an edge that is not inferred, and needs no result."""
    plan = planned({"b": {"after": ["a"]}, "a": {}})
    assert edges(plan) == {("a", "b"): (("after",), False)}
    assert plan.order == ("a", "b")
    assert plan.upstream == {"b": ("a",), "a": ()}
    assert plan.downstream == {"b": (), "a": ("b",)}
    assert plan.inputs == {"b": (), "a": ()}


@pytest.mark.parametrize(
    "fields",
    [
        {"shell": ["python", "-c", "pass", "${{ clean.stdout }}"]},
        {"shell": ["python", "-c", "pass"], "environment": {"ROWS": "n=${{ clean.stdout }}"}},
    ],
)
def test_a_reference_is_an_explicit_edge_and_an_input(planned, fields):
    """A reference in arguments or environment makes its command an upstream whose result is needed."""
    plan = planned({"model": fields, "clean": {}})
    assert edges(plan) == {("clean", "model"): (("refers to ${{ clean.stdout }}",), False)}
    assert plan.inputs["model"] == ("clean",)


def test_references_in_parameters_reach_commands_by_their_argument_names(planned):
    """A command whose id is no Python name is found by its argument name, deep inside a value too."""

    def model(options):
        return options

    plan = planned(
        {"01-clean": {}, "model": {"parameters": {"options": {"rows": ["${{ clean.stdout }}"]}}}},
        functions={"model": model},
    )
    assert plan.inputs["model"] == ("01-clean",)


def test_a_reference_to_a_parameter_is_no_edge(planned):
    """Roots that are no commands make no edges."""
    plan = planned(
        {"a": {"shell": ["python", "-c", "${{ parameters.day }}"]}},
        parameters={"day": {"default": "x"}},
        given={"day": "y"},
    )
    assert plan.edges == ()


def test_an_argument_named_like_a_command_is_an_inferred_edge(planned):
    """A function that takes the name of a command gets its result; ids are found by their argument names too."""

    def publish(clean_data, model):
        return clean_data, model

    plan = planned({"publish": {}, "clean-data": {}, "model": {}}, functions={"publish": publish})
    assert edges(plan) == {
        ("clean-data", "publish"): (('takes "clean_data"',), True),
        ("model", "publish"): (('takes "model"',), True),
    }
    assert plan.inputs["publish"] == ("clean-data", "model")


def test_a_parameter_comes_before_a_command_of_its_name(planned):
    """An argument that the workflow has as parameter is that parameter."""

    def publish(day):
        return day

    plan = planned({"day": {}, "publish": {}}, functions={"publish": publish}, parameters={"day": {"default": "x"}})
    assert plan.edges == ()


def test_reasons_for_one_edge_are_put_together_and_the_explicit_one_wins(planned):
    """An edge that was written and would be inferred too is one edge, not inferred, with every reason."""

    def model(clean):
        return clean

    plan = planned(
        {"clean": {"writes": ["out.csv"]}, "model": {"after": ["clean"], "reads": ["out.csv"]}},
        functions={"model": model},
    )
    reasons = ("after", 'takes "clean"', 'reads "out.csv", which "clean" writes')
    assert edges(plan) == {("clean", "model"): (reasons, False)}


def test_every_explicit_cycle_is_named_in_order(planned):
    """Each cycle is one mistake at its first command, with the commands in the order in which they would run."""
    mistakes = refused(
        planned,
        {
            "a": {"after": ["c"]},
            "b": {"after": ["a"]},
            "c": {"after": ["b"]},
            "x": {"shell": ["python", "${{ y.stdout }}"]},
            "y": {"after": ["x"]},
            "z": {"after": ["y"]},
        },
    )
    assert [mistake.message for mistake in mistakes] == [
        "these commands wait for each other: a → b → c → a",
        "these commands wait for each other: x → y → x",
    ]
    assert [mistake.path for mistake in mistakes] == ["/commands/a/after", "/commands/x/after"]


def test_a_long_cycle_is_shortened_in_its_middle(planned):
    """Of a cycle of a thousand the beginning and the end are shown, and how many are between."""
    (mistake,) = refused(planned, {f"c{n}": {"after": [f"c{(n - 1) % 1000}"]} for n in range(1000)})
    assert "c0 → c1 → c2 → c3 → c4 → c5 → (989 more) → c995 → " in mistake.message
    assert mistake.message.endswith("c999 → c0")


def test_a_cycle_that_only_an_inferred_edge_closes_is_opened_and_said(planned):
    """What was written stays, what was inferred against it is dropped, with the cycle that it would have closed."""
    plan = planned({"report": {"reads": ["x.csv"]}, "clean": {"writes": ["x.csv"], "after": ["report"]}})
    assert plan.order == ("report", "clean")
    assert edges(plan) == {("report", "clean"): (("after",), False)}
    (note,) = plan.notes
    assert note == (
        '"report" does not wait for "clean", although it reads "x.csv", which "clean" writes, '
        "since that would close the cycle clean → report → clean"
    )


def test_an_argument_is_kept_rather_than_a_file(planned):
    """Between two inferred edges, the one that brings a result stays."""

    def a(b):
        return b

    plan = planned({"a": {"writes": ["x.csv"]}, "b": {"reads": ["x.csv"]}}, functions={"a": a})
    assert plan.order == ("b", "a")
    assert len(plan.notes) == 1


def test_a_dropped_argument_is_missing(planned):
    """Two functions that take each other's results cannot both have them: what is missing is told, and why."""

    def a(b):
        return b

    def b(a):
        return a

    missing, why = refused(planned, {"a": {}, "b": {}}, functions={"a": a, "b": b})
    assert missing.path == "/commands/b/parameters"
    assert 'nothing gives the argument "a"' in missing.message
    assert why.message == (
        '"b" does not wait for "a", although it takes "a", since that would close the cycle a → b → a'
    )


def test_sequential_is_each_after_the_one_before(planned):
    """The pattern adds an inferred edge from each command to the next."""
    plan = planned({"a": {}, "b": {}, "c": {}}, pattern="sequential")
    why = (("is next in the sequence",), True)
    assert edges(plan) == {("a", "b"): why, ("b", "c"): why}
    assert plan.notes == ()


def test_a_sequence_gives_way_to_what_was_written(planned):
    """Where `after` contradicts the order of the definition, the sequence follows it and that is said."""
    plan = planned({"a": {"after": ["c"]}, "b": {}, "c": {}}, pattern="sequential")
    assert plan.order == ("b", "c", "a")
    assert set(edges(plan)) == {("b", "c"), ("c", "a")}
    assert plan.notes == (
        'the sequence is not that of the definition, since some come after later ones: "b", "c" and "a"',
    )


def test_in_a_sequence_the_order_of_the_definition_decides_about_files(planned):
    """One that reads before another writes does so because it was written first; that is said."""
    plan = planned({"a": {"reads": ["x.csv"]}, "b": {"writes": ["x.csv"]}}, pattern="sequential")
    assert plan.order == ("a", "b")
    assert plan.notes == ('"a" reads "x.csv", which "b" writes, but it comes before "b" in the sequence',)


def test_two_writers_in_no_order_are_a_mistake_that_names_both(planned):
    """Who is last would be chance; the message names both commands and what to do."""
    (mistake,) = refused(planned, {"a": {"writes": ["x.csv"]}, "b": {}, "c": {"writes": ["./x.csv"]}})
    assert mistake.path == "/commands/c/writes/0"
    assert mistake.message == '"a" and "c" write "x.csv" and "./x.csv", and nothing says in which order'
    assert "after" in mistake.expected
    assert "exclusive" in mistake.expected


def test_all_writers_of_one_resource_are_one_mistake(planned):
    """A hundred writers of one name are told once, shortened."""
    (mistake,) = refused(planned, {f"c{n}": {"writes": ["db:sales"]} for n in range(100)})
    assert 'and 88 more write "db:sales"' in mistake.message


def test_writers_in_some_order_are_fine(planned):
    """An order between them may be indirect."""
    plan = planned({"a": {"writes": ["x.csv"]}, "b": {"after": ["a"]}, "c": {"writes": ["x.csv"], "after": ["b"]}})
    assert plan.order == ("a", "b", "c")
    assert plan.notes == ()


def test_exclusive_writers_run_one_after_the_other(planned):
    """One that is exclusive is enough; the order is that of the definition, inferred and said."""
    plan = planned({"a": {"writes": ["db:x"]}, "b": {"writes": ["db:x"], "exclusive": True}, "c": {"writes": ["db:x"]}})
    assert edges(plan) == {
        ("a", "b"): (('writes "db:x", which "a" writes too',), True),
        ("b", "c"): (('writes "db:x", which "b" writes too',), True),
    }
    assert plan.notes == (
        '"b" waits for "a": both write "db:x", which is exclusive',
        '"c" waits for "b": both write "db:x", which is exclusive',
    )


def test_exclusive_writers_follow_what_was_written(planned):
    """The order of exclusive writers never contradicts an explicit one."""
    plan = planned(
        {"a": {"writes": ["db:x"], "exclusive": True, "after": ["b"]}, "b": {"writes": ["db:x"], "exclusive": True}}
    )
    assert plan.order == ("b", "a")
    assert edges(plan) == {("b", "a"): (("after",), False)}
