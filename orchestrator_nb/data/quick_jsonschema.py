"""Importing jsonschema, which nbformat and papermill are built on, without the grammar that it has no need of there.

Where JupyterLab is installed, jsonschema imports `rfc3987_syntax` for one format of texts, and that builds some thirty
parsers at once: seconds of CPU in every process that as much as reads a notebook
(https://github.com/python-jsonschema/jsonschema/issues/1428).
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_GRAMMAR = "rfc3987_syntax"


def import_jsonschema() -> None:
    """Import jsonschema, where it is installed, so that its grammar is built when it is first used; to be called
    before anything that imports jsonschema by itself."""
    if "jsonschema" in sys.modules or _GRAMMAR in sys.modules:
        return
    if find_spec("jsonschema") is None or find_spec(_GRAMMAR) is None:
        return
    stand_in = ModuleType(_GRAMMAR)
    stand_in.is_valid_syntax = _is_valid_syntax  # type: ignore[attr-defined]
    sys.modules[_GRAMMAR] = stand_in
    try:
        import_module("jsonschema")
    finally:
        if sys.modules.get(_GRAMMAR) is stand_in:
            del sys.modules[_GRAMMAR]


def _is_valid_syntax(term: str, value: str) -> Any:
    return import_module(_GRAMMAR).is_valid_syntax(term, value)
