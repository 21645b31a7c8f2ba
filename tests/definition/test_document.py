"""Reading the text of a definition: what is accepted, and one clear mistake with its place for what is not."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb.definition.document import LARGEST_FILE, read_file, read_text
from orchestrator_nb.errors import DefinitionError, Mistake


def wrong(text: str, language: Any = "yaml") -> Mistake:
    """Return the only mistake in a text."""
    try:
        mistakes = read_text(text, label="flow", language=language).mistakes
    except DefinitionError as error:
        mistakes = error.mistakes
    assert len(mistakes) == 1, mistakes
    assert mistakes[0].file == "flow"
    return mistakes[0]


def place(mistake: Mistake) -> tuple[int | None, int | None]:
    return mistake.line, mistake.column


def test_yaml_is_read_as_version_1_2() -> None:
    """Words such as `on` and `no` are text, timestamps stay text, and numbers are those of the core schema."""
    text = "a: on\nb: no\nc: yes\nd: 2026-01-01\ne: 012\nf: 0o17\ng: 0x1F\nh: 1e3\ni: ~\nj: 12:30:00\nk: 1_000\nl: true\nm: '3'"
    assert read_text(text).data == {
        "a": "on", "b": "no", "c": "yes", "d": "2026-01-01", "e": 12, "f": 15, "g": 31, "h": 1000.0, "i": None,
        "j": "12:30:00", "k": "1_000", "l": True, "m": "3",
    }  # fmt: skip


def test_every_pointer_has_its_place() -> None:
    """Keys and items are found by line and column; what is not there is found where its surroundings are."""
    document = read_text("workflow: w\ncommands:\n  a/b:\n    after: [x, y]\n")
    assert document.place("/commands/a~1b/after/1") == (4, 16)
    assert document.place("/commands/a~1b/after") == (4, 5)
    assert document.place("/commands/a~1b/retries/0") == (3, 3)
    assert document.place("/nothing") == (1, 1)


def test_json_gives_the_same_data_and_places_as_yaml() -> None:
    """The strict JSON reader agrees with the YAML reader where a text is both."""
    text = '{"a": [1, -2.5, 3e2, true, false, null, "x\\u00e9\\n"],\n "b": {"c": {}, "d": []}}'
    as_json, as_yaml = read_text(text, language="json"), read_text(text)
    assert as_json.data == as_yaml.data == {"a": [1, -2.5, 300.0, True, False, None, "xé\n"], "b": {"c": {}, "d": []}}
    assert dict(as_json.places or {}) == dict(as_yaml.places or {})


@pytest.mark.parametrize("text", ["", "# only a comment\n", "- a\n", "just text", "[]", "3"])
def test_what_is_not_a_mapping_is_not_a_workflow(text: str) -> None:
    """An empty document, a list or a single value says that a mapping with commands is expected."""
    mistake = wrong(text)
    assert mistake.message == "this is not a workflow"
    assert '"commands"' in str(mistake.expected)


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("a: [1, 2", (1, 9), "not YAML"),
        ("a: 'x", (1, 6), "not YAML"),
        ("a: 1\nb: c: d", (2, 5), "not YAML"),
        ("a:\n\tb: 1", (2, 1), "a tab is used to indent"),
        ("a:\n  \tb: [", (2, 3), "a tab is used to indent"),
        ("a: x\x01y", (1, 5), "not allowed in YAML"),
        ("a: 1\nb: \0", (2, 4), "NUL"),
        ("a: !!python/object/apply:os.system [ls]", (1, 4), "tags are not allowed"),
        ("a: !!str 3", (1, 4), "tags are not allowed"),
        ("a: &x [*x]", (1, 8), "inside of what it repeats"),
        ("a: *x", (1, 4), "has no anchor"),
        ("a: 1\n---\nb: 2", (2, 1), "second document"),
        ("%YAML 1.1\n---\na: 1", (2, 1), "not YAML 1.2"),
        ("<<: {a: 1}", (1, 1), "merge key"),
        ("012: x", (1, 1), "the key 012 is not text"),
        ("true: x", (1, 1), "the key true is not text"),
        ("? [a]\n: b", (1, 3), "a key has to be text"),
        ("a: .nan", (1, 4), "not finite"),
        ("a: 1e400", (1, 4), "does not fit"),
        ("a: " + "9" * 5000, (1, 4), "does not fit"),
        ("a: 0x" + "f" * 5000, (1, 4), "does not fit"),
        ('a: "\\ud800"', (1, 4), "not valid Unicode"),
    ],
)
def test_bad_yaml_is_one_mistake_with_its_place(text: str, at: tuple[int, int], words: str) -> None:
    """Whatever is wrong with a text in YAML, one mistake names it with line and column."""
    mistake = wrong(text)
    assert words in mistake.message
    assert place(mistake) == at


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ('{"a": 1,}', (1, 9), "comma after the last item"),
        ('{"a": [1,\n]}', (2, 1), "comma after the last item"),
        ('{"a": NaN}', (1, 7), "NaN is not JSON"),
        ('{"a": -Infinity}', (1, 7), "-Infinity is not JSON"),
        ('{"a":', (1, 6), "not complete"),
        ('{"a": "x', (1, 7), "unterminated"),
        ("{'a': 1}", (1, 2), "double quotes"),
        ('{"a" 1}', (1, 6), "has no value"),
        ('{"a": 1 "b": 2}', (1, 9), "something is missing"),
        ('{"a": 01}', (1, 7), "not a number"),
        ('{"a": 1} x', (1, 10), "more after the end"),
        ('{"a": tru}', (1, 7), "not a JSON value"),
        ('{"a": ' + "9" * 5000 + "}", (1, 7), "does not fit"),
        ('{"a": "\\ud800"}', (1, 7), "not valid Unicode"),
    ],
)
def test_bad_json_is_one_mistake_with_its_place(text: str, at: tuple[int, int], words: str) -> None:
    """Whatever is wrong with a text in JSON, one mistake names it with line and column."""
    mistake = wrong(text, "json")
    assert words in mistake.message
    assert place(mistake) == at


@pytest.mark.parametrize("language", ["yaml", "json"])
def test_a_key_twice_names_both_places(language: str) -> None:
    """A repeated key is a mistake at the second one that says where the first one is."""
    mistake = wrong('{"a": {"k": 1,\n "k": 2}}', language)
    assert place(mistake) == (2, 2)
    assert mistake.path == "/a/k"
    assert mistake.found == "the first one in line 1, column 8"


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 5_000, "a: " + "[" * 101])
@pytest.mark.parametrize("language", ["yaml", "json"])
def test_deep_nesting_is_refused_without_recursion(text: str, language: str) -> None:
    """A text that is nested without end is refused at its hundred and first level."""
    if text.startswith("a") and language == "json":
        text = text.replace("a: ", '{"a": ') + "]" * 101 + "}"
    assert "nested too deep" in wrong(text, language).message


def test_a_hundred_levels_are_read() -> None:
    """Nesting up to the bound is accepted in both languages."""
    text = '{"a": ' + "[" * 99 + "]" * 99 + "}"
    assert read_text(text).data == read_text(text, language="json").data


def test_aliases_are_copies_and_bounded() -> None:
    """Anchored values can be repeated, as copies; too many or too large repetitions are refused in short time."""
    data = read_text("a: &x {k: [1]}\nb: *x\nc: &y word\nd: *y").data
    assert data == {"a": {"k": [1]}, "b": {"k": [1]}, "c": "word", "d": "word"}
    assert data["a"] is not data["b"]
    started = time.process_time()
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{one}: &{one} [{','.join(['*' + before] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "repeat too much" in wrong(bomb).message
    assert "too many aliases" in wrong("a: &x 1\nb: [" + "*x," * 1001 + "]").message
    chain = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 150))
    assert "nested too deep" in wrong(chain).message
    assert time.process_time() - started < 5


def test_harmless_mistakes_are_collected_before_the_one_that_ends_the_reading() -> None:
    """A repeated key and a tag are told together with the syntax error that comes after them."""
    with pytest.raises(DefinitionError) as caught:
        read_text("a: 1\na: !!int 2\nb: [")
    assert [mistake.line for mistake in caught.value.mistakes] == [2, 2, 3]


def test_files_are_read_by_their_suffix(tmp_path: Path) -> None:
    """YAML and JSON files are read, also with a byte order mark; others are refused."""
    for name, content in (("a.yaml", "a: 1"), ("b.YML", "\ufeffa: 1"), ("c.json", '{"a": 1}')):
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert read_file(tmp_path / name).data == {"a": 1}
    (tmp_path / "d.toml").write_text("a = 1", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"expected a file that ends in \.yaml"):
        read_file(tmp_path / "d.toml")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing file, a folder, bytes that are not UTF-8, an oversized file and a NUL in the name are mistakes."""
    with pytest.raises(DefinitionError, match=r"nowhere\.yaml.*no such file"):
        read_file(tmp_path / "nowhere.yaml")
    with pytest.raises(DefinitionError, match="this is a folder"):
        read_file(tmp_path)
    with pytest.raises(DefinitionError, match="cannot be read"):
        read_file("a\0b.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(DefinitionError, match=r"latin\.yaml:2:7: the text is not UTF-8; found the byte 0xE9"):
        read_file(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(DefinitionError, match="too large"):
        read_file(tmp_path / "large.yaml")
    with pytest.raises(DefinitionError, match="too large"):
        read_text("#" * (LARGEST_FILE + 1))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """Reading does not wait for somebody to write into a pipe."""
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(DefinitionError, match="this is a named pipe"):
        read_file(tmp_path / "pipe.yaml")
