"""Which texts name the same resource, and which patterns meet."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.plan.resources import Locator, Resource, Shelf, is_named, meet


def located(text, folder):
    return Locator().resource(text, folder=str(folder))


@pytest.mark.parametrize("text", ["db:sales", "s3://bucket/key.csv", "sales", "gpu-0", "postgresql+psycopg:x"])
def test_a_scheme_or_a_bare_word_is_a_name(text):
    """Names with a scheme, and those without slash, extension and wildcard, are no paths."""
    assert is_named(text)


@pytest.mark.parametrize("text", ["a.csv", "out/", "./sales", "C:\\data", "C:/data", "*", "part-?", "~", "..", "/x"])
def test_what_looks_like_a_path_is_one(text):
    """A slash, an extension, a wildcard or a drive makes a path."""
    assert not is_named(text)


@pytest.mark.parametrize(
    "text",
    ["out/a.csv", "./out/a.csv", "out//a.csv", "out/x/../a.csv", "other/../out/a.csv", "link/a.csv", "alias.csv"],
)
def test_spellings_of_one_path_are_one_resource(tmp_path, text):
    """Dots, double slashes, links to folders and links to files are resolved, whether the file exists or not."""
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    (tmp_path / "alias.csv").symlink_to("out/a.csv")
    assert located(text, tmp_path) == Resource(str(tmp_path.resolve() / "out/a.csv"))


def test_the_same_text_elsewhere_is_another_path(tmp_path):
    """Relative paths belong to the folder in which they are said; names belong to none."""
    assert located("a.csv", tmp_path / "x") != located("a.csv", tmp_path / "y")
    assert located("../y/a.csv", tmp_path / "x") == located("a.csv", tmp_path / "y")
    assert located("db:sales", tmp_path / "x") == located("db:sales", tmp_path / "y")


def test_slashes_at_the_end_do_not_matter(tmp_path):
    """A folder is the same with and without them, and so is a named resource."""
    assert located("out/", tmp_path) == located("./out", tmp_path)
    assert located("s3://bucket/data/", tmp_path) == located("s3://bucket/data", tmp_path)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("out/*.csv", "out/a.csv", True),
        ("out/*.csv", "out/a.txt", False),
        ("out/*.csv", "out/sub/a.csv", False),
        ("out/**/*.csv", "out/sub/deep/a.csv", True),
        ("out/**/*.csv", "out/a.csv", True),
        ("out/*.csv", "out/a*", True),
        ("out/*.csv", "out/*.txt", False),
        ("out/[ab].csv", "out/[bc].csv", True),
        ("out/[ab].csv", "out/[cd].csv", False),
        ("out/[!ab].csv", "out/a.csv", False),
        ("out/[!ab].csv", "out/[a-c].csv", True),
        ("out/part-?.csv", "out/part-10.csv", False),
        ("out/part-?.csv", "out/part-1.csv", True),
        ("*/a.csv", "out/*.csv", True),
        ("x*/a.csv", "out/*.csv", False),
        ("out/", "out/a.csv", True),
        ("out/", "out/*.csv", True),
        ("out/", "output/a.csv", False),
        ("out/*", "out/sub/a.csv", True),
        ("link/*.csv", "out/a.csv", True),
        ("db:sales", "db:sales", True),
        ("db:sales", "./db:sales", False),
    ],
)
def test_patterns_meet_what_they_may_match(tmp_path, one, other, expected):
    """Two resources meet if some file may be both, or if one is a folder around the other; either way round."""
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    first, second = located(one, tmp_path), located(other, tmp_path)
    assert meet(first, second) is expected
    assert meet(second, first) is expected
    assert list(Shelf([first]).meeting(second)) == [first] * expected


def test_brackets_in_the_folder_are_no_wildcards(tmp_path):
    """Only what the user wrote is a pattern; the folder around it is what it is."""
    folder = tmp_path / "a[b]c"
    folder.mkdir()
    assert meet(located("*.csv", folder), located("x.csv", folder))
    assert not meet(located("*.csv", folder), located("x.csv", tmp_path / "abc"))


pattern = st.text("ab?*[]!-", min_size=1, max_size=6).filter(lambda text: "**" not in text and text not in (".", ".."))


@given(pattern, st.text("ab-!]", min_size=1, max_size=5))
def test_a_pattern_meets_a_name_as_the_shell_would_match_it(one, name):
    """For plain names the answer is that of the standard library's pattern matching."""
    wild = Resource("/data", one) if any(letter in one for letter in "*?[") else Resource(f"/data/{one}")
    assert meet(wild, Resource(f"/data/{name}")) == fnmatch.fnmatchcase(name, one)


@given(pattern, pattern, st.text("ab-!]", min_size=1, max_size=5))
def test_patterns_that_match_one_name_meet(one, other, name):
    """Two patterns that both match some name are never taken for strangers."""
    if fnmatch.fnmatchcase(name, one) and fnmatch.fnmatchcase(name, other):
        assert meet(Resource("/data", one), Resource("/data", other))


texts = st.lists(st.sampled_from(["a", "ab", "b", "a*", "*b", "**", "?", "a[bc]"]), min_size=1, max_size=4)


@given(st.lists(texts, max_size=8), texts)
def test_a_shelf_finds_all_that_meet(tmp_path_factory, kept, wanted):
    """Looking only at stems that agree finds exactly what looking at everything finds."""
    locator = Locator()
    folder = str(tmp_path_factory.getbasetemp())
    resources = {locator.resource("./" + "/".join(parts), folder=folder) for parts in kept}
    resource = locator.resource("./" + "/".join(wanted), folder=folder)
    assert set(Shelf(resources).meeting(resource)) == {one for one in resources if meet(one, resource)}
