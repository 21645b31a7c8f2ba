"""References: their grammar, where they are found, and what comes in their place."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator_nb.definition.references import Reference, references_in, resolve
from orchestrator_nb.errors import UsageError

KNOWN = {
    "clean.rows": 3, "clean": {"rows": 3}, "clean.table": [1, 2], "parameters.day": "2026-01-01", "clean.ok": True,
    "01-clean.rows.0": 1.5,
}  # fmt: skip


def lookup(reference: Reference) -> Any:
    return KNOWN[".".join((reference.root, *reference.keys))]


def test_references_are_found_in_order_everywhere() -> None:
    """Lists, mappings, tuples and longer texts are looked through; what is no text has none."""
    value = {
        "a": ["x ${{ clean.rows }} and ${{parameters.day}}", 3, None],
        "b": ("${{ 01-clean.rows.0 }}",),
        "c": "$x {{ y }}",
    }
    assert references_in(value) == (
        Reference("${{ clean.rows }}", "clean", ("rows",)),
        Reference("${{parameters.day}}", "parameters", ("day",)),
        Reference("${{ 01-clean.rows.0 }}", "01-clean", ("rows", "0")),
    )
    assert references_in("${{ clean }}") == (Reference("${{ clean }}", "clean"),)


def test_a_whole_reference_keeps_its_type() -> None:
    """A text that is one reference becomes the value itself; inside a longer text the value is written."""
    value = {"n": "${{ clean.rows }}", "t": ["${{ clean.table }}"], "s": "${{ clean.rows }} rows on ${{ parameters.day }}",
             "b": "${{ clean.ok }}!", "x": 1, "u": ("${{ clean }}",)}  # fmt: skip
    assert resolve(value, lookup) == {
        "n": 3, "t": [[1, 2]], "s": "3 rows on 2026-01-01", "b": "true!", "x": 1, "u": ({"rows": 3},),
    }  # fmt: skip


def test_only_single_values_have_a_place_in_a_longer_text() -> None:
    """A list inside a text is refused by the reference's name."""
    with pytest.raises(UsageError, match=r'"\$\{\{ clean\.table \}\}" stands inside a longer text and is a list'):
        resolve("all: ${{ clean.table }}", lookup)


def test_what_a_reference_brings_is_not_read_again() -> None:
    """A value that looks like a reference is left alone."""
    assert resolve("${{ clean.x }}", lambda _: "${{ parameters.day }}") == "${{ parameters.day }}"
    assert resolve("<${{ clean.x }}>", lambda _: "${{ parameters.day }}") == "<${{ parameters.day }}>"


@pytest.mark.parametrize(
    "text",
    [
        "${{ }}", "${{ a b }}", "${{ a..b }}", "${{ a. }}", "${{ a[0] }}", "${{ a() }}", "${{ a + 1 }}", "${{ a|upper }}",
        "${{ x.__class__ }}", "${{ __import__ }}", "${{ a.b", "x ${{", "${{ 'a' }}", "${{ parameters }}", "${{ context }}",
        "${{ ${{ a }}", "${{ é }}", "${{ -a }}",
    ],
)  # fmt: skip
def test_anything_but_dotted_names_is_refused(text: str) -> None:
    """There are no expressions, calls or hidden names; the error names the text."""
    for action in (lambda: references_in([text]), lambda: resolve({"k": text}, lookup)):
        with pytest.raises(UsageError) as caught:
            action()
        assert text in str(caught.value)
