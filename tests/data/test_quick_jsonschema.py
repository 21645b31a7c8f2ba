"""jsonschema comes without its slow grammar, and has it when it is needed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

needs_grammar = pytest.mark.skipif(find_spec("rfc3987_syntax") is None, reason="rfc3987_syntax is not installed")


def said(code: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_reading_a_notebook_builds_no_grammar() -> None:
    """After a notebook was read, the module that builds the grammar is not there, nor a stand-in for it."""
    code = """
import json, pathlib, sys, tempfile
from orchestrator_nb.commands.notebooks.file import read
path = pathlib.Path(tempfile.mkdtemp()) / "empty.ipynb"
path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}))
assert not read(path).mistakes
import papermill
print("jsonschema" in sys.modules, "rfc3987_syntax" in sys.modules)
"""
    assert said(code).split() == ["True", "False"]


@needs_grammar
def test_a_format_that_needs_the_grammar_is_checked_all_the_same() -> None:
    """An IRI is right and a text with a blank is none, as with jsonschema imported in the usual way."""
    code = """
from orchestrator_nb.data.quick_jsonschema import import_jsonschema
import_jsonschema()
from jsonschema import Draft7Validator
schema = Draft7Validator({"format": "iri"}, format_checker=Draft7Validator.FORMAT_CHECKER)
print(schema.is_valid("https://example.org/ä"), schema.is_valid("no iri"))
import sys
print(sys.modules["rfc3987_syntax"].__file__ is not None)
"""
    assert said(code).split() == ["True", "False", "True"]
