"""Edges from what is read and written, and inputs that are not there."""

from __future__ import annotations

import pytest

from orchestrator_nb.errors import DefinitionError
from orchestrator_nb.ports import Command


def found(plan):
    return {(edge.upstream, edge.downstream): edge.reasons for edge in plan.edges}


def refused(planned, *args, **options):
    with pytest.raises(DefinitionError) as caught:
        planned(*args, **options)
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("out/a.csv", "out/a.csv"),
        ("out/a.csv", "./out/../out/a.csv"),
        ("out/a.csv", "link/a.csv"),
        ("out/a.csv", "out/*.csv"),
        ("out/part-*.csv", "out/part-1.csv"),
        ("out/part-*.csv", "**/*.csv"),
        ("out/", "out/a.csv"),
        ("out/a.csv", "out"),
        ("out/a.csv", "out/"),
        ("db:sales", "db:sales"),
    ],
)
def test_a_read_of_what_another_writes_is_an_inferred_edge(planned, tmp_path, written, read):
    """Paths meet in every spelling, patterns on either side, folders with what is in them, names by name."""
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    if read == "out":
        read = "./out"
    plan = planned({"reader": {"reads": [read]}, "writer": {"writes": [written]}})
    (edge,) = plan.edges
    assert (edge.upstream, edge.downstream, edge.inferred) == ("writer", "reader", True)
    assert plan.order == ("writer", "reader")


def test_the_reason_gives_both_spellings(planned):
    """Where the texts differ, both are in the reason."""
    plan = planned({"a": {"writes": ["out/a.csv"]}, "b": {"reads": ["out/*.csv"]}})
    assert found(plan) == {("a", "b"): ('reads "out/*.csv", and "a" writes "out/a.csv"',)}


def test_paths_belong_to_the_folder_where_the_code_runs(planned, tmp_path):
    """A `cwd` moves what a command reads and writes."""
    (tmp_path / "sub").mkdir()
    plan = planned(
        {"a": {"writes": ["x.csv"], "cwd": "sub"}, "b": {"reads": ["sub/x.csv"]}, "c": {"writes": ["x.csv"]}}
    )
    assert set(found(plan)) == {("a", "b")}


def test_paths_of_a_notebook_belong_to_its_own_folder(planned, tmp_path):
    """What a notebook writes is where the notebook is, unless it runs elsewhere."""

    class Notebook(Command):
        name = "notebook"

        def check(self, command, *, folder, upstream, parameters=None):
            return []

        def wants(self, command, *, folder):
            return ()

        def source(self, command, *, folder):
            return ""

        def run(self, attempt):
            return None

    plan = planned(
        {
            "a": {"notebook": "steps/a.ipynb", "writes": ["x.csv"]},
            "b": {"notebook": "steps/b.ipynb", "reads": ["steps/x.csv"], "cwd": "."},
        },
        types={"notebook": Notebook()},
    )
    assert set(found(plan)) == {("a", "b")}


def test_a_command_does_not_wait_for_itself(planned):
    """One that reads what it writes changes a file in place, and others that read it wait for it."""
    plan = planned({"a": {"reads": ["x.csv"], "writes": ["x.csv"]}, "b": {"reads": ["x.csv"]}})
    assert set(found(plan)) == {("a", "b")}


def test_one_that_changes_a_file_in_place_comes_after_the_one_that_makes_it(planned):
    """Maker, changer and reader of one file are ordered by its reads alone."""
    plan = planned(
        {
            "report": {"reads": ["x.csv"]},
            "enrich": {"reads": ["x.csv"], "writes": ["x.csv"]},
            "clean": {"writes": ["x.csv"]},
        }
    )
    assert plan.order == ("clean", "enrich", "report")


def test_two_that_change_a_file_in_place_are_not_ordered_by_chance(planned):
    """Neither reads before the other: they are writers in no order, which is a mistake."""
    body = {"reads": ["x.csv"], "writes": ["x.csv"]}
    (mistake,) = refused(planned, {"a": body, "b": body})
    assert "nothing says in which order" in mistake.message


def test_an_input_that_is_not_there_is_a_mistake(planned, tmp_path):
    """A file that nobody writes has to be there; the message has its full path and what was probably meant."""
    (tmp_path / "sales.csv").touch()
    first, second = refused(
        planned,
        {"a": {"reads": ["sale.csv", "sales.csv"]}, "b": {"writes": ["clean.csv"]}, "c": {"reads": ["cleen.csv"]}},
    )
    assert first.path == "/commands/a/reads/0"
    assert first.nearest == "sales.csv"
    assert str(tmp_path / "sale.csv") in first.expected
    assert (second.path, second.nearest) == ("/commands/c/reads/0", "clean.csv")


def test_the_inputs_of_what_is_settled_are_not_asked_for(planned):
    """A command whose result is there already does not run, so its inputs may be gone."""
    plan = planned({"a": {"reads": ["gone.csv"]}, "b": {"after": ["a"]}}, settled=("a",))
    assert plan.order == ("a", "b")


def test_names_and_patterns_are_not_looked_for(planned):
    """A named resource is nothing that a disk could have, and a pattern may match nothing."""
    plan = planned({"a": {"reads": ["db:sales", "in/*.csv"]}})
    assert plan.edges == ()
