"""The context for other programs: every form gives back what was put in, and earlier versions are still read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_nb.data.transfer import FORMS, MAGIC, SCHEMA, from_form, limited, to_form
from orchestrator_nb.errors import UsageError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
DOCUMENTS = st.fixed_dictionaries({"shared": JSON, "commands": JSON, "versions": st.lists(JSON, max_size=2)})


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25)
@given(document=DOCUMENTS)
def test_what_goes_in_comes_back(form, document):
    """Text of any sort, control characters too, numbers, and nested values."""
    assert from_form(to_form(document, form), form) == document


def test_the_binary_form_is_compact_and_works_without_its_extra(monkeypatch):
    """Packed with zstd where that is installed; without it, it is written plain and read by everybody."""
    document = {"shared": {"rows": [1, 2, 3] * 1000}, "versions": []}
    packed = to_form(document, "msgpack")
    assert len(packed) < len(to_form(document, "json")) / 20
    monkeypatch.setitem(sys.modules, "zstandard", None)
    plain = to_form(document, "msgpack")
    assert from_form(plain, "msgpack") == document
    with pytest.raises(UsageError, match=r"orchestrator-nb\[transfer\]"):
        from_form(packed, "msgpack")


def test_a_document_of_the_first_schema_is_migrated():
    """It had no versions of the shared state."""
    old = json.dumps({"schema": 1, "shared": {"rows": 3}}).encode()
    assert from_form(old, "json") == {"shared": {"rows": 3}, "versions": []}


@pytest.mark.parametrize("schema", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_documents_that_earlier_versions_have_written_are_read_as_those_of_today(schema, form):
    """They are kept as they were written, in every form: what is in them stays, what they did not have is there."""
    found = from_form((Path(__file__).parent / "contexts" / f"schema-{schema}.{form}").read_bytes(), form)
    assert found["shared"] == {
        "rows": 344,
        "names": ["Adelie", "Gentoo", "ä <&> \u0007"],
        "limits": {"mass": 4000.5, "none": None, "yes": True},
    }
    assert found["commands"]["clean"]["metrics"] == {"tokens": 7.0}
    assert found["left_out"] == ["big"]
    version = {"number": 1, "command": "clean", "attempt": 1, "at": 1767254410.0, "changes": {"rows": 344}}
    assert found["versions"] == ([] if schema == 1 else [{**version, "contested": [], "made": {}}])
    assert from_form(to_form(found, form), form) == found


@pytest.mark.parametrize(
    ("data", "form", "said"),
    [
        (b"{", "json", "this is no context as json"),
        (b"[]", "json", 'has no "schema"'),
        (b'{"schema": 99}', "json", f"reads 1 to {SCHEMA}"),
        (b"nothing", "msgpack", "does not begin as one"),
        (MAGIC + b"\1" + b"x" * 20, "msgpack", "this is no context"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><context/>', "xml", "no document type"),
        (b"<context", "xml", "this is no context as xml"),
        (b"{}", "toml", 'there is no form "toml"'),
    ],
)
def test_what_is_no_context_is_refused(data, form, said):
    """With what is wrong, and nothing else happens."""
    with pytest.raises(UsageError, match=said):
        from_form(data, form)


def test_what_is_too_large_is_left_out_by_name():
    """Each value by itself."""
    assert limited({"a": "x" * 100, "b": 1}, 50) == ({"b": 1}, ["a"])
    assert limited({"a": 1}, None) == ({"a": 1}, [])
