"""The plan as a whole: its order, what is checked, and how it copes with size."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.errors import DefinitionError, Mistake
from orchestrator_nb.plan.plan import make_plan
from orchestrator_nb.ports import Command

MANY = 20_000
names = [f"c{number}" for number in range(10)]


class Bare(Command):
    """A type of command that only has a name: for graphs alone."""

    name = "call"

    def check(self, command, *, folder, upstream, parameters=None):
        return []

    def wants(self, command, *, folder):
        return tuple(command.parameters)

    def source(self, command, *, folder):
        return ""

    def run(self, attempt):
        return None


def workflow(bodies, **fields):
    commands = tuple(CommandDefinition(id=name, call="steps:run", **body) for name, body in bodies.items())
    return WorkflowDefinition(workflow="test", commands=commands, **fields)


def plan_of(definition, folder):
    return make_plan(definition, folder=folder, commands={"call": Bare()}, parameters={})


files = st.lists(st.sampled_from(["a.x", "b.x", "out/", "out/c.x", "out/*.x", "db:d"]), max_size=2, unique=True)
some = st.lists(st.sampled_from(names), max_size=3, unique=True)
bodies = st.fixed_dictionaries({"after": some, "wants": some, "reads": files, "writes": files})


@given(st.lists(bodies, min_size=1, max_size=10), st.sampled_from(["hybrid", "sequential"]))
def test_whatever_is_inferred_the_explicit_edges_hold(tmp_path_factory, drawn, pattern):
    """Explicit edges are all there and respected, the order is a permutation, and no edge goes against it."""
    folder = tmp_path_factory.getbasetemp() / "inputs"
    (folder / "out").mkdir(parents=True, exist_ok=True)
    for name in ("a.x", "b.x", "out/c.x"):
        (folder / name).touch()
    definition = workflow(
        {
            names[number]: {
                "after": tuple(name for name in body["after"] if int(name[1:]) < number),
                "parameters": {name: 1 for name in body["wants"] if int(name[1:]) < len(drawn)},
                "reads": tuple(body["reads"]),
                "writes": tuple(body["writes"]),
                "exclusive": True,
            }
            for number, body in enumerate(drawn)
        },
        pattern=pattern,
    )
    plan = plan_of(definition, folder)
    assert sorted(plan.order) == sorted(names[: len(drawn)])
    place = {name: number for number, name in enumerate(plan.order)}
    assert all(place[edge.upstream] < place[edge.downstream] for edge in plan.edges)
    stated = {(edge.upstream, edge.downstream) for edge in plan.edges if not edge.inferred}
    assert stated == {(name, command.id) for command in definition.commands for name in command.after}
    assert {(name, other) for name, others in plan.downstream.items() for other in others} == {
        (other, name) for name, others in plan.upstream.items() for other in others
    }
    assert plan_of(definition, folder) == plan
    if pattern == "sequential":
        assert all(before in plan.upstream[after] for before, after in pairwise(plan.order))


def test_without_edges_the_order_is_that_of_the_definition(tmp_path):
    """Ids and their spelling play no part."""
    plan = plan_of(workflow({name: {} for name in ("z", "a", "m")}), tmp_path)
    assert plan.order == ("z", "a", "m")
    assert list(plan.commands) == ["z", "a", "m"]


def test_all_mistakes_come_at_once_in_the_order_of_the_definition(planned):
    """Missing files, cycles, writers in no order and what the types of command find are told together."""
    with pytest.raises(DefinitionError) as caught:
        planned(
            {
                "a": {"after": ["b"], "reads": ["gone.csv"]},
                "b": {"after": ["a"]},
                "c": {"shell": ["no-such-program-anywhere"]},
                "d": {"call": "no_such_module_anywhere:run"},
            }
        )
    paths = [mistake.path for mistake in caught.value.mistakes]
    assert paths == ["/commands/a/reads/0", "/commands/a/after", "/commands/c/shell/0", "/commands/d/call"]


def test_mistakes_name_the_line_in_the_users_text(tmp_path, planned):
    """With the text's places, a mistake has file, line and column; one inside another file keeps its own."""

    class Picky(Bare):
        def check(self, command, *, folder, upstream, parameters=None):
            return [Mistake("wrong", "/parameters/x"), Mistake("torn", file="step.py", line=7)]

    def place(mistake, *, command):
        return Mistake(mistake.message, f"/commands/{command}{mistake.path}", file="flow.yaml", line=3, column=5)

    with pytest.raises(DefinitionError) as caught:
        make_plan(workflow({"a": {}}), folder=tmp_path, commands={"call": Picky()}, parameters={}, place=place)
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "flow.yaml:3:5 /commands/a/parameters/x: wrong",
        "step.py:7 /commands/a: torn",
    ]


def test_types_are_told_the_names_of_results_and_parameters(tmp_path):
    """A check learns by which names upstream results may be asked for, and which parameters there are."""
    told = {}

    class Curious(Bare):
        def check(self, command, *, folder, upstream, parameters=None):
            told[command.id] = (dict(upstream), set(parameters))
            return []

    definition = workflow({"01-a": {}, "b": {"after": ("01-a",)}}, parameters={"day": {"default": 1}})
    make_plan(definition, folder=tmp_path, commands={"call": Curious()}, parameters={"day": 2})
    assert told == {"01-a": ({}, {"day"}), "b": ({"01-a": "01-a", "a": "01-a"}, {"day"})}


def test_an_unknown_type_is_a_mistake_with_the_nearest_name(tmp_path):
    """A type that nobody has installed is told like everything else."""
    definition = WorkflowDefinition(workflow="w", commands=(CommandDefinition(id="a", type="kall"),))
    with pytest.raises(DefinitionError) as caught:
        plan_of(definition, tmp_path)
    (mistake,) = caught.value.mistakes
    assert (mistake.path, mistake.nearest) == ("/commands/a/type", "call")


def test_a_type_that_breaks_is_a_mistake_of_its_command(tmp_path):
    """An exception in a third party's type names the type and the command, and hides nothing else."""

    class Broken(Bare):
        def wants(self, command, *, folder):
            raise KeyError("x")

        def check(self, command, *, folder, upstream, parameters=None):
            raise RuntimeError("no")

    with pytest.raises(DefinitionError) as caught:
        make_plan(workflow({"a": {}}), folder=tmp_path, commands={"call": Broken()}, parameters={})
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "/commands/a: the type of command \"call\" could not look at it: KeyError: 'x'",
        '/commands/a: the type of command "call" could not check it: RuntimeError: no',
    ]


def test_what_is_settled_is_not_checked(planned):
    """A program that is gone does not matter to a command that will not run again."""
    commands = {"a": {"shell": ["no-such-program-anywhere"]}, "b": {"after": ["a"]}}
    assert planned(commands, settled=("a",)).order == ("a", "b")


def link(number):
    """Follow the command before: by `after`, by an argument, or by a file, in turn."""
    if not number:
        return {"writes": ("0.x",)}
    ways = ({"after": (f"c{number - 1}",)}, {"parameters": {f"c{number - 1}": 0}}, {"reads": (f"{number - 1}.x",)})
    return {**ways[number % 3], "writes": (f"{number}.x",)}


@pytest.mark.parametrize(
    "bodies",
    [{f"c{n}": link(n) for n in range(MANY)}, {f"c{n}": {"after": ("c0",) if n else ()} for n in range(MANY)}],
    ids=["chain", "fan"],
)
def test_a_large_workflow_is_planned(tmp_path, bodies):
    """Many commands, or a chain as long, are planned without recursion and in the order of the definition."""
    plan = plan_of(workflow(bodies), tmp_path)
    assert plan.order == tuple(bodies)
    assert len(plan.edges) == MANY - 1
