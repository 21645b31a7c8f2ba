"""Which commands a selection means, and the plan of a part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.errors import UsageError
from orchestrator_nb.plan.selection import closure, narrowed, read_selection, select

GRAPH = {
    "load": {},
    "clean": {"after": ["load"], "tags": ["quick"]},
    "fit-a": {"after": ["clean"], "tags": ["ml"]},
    "fit-b": {"after": ["clean"], "tags": ["ml"], "agent": "modeller"},
    "report": {"after": ["fit-a", "fit-b"]},
    "notes": {},
}


def _run(planned, unfinished=(), **options):
    plan = planned(GRAPH)
    return set(select(read_selection(**options), plan, failed=unfinished))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"only": "clean"}, {"clean"}),
        ({"only": "clean, notes"}, {"clean", "notes"}),
        ({"only": ["clean", "notes,load"]}, {"clean", "notes", "load"}),
        ({"only": "+clean"}, {"load", "clean"}),
        ({"only": "clean+"}, {"clean", "fit-a", "fit-b", "report"}),
        ({"only": "+fit-a+"}, {"load", "clean", "fit-a", "report"}),
        ({"only": "tag:ml"}, {"fit-a", "fit-b"}),
        ({"only": "+tag:ml"}, {"load", "clean", "fit-a", "fit-b"}),
        ({"only": "modeller"}, {"fit-b"}),
        ({"only": "fit_a"}, {"fit-a"}),
        ({"only": "fit-*"}, {"fit-a", "fit-b"}),
        ({"start_from": "fit-a"}, {"fit-a", "report"}),
        ({"until": "fit-a"}, {"load", "clean", "fit-a"}),
        ({"start_from": "clean", "until": "fit-a"}, {"clean", "fit-a"}),
        ({"only": "tag:ml", "start_from": "fit-b"}, {"fit-b"}),
        ({"failed": True}, {"fit-b", "report"}),
    ],
    ids=str,
)
def test_a_selection_means(planned, options, expected):
    """Names, tags, agents and patterns, with what comes before and after; several options narrow one another."""
    assert _run(planned, unfinished=("fit-b",), **options) == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"only": "cleen"}, 'there is no command or agent "cleen"; did you mean "clean"?'),
        ({"only": "modeler"}, 'did you mean "modeller"?'),
        ({"until": "tag:mll"}, 'no command has the tag "mll"; did you mean "tag:ml"?'),
        ({"start_from": "x*"}, "no id fits that pattern"),
        ({"only": "notes", "start_from": "clean"}, "no command is selected by only notes and from clean"),
        ({"only": [3]}, "only takes names of commands as text; found 3"),
    ],
    ids=str,
)
def test_what_selects_nothing_is_named(planned, options, said):
    """A name that is not there is said with the one that was probably meant."""
    with pytest.raises(UsageError) as caught:
        _run(planned, **options)
    assert said in str(caught.value)


def test_every_unknown_name_is_said_at_once(planned):
    """Nobody mends one name after the other."""
    with pytest.raises(UsageError, match=r'(?s)"cleen".*"tag:no"'):
        _run(planned, only="cleen", until="tag:no")


def test_nothing_asked_for_is_no_part():
    """Empty lists and texts select nothing in particular: everything runs."""
    assert not read_selection(only=[], until="").is_partial
    assert read_selection(failed=True).is_partial


@pytest.mark.parametrize("given", [{"only": [""]}, {"only": "+"}, {"start_from": ["a", " , "]}, {"until": ["++"]}])
def test_a_selector_without_a_name_is_not_taken_for_all(given):
    """As an empty variable on a command line comes: everything is not what was meant."""
    with pytest.raises(UsageError, match="names no command"):
        read_selection(**given)


def test_a_part_keeps_the_order_through_what_is_left_out(planned):
    """A command that came after another one by way of a third still does when the third is left out."""
    part = narrowed(planned(GRAPH), ["load", "fit-a", "report"], given=["clean"])
    assert part.order == ("load", "clean", "fit-a", "report")
    assert part.upstream == {"load": (), "clean": (), "fit-a": ("load", "clean"), "report": ("load", "fit-a")}
    assert set(part.downstream["load"]) == {"fit-a", "report"}
    assert {(edge.upstream, edge.downstream) for edge in part.edges} == {
        ("load", "fit-a"),
        ("clean", "fit-a"),
        ("fit-a", "report"),
        ("load", "report"),
    }


@given(
    edges=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1])),
    chosen=st.sets(st.integers(0, 7), min_size=1),
)
def test_in_a_part_everything_still_comes_after_what_it_came_after(planned_graph, edges, chosen):
    """Of any graph, the selected commands are ordered in the part exactly as they were in the whole."""
    plan = planned_graph(edges)
    names = [f"c{number}" for number in sorted(chosen)]
    part = narrowed(plan, names)
    assert list(part.order) == [name for name in plan.order if name in names]
    for name in names:
        assert closure([name], part.upstream) == closure([name], plan.upstream) & set(names)


@pytest.fixture(scope="module")
def planned_graph(tmp_path_factory):
    """Plan a graph of eight commands."""
    from orchestrator_nb.commands.shell import ShellCommand
    from orchestrator_nb.definition.reading import read_definition
    from orchestrator_nb.plan.plan import make_plan

    folder = tmp_path_factory.mktemp("graph")

    def plan(edges):
        commands = {
            f"c{number}": {
                "shell": ["python", "-c", "pass"],
                "after": [f"c{before}" for before, after in sorted(edges) if after == number],
            }
            for number in range(8)
        }
        definition = read_definition({"workflow": "w", "commands": commands}, folder=folder).definition
        return make_plan(definition, folder=folder, commands={"shell": ShellCommand()}, parameters={})

    return plan
