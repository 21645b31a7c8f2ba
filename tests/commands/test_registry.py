"""Registered names: given once, found again, in this process and in installed packages."""

from __future__ import annotations

import importlib
import sys

import pytest

from orchestrator_nb.commands.registry import REGISTRY, Registry, register
from orchestrator_nb.errors import UsageError


@pytest.fixture
def registry():
    return Registry(group=None)


def test_a_function_is_found_by_its_name_and_left_as_it_is(registry):
    """The decorator returns the function unchanged; the name leads to it."""

    def query(args):
        return args

    assert registry.register("/query")(query) is query
    assert registry.register("team.query")(query) is query
    assert registry.find("/query") is query
    assert registry.names() == ("/query", "team.query")


@pytest.mark.parametrize("name", ["query", "", "/", "/with space", ".a", "a.", "/" + "x" * 100])
def test_a_bad_name_is_refused(registry, name):
    """A name begins with a slash or has a dot in it."""
    with pytest.raises(UsageError, match="cannot be registered"):
        registry.register(name)


def test_a_name_of_another_function_is_refused_naming_both(registry):
    """Two functions cannot share a name."""

    def one():
        pass

    def two():
        pass

    registry.register("/q")(one)
    registry.register("/q")(one)
    with pytest.raises(UsageError, match=r"one.*two") as caught:
        registry.register("/q")(two)
    assert "/q" in str(caught.value)
    assert registry.find("/q") is one
    registry.register("/lambda")(lambda: 1)
    with pytest.raises(UsageError, match="lambda"):
        registry.register("/lambda")(lambda: 2)


def test_a_cell_that_is_run_again_replaces_its_function(registry):
    """The same definition, run once more, takes its own place."""

    def cell(number):
        @registry.register("/again")
        def again():
            return number

    cell(1)
    cell(2)
    assert registry.find("/again")() == 2


def test_only_what_can_be_called_is_registered(registry):
    """A value that is no function is refused."""
    with pytest.raises(UsageError, match="a function or a native command only"):
        registry.register("/q")(5)


def test_an_unknown_name_says_the_nearest(registry):
    """A name that nobody registered is refused, with what may have been meant and how to register it."""
    registry.register("/query")(print)
    with pytest.raises(UsageError, match=r'did you mean "/query"\?.*@register\("/qeury"\)'):
        registry.find("/qeury")


def package(folder, name, entries, code=""):
    """Install a package into a folder, as pip would leave it."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "\n".join(f"{entry} = {value}" for entry, value in entries.items())
    (info / "entry_points.txt").write_text(f"[orchestrator_nb.commands]\n{lines}\n")


def test_installed_packages_register_names(tmp_path, monkeypatch):
    """A name of an installed package is found and loaded when it is used; a broken or doubtful one is said."""
    package(tmp_path, "onb_good", {"/installed": "onb_good:run", "/twice": "onb_good:run"}, "def run(): return 7\n")
    package(
        tmp_path,
        "onb_bad",
        {"/broken": "onb_bad:nothing", "/twice": "onb_bad:run", "/five": "onb_bad:five"},
        "five = 5\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    registry = Registry()
    assert {"/installed", "/broken", "/twice"} <= set(registry.names())
    assert "onb_good" not in sys.modules
    assert registry.find("/installed")() == 7
    with pytest.raises(UsageError, match=r"onb_bad:nothing.*cannot be loaded"):
        registry.find("/broken")
    with pytest.raises(UsageError, match="no function"):
        registry.find("/five")
    with pytest.raises(UsageError, match=r"onb_bad:run.*onb_good:run"):
        registry.find("/twice")

    def mine():
        pass

    registry.register("/installed")(mine)
    assert registry.find("/installed") is mine


def test_the_names_of_this_process_are_one_registry():
    """The decorator of the package and the registry that runs use are the same."""

    @register("/tests.registry.one")
    def one():
        pass

    assert REGISTRY.find("/tests.registry.one") is one
