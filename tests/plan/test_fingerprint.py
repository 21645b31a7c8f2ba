"""A fingerprint changes with what a command is, and with nothing else."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_nb.commands.shell import ShellCommand
from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.plan.fingerprint import fingerprint
from orchestrator_nb.plan.plan import make_plan

BASE = {"id": "a", "shell": ("python", "-c", "print(1)"), "environment": {"MODE": "x"}}


def print_of(folder, **fields):
    command = CommandDefinition(**{**BASE, **fields})
    types = {"shell": ShellCommand()}
    definition = WorkflowDefinition(workflow="w", commands=(command, CommandDefinition(id="z", shell=("python",))))
    plan = make_plan(definition, folder=Path(folder), commands=types, parameters={})
    return fingerprint(command.id, plan=plan, commands=types)


@pytest.mark.parametrize(
    "change",
    [
        {"shell": ("python", "-c", "print(2)")},
        {"environment": {"MODE": "y"}},
        {"environment": {}},
        {"parameters": {"day": 1}},
        {"cwd": "sub"},
    ],
    ids=str,
)
def test_a_changed_definition_is_a_changed_command(tmp_path, change):
    """Whatever it runs, and with what, counts."""
    (tmp_path / "sub").mkdir()
    assert print_of(tmp_path, **change) != print_of(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "b"},
        {"description": "new"},
        {"tags": ("x",)},
        {"optional": True},
        {"retries": 5, "retry_delay": 2.0, "timeout": 60.0},
        {"writes": ("x.csv",), "exclusive": True},
        {"after": ("z",)},
    ],
    ids=str,
)
def test_how_it_is_treated_is_no_change(tmp_path, change):
    """Name, words, retries and order say nothing about what a command does."""
    assert print_of(tmp_path, **change) == print_of(tmp_path)


def test_a_changed_source_is_a_changed_command(tmp_path):
    """What the type of command names as its source counts: here the script that a program is given."""
    script = tmp_path / "step.py"
    script.write_text("print(1)\n", encoding="utf-8")
    before = print_of(tmp_path, shell=("python", "step.py"))
    script.write_text("print(2)\n", encoding="utf-8")
    assert print_of(tmp_path, shell=("python", "step.py")) != before


def test_values_of_all_kinds_have_a_fingerprint(tmp_path):
    """Order of keys does not matter, types do: 1 is not "1", a date not its text."""
    one = print_of(tmp_path, parameters={"x": 1, "y": [1.5, None], "z": {"p", "q"}})
    assert print_of(tmp_path, parameters={"z": {"q", "p"}, "y": [1.5, None], "x": 1}) == one
    assert print_of(tmp_path, parameters={"x": "1", "y": [1.5, None], "z": {"p", "q"}}) != one
    assert print_of(tmp_path, parameters={"x": datetime.date(2026, 1, 1)}) != print_of(
        tmp_path, parameters={"x": "2026-01-01"}
    )


def test_another_process_comes_to_the_same_fingerprint(tmp_path):
    """Nothing in it depends on the process, such as the order of sets."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_fingerprint import print_of; "
        "print(print_of(sys.argv[2], parameters={'x': {'a', 'b', 'c'}}))"
    )
    arguments = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == print_of(tmp_path, parameters={"x": {"a", "b", "c"}}), done.stderr
