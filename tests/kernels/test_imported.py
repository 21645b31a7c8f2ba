"""What kernels say they have imported."""

from __future__ import annotations

import json
import sys
import types

import pytest

from orchestrator_nb.kernels import forked
from orchestrator_nb.kernels.imported import IMPORTED, MOST, module_names, read_imported


def test_only_names_of_modules_are_taken(tmp_path):
    """What a kernel writes is not trusted: no paths, no code, not without end, and no file is no mistake."""
    assert read_imported(tmp_path) == ()
    said = ["pandas", "sklearn.linear_model", "../evil", "os; system", "", "a..b", 3, None, "1x", "été"]
    (tmp_path / IMPORTED).write_text(json.dumps(said))
    assert read_imported(tmp_path) == ("pandas", "sklearn.linear_model", "été")
    for text in ("{", '{"pandas": 1}', "3"):
        (tmp_path / IMPORTED).write_text(text)
        assert read_imported(tmp_path) == ()
    assert len(module_names(f"m{number}" for number in range(1000))) == MOST


@pytest.mark.parametrize("count", [forked.LARGE - 1, forked.LARGE])
def test_small_libraries_and_pythons_own_are_not_told_of(monkeypatch, count):
    """A library counts once it brings many modules: itself and its packages, not each of its files."""
    before = len(sys.modules)
    for name in ("big", "big.parts", "big.parts.deeper", *(f"big.file{number}" for number in range(count - 3))):
        module = types.ModuleType(name)
        if name in ("big", "big.parts", "big.parts.deeper"):
            module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)
    for number in range(forked.LARGE):
        monkeypatch.setitem(sys.modules, f"json.made_up{number}", types.ModuleType("m"))
    assert forked.imported_since(before) == (["big", "big.parts"] if count == forked.LARGE else [])
