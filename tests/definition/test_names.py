"""Names: slugs, argument names, numbers and the nearest name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.definition.names import addresses, argument_name, nearest, numbered, slug


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("01 - Clean data.ipynb", "01-clean-data"), ("Model.ipynb", "model"), ("a/b/c d.ipynb", "c-d"), ("Données.ipynb", "donnees"),
        ("/query", "query"), ("数据.ipynb", "command"), ("...", "command"), ("v1.2 final", "v1.2-final"), ("a__b", "a__b"), ("-x-", "x"),
    ],
)  # fmt: skip
def test_slugs_of_file_names(name: str, expected: str) -> None:
    """A file name becomes an id in lower case without its suffix."""
    assert slug(name) == expected


@given(st.text())
def test_every_slug_is_an_id(name: str) -> None:
    """Whatever the name, its slug follows the rule of ids, and its argument name is a Python name."""
    found = slug(name)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", found)
    assert argument_name(found).isidentifier()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clean_data", "clean_data"),
        ("01-clean-data", "clean_data"),
        ("v1.2", "v1_2"),
        ("class", "class_"),
        ("01", "_01"),
        ("_x", "_x"),
    ],
)
def test_argument_names(name: str, expected: str) -> None:
    """An id becomes a Python name without its leading number."""
    assert argument_name(name) == expected


def test_addresses_are_ids_and_unambiguous_argument_names() -> None:
    """A name that two commands could have leads to neither; an id leads to its command before all."""
    assert addresses(["01-clean", "02-model", "03-model", "clean-up", "clean_up"]) == {
        "01-clean": "01-clean", "02-model": "02-model", "03-model": "03-model", "clean-up": "clean-up", "clean_up": "clean_up",
        "clean": "01-clean",
    }  # fmt: skip


def test_numbers_begin_at_two_and_pass_over_what_is_taken() -> None:
    """A free name stays as it is."""
    assert numbered("a", {"b"}) == "a"
    assert numbered("a", {"a", "a-2"}) == "a-3"


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("claen", ["clean", "model"], "clean"), ("dependson", ["depends_on", "description"], "depends_on"), ("dya", ["day"], "day"),
        ("Clean", ["clean"], "clean"), ("zzz", ["clean", "model"], None), ("clean", [], None), ("gates", ["after", "tags"], None),
    ],
)  # fmt: skip
def test_the_nearest_name(name: str, names: list[str], expected: str | None) -> None:
    """A misspelt name finds what was meant, and a foreign one finds nothing."""
    assert nearest(name, names) == expected
