"""Command types and names of other packages, from real distributions on the path."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from orchestrator_nb import DefinitionError, Workflow
from orchestrator_nb.commands.registry import Registry
from orchestrator_nb.errors import UsageError

TYPE = """
from orchestrator_nb.errors import Mistake
from orchestrator_nb.ports import Command

class Shout(Command):
    name = "shout"

    def check(self, command, *, folder, upstream, parameters=None):
        return [] if "text" in command.parameters else [Mistake("nothing to shout", "/parameters", expected="a text")]

    def wants(self, command, *, folder):
        return ()

    def notes(self, command, *, folder):
        return ["it will be loud"]

    def source(self, command, *, folder):
        return command.parameters["text"]

    def run(self, attempt):
        return attempt.work.definition.parameters["text"].upper()

class Halfway:
    name = "halfway"

    def run(self, attempt):
        return 1

def query(text):
    return f"answer to {text}"
"""


@pytest.fixture
def installed(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with a command type and a registered name, as an installer would have left it."""
    site = tmp_path / "site"
    info = site / "loud-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "loud.py").write_text(TYPE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[orchestrator_nb.command_types]\nshout = loud:Shout\nhalfway = loud:Halfway\nlost = loud:Nothing\n"
        "[orchestrator_nb.commands]\n/loud.query = loud:query\n"
    )
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    return project


def test_a_type_of_another_package_runs_and_checks_its_commands(installed: Path) -> None:
    """`type: shout` is found by its entry point, says what is wrong and what is to be known before, and runs."""
    flow = Workflow.load({"workflow": "w", "commands": {"a": {"type": "shout", "parameters": {"text": "hello"}}}})
    assert flow.plan().notes == ('"a": it will be loud',)
    run = flow.start()
    assert run.result.outputs["a"] == "HELLO"
    assert run.state.planned["a"].kind == "shout"
    assert [notice.text for notice in run.state.notices] == ['"a": it will be loud']
    with pytest.raises(DefinitionError, match="nothing to shout") as caught:
        Workflow.load({"workflow": "w", "commands": {"a": {"type": "shout"}}}).plan()
    assert caught.value.mistakes[0].path == "/commands/a/parameters"


def test_a_run_with_such_a_type_can_be_resumed(installed: Path) -> None:
    """The type is loaded again for the resumed run."""
    flow = Workflow.load(
        {"workflow": "w", "commands": {
            "a": {"type": "shout", "parameters": {"text": "hello"}},
            "b": {"shell": [sys.executable, "-c", "raise SystemExit(not __import__('os').path.exists('go'))"], "after": "a"},
        }}
    )  # fmt: skip
    assert flow.run(check=False).state == "failed"
    (installed / "go").touch()
    assert flow.resume().result.outputs["a"] == "HELLO"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("halfway", "lacks check, wants, notes, parameter_type, result_type, runs_apart, source"),
        ("lost", "cannot be loaded"),
    ],
)
def test_a_type_that_is_none_is_named_with_its_package(installed: Path, name: str, why: str) -> None:
    """What the package has done wrong is said with the address of the class."""
    with pytest.raises(UsageError, match=f'"{name}" of "loud:.*{why}'):
        Workflow.load({"workflow": "w", "commands": {"a": {"type": name}}}).plan()


def test_an_unknown_type_is_a_mistake(installed: Path) -> None:
    """A type that no package brings is named where it is written."""
    with pytest.raises(DefinitionError) as caught:
        Workflow.load({"workflow": "w", "commands": {"a": {"type": "whisper"}}}).plan()
    assert caught.value.mistakes[0].path == "/commands/a/type"


def test_a_name_of_another_package_is_found_by_the_other_group(installed: Path) -> None:
    """Names for functions and types of commands are two groups of entry points."""
    function = Registry().find("/loud.query")
    assert function("life") == "answer to life"
