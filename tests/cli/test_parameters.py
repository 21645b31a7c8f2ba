"""Parameters on the command line, in papermill's habit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.cli.parameters import JOINT, collect, join_pairs
from orchestrator_nb.errors import UsageError

words = st.text(alphabet=st.characters(exclude_characters="\0=", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(
    name=words, value=st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
)
def test_a_pair_comes_through_whatever_its_value_looks_like(name, value):
    """A value may begin with a dash, be empty or look like an option: it belongs to its name."""
    joined = join_pairs(["flow.yaml", "-p", name, value, "--json"])
    assert joined == ["flow.yaml", "-p", f"{name}{JOINT}{value}", "--json"]
    assert collect(joined[2:3], None, None, None).values == {name: value}


def test_what_follows_two_dashes_is_left_alone():
    """After -- nothing is an option."""
    assert join_pairs(["--", "-p", "a"]) == ["--", "-p", "a"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p"], "takes two values, NAME and VALUE; found nothing"),
        (["-p", "day"], 'found only "day"'),
        (["-r", "day=3", "x"], "type: -r day 3"),
        (["-p", "=1"], "type: -p NAME 1"),
        (["-p", "", "1"], "an empty name"),
    ],
)
def test_a_broken_pair_is_named(arguments, said):
    """A missing value, an equals sign and an empty name are each said as such."""
    with pytest.raises(UsageError) as raised:
        join_pairs(arguments)
    assert said in str(raised.value)
    assert f'"{arguments[0]}"' in str(raised.value)


def test_precedence_is_papermills(tmp_path):
    """A file gives way to text, text to -p, -p to -r."""
    file = tmp_path / "p.yaml"
    file.write_text("a: 1\nb: 1\nc: 1\nd: 1\n", encoding="utf-8")
    found = collect([f"c{JOINT}3", f"d{JOINT}3"], [f"d{JOINT}4"], [str(file)], ["{b: 2, c: 2, d: 2}"])
    assert found.values == {"a": 1, "b": 2, "c": "3", "d": "4"}
    assert found.texts == {"c"}


def test_yaml_is_read_as_yaml_1_2():
    """`on` and dates stay text, a later text wins."""
    found = collect(None, None, None, ["{a: on, day: 2026-01-01, n: 1}", "n: 2"])
    assert found.values == {"a": "on", "day": "2026-01-01", "n": 2}
    assert found.texts == frozenset()


def test_one_name_twice_is_refused():
    """Of two values for one name nobody knows which was meant."""
    with pytest.raises(UsageError, match='"-p day" is given twice: "1" and "2"'):
        collect([f"day{JOINT}1", f"day{JOINT}2"], None, None, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [1", "cannot be read:"),
        ("- 1\n", "is not a mapping; found a list"),
        ("a: 1\na: 2\n", "cannot be read:"),
        ("just text", "is not a mapping; found the text"),
    ],
)
def test_a_file_that_is_no_mapping_is_named(tmp_path, content, said):
    """Broken YAML, repeated keys, a list and plain text are refused with the file's name."""
    file = tmp_path / "p.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        collect(None, None, [str(file)], None)
    assert said in str(raised.value)
    assert str(file) in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    """A parameters file that is not there is said with the reason."""
    with pytest.raises(UsageError, match=r"nope\.yaml.*cannot be read: No such file"):
        collect(None, None, [str(tmp_path / "nope.yaml")], None)


def test_an_empty_file_gives_nothing(tmp_path):
    """A file without content has no parameters."""
    file = tmp_path / "p.yaml"
    file.write_text("# nothing yet\n", encoding="utf-8")
    assert collect(None, None, [str(file)], None).values == {}
