"""The source of functions: found without taking the text apart, and the same as inspect finds it."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import subprocess
import sys
import types
import typing
from pathlib import Path

import pytest

from orchestrator_nb.commands.source import source_of

TRICKY = '''\
def text_at_the_margin():
    """A text
that goes on at the margin

# and looks like a comment
"""
    return """
def it():
    pass
"""


def one_line(): return 1
# not of it


def comments(a,
    b=(1,
2)):
    # of it
    if a:
        return b

    # of it, too

  # half of it
# not of it


def goes_on():
    return 1 + \\
2


class Box:
    @staticmethod
    @deco(
        1
    )
    def decorated(a):
        def inner():
            return a
        return inner

    async def waits(self):
        return [1
    ]

    def last(self):
        return {
        }
    # not of it


def many_lines():
    return """
%s"""
''' % ("at the margin\n" * 50)


def _functions(*places: typing.Any) -> list[types.FunctionType]:
    found = []
    for place in places:
        for item in vars(place).values():
            if isinstance(item, (staticmethod, types.FunctionType)):
                found.append(inspect.unwrap(item))
            elif isinstance(item, type) and item.__module__ == getattr(place, "__name__", ""):
                found += _functions(item)
    return [each for each in found if isinstance(each, types.FunctionType) and each.__code__.co_filename[0] != "<"]


def test_the_source_is_what_inspect_finds():
    """Of functions and methods of the standard library, lambdas and decorated ones included."""
    found = _functions(argparse, ast, inspect, subprocess, typing)
    assert len(found) > 500
    for function in found:
        assert source_of(function) == inspect.getsource(function), function


def test_the_source_ends_where_the_function_does(tmp_path: Path):
    """Also where a text goes on at the margin, where comments follow, and where brackets or a backslash stay open."""
    path = tmp_path / "tricky.py"
    path.write_text(f"def deco(number):\n    return lambda function: function\n\n\n{TRICKY}")
    spec = importlib.util.spec_from_file_location("tricky", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = _functions(module)
    assert len(found) == 9
    for function in found:
        assert source_of(function) == inspect.getsource(function), function


def test_a_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The text is that of the file as it is now, not as it was when another function of it was looked at."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "changing.py"
    path.write_text("def f():\n    return 1\n")
    spec = importlib.util.spec_from_file_location("changing", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert source_of(module.f) == "def f():\n    return 1\n"
    path.write_text("def f():\n    return 12345\n")
    assert source_of(module.f) == "def f():\n    return 12345\n"


def test_the_text_is_not_taken_apart_into_tokens():
    """What a plain function does is found without the pattern for all tokens of Python, which takes long to make."""
    program = (
        "import re, sys, textwrap\n"
        "from orchestrator_nb.commands.source import source_of\n"
        "seen = []\n"
        "made = re._compiler.compile if sys.version_info >= (3, 11) else re.sre_compile.compile\n"
        "def compile(pattern, flags=0):\n"
        "    seen.append(pattern)\n"
        "    return made(pattern, flags)\n"
        "setattr(re._compiler if sys.version_info >= (3, 11) else re.sre_compile, 'compile', compile)\n"
        "assert 'def dedent' in source_of(textwrap.dedent)\n"
        "assert not seen, seen\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
