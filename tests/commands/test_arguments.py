"""Arguments: where each comes from, what references lead to, and what is said when they lead nowhere."""

from __future__ import annotations

import pytest

from orchestrator_nb.commands.arguments import collect, resolve, resolved, result
from orchestrator_nb.errors import UsageError

pd = pytest.importorskip("pandas")


def test_the_definition_wins_then_upstream_then_the_workflow(attempt_of):
    """An argument of the definition goes before a result of that name, that before a parameter of the workflow."""
    attempt = attempt_of(
        {"call": "m:f", "parameters": {"a": 1}},
        results={"a": 2, "b": 2},
        parameters={"a": 3, "b": 3, "c": 3},
    )
    assert collect(attempt, ["a", "b", "c", "d"]) == {"a": 1, "b": 2, "c": 3}


def test_what_the_definition_gives_is_passed_whatever_is_taken(attempt_of):
    """A parameter of the definition is there even if its name was not asked for."""
    assert collect(attempt_of({"call": "m:f", "parameters": {"extra": 1}}), []) == {"extra": 1}


def test_a_result_can_be_asked_for_by_its_argument_name(attempt_of):
    """A command whose id is no Python name is asked for by the name that is made of it."""
    attempt = attempt_of({"call": "m:f"}, results={"01-clean-data": [1], "fit.model": [2]})
    assert collect(attempt, ["clean_data", "fit_model"]) == {"clean_data": [1], "fit_model": [2]}


def test_only_what_is_no_result_is_fitted(attempt_of):
    """Values of the definition and of the workflow go through `fit`; results pass as they are."""
    attempt = attempt_of({"call": "m:f", "parameters": {"a": 1}}, results={"b": 1}, parameters={"c": 1})
    assert collect(attempt, ["a", "b", "c"], fit=lambda name, value: (name, value)) == {
        "a": ("a", 1), "b": 1, "c": ("c", 1),
    }  # fmt: skip


def test_what_a_command_gets_is_its_own(attempt_of):
    """Changing an argument changes neither the definition nor the run nor what others get."""
    attempt = attempt_of({"call": "m:f", "parameters": {"a": [1]}}, results={"b": [1]}, parameters={"c": {"d": [1]}})
    first = collect(attempt, ["a", "b", "c"])
    for value in (first["a"], first["b"], first["c"]["d"]):
        value.append("mine")
    assert collect(attempt, ["a", "b", "c"]) == {"a": [1], "b": [1], "c": {"d": [1]}}


def test_a_command_that_returned_nothing_gives_what_it_recorded(attempt_of):
    """Its recorded outputs by name stand for the result of a notebook, which returns nothing."""
    attempt = attempt_of(
        {"call": "m:f"}, results={"clean": None, "bare": None}, recorded={"clean": {"rows": 5}, "model": {"x": 1}}
    )
    assert result(attempt, "clean") == {"rows": 5}
    assert result(attempt, "bare") is None
    assert result(attempt, "model") == {"x": 1}
    assert collect(attempt, ["clean"]) == {"clean": {"rows": 5}}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("${{ clean }}", {"rows": 5, "parts": [{"n": 1}, {"n": 2}]}),
        ("${{ clean.rows }}", 5),
        ("${{clean.parts.1.n}}", 2),
        ("${{ clean.noted }}", "seen"),
        ("${{ book.rows }}", 7),
        ("${{ book }}", {"rows": 7}),
        ("${{ mixed.n }}", 3),
        ("${{ parameters.day }}", "2026-01-01"),
        ("${{ context.run }}", "r1"),
        ("on ${{ parameters.day }}: ${{ clean.rows }} rows", "on 2026-01-01: 5 rows"),
        (["${{ clean.rows }}", {"k": "${{ book.rows }}"}], [5, {"k": 7}]),
        ("plain", "plain"),
    ],
)
def test_references_lead_into_results_recorded_outputs_and_parameters(attempt_of, reference, expected):
    """A reference is a look-up in the result, else in what was recorded; alone it keeps the type of what it finds."""
    attempt = attempt_of(
        {"call": "m:f", "parameters": {"a": reference}},
        results={
            "clean": {"rows": 5, "parts": [{"n": 1}, {"n": 2}]},
            "book": None,
            "mixed": {"table": pd.DataFrame({"x": [1]}), "n": 3},
        },
        recorded={"clean": {"noted": "seen"}, "book": {"rows": 7}},
        parameters={"day": "2026-01-01"},
    )
    assert resolve(attempt) == {"a": expected}


def test_a_reference_into_a_mapping_loads_only_what_it_names(attempt_of):
    """Of a result with several forms, the table that is not asked for is not read."""
    attempt = attempt_of({"call": "m:f"}, results={"mixed": {"table": pd.DataFrame({"x": [1]}), "n": 3}})
    table = attempt.work.inputs["mixed"].items["table"]
    path = next(path for path in (attempt.work.run_folder / "artifacts").rglob(f"{table.artifact}*"))
    path.unlink()
    assert resolved(attempt, "${{ mixed.n }}", place="/args") == 3


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${{ clena.rows }}", ['"me" /parameters/a', '"clena"', "no upstream command", '"book", "clean"', '"clean"?']),
        ("${{ clean.row }}", ['the result of "clean"', '"noted", "parts", "rows"', 'did you mean "rows"?']),
        ("${{ clean.rows.x }}", ['the result of "clean" at rows', "int"]),
        ("${{ clean.parts.9 }}", ["a list of 2"]),
        ("${{ book.x }}", ['there is "rows"']),
        ("${{ frame.x }}", ["pandas", "there is none"]),
        ("${{ parameters.dya }}", ["workflow's parameters", 'did you mean "day"?']),
        ("${{ context.secret }}", ['"attempt", "command", "run", "workflow"']),
        ("rows: ${{ clean.parts }}", ["inside a longer text"]),
    ],
)
def test_a_reference_that_leads_nowhere_says_what_there_is(attempt_of, reference, said):
    """The message names the command, the place, the reference, what is there and the nearest name."""
    attempt = attempt_of(
        {"call": "m:f", "parameters": {"a": reference}},
        results={"clean": {"rows": 5, "parts": [1, 2]}, "book": None, "frame": pd.DataFrame({"x": [1]})},
        recorded={"clean": {"noted": "seen"}, "book": {"rows": 7}},
        parameters={"day": "2026-01-01"},
    )
    with pytest.raises(UsageError) as caught:
        resolve(attempt)
    for part in said:
        assert part in str(caught.value)
