"""What every `Gate` promises, our own and those of installed packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from orchestrator_nb import Workflow
from orchestrator_nb.definition.models import CommandDefinition, GateDefinition
from orchestrator_nb.errors import DefinitionError, Mistake
from orchestrator_nb.ports import Gate, Verdict
from orchestrator_nb.quality import registry
from orchestrator_nb.quality.registry import BUILT_IN, gate_of

COMMAND = CommandDefinition(id="a", call="steps:a", targets={"seconds": 1.0})


class Even(Gate):
    """A gate of another package: a number is even."""

    name = "even"

    def check(self, gate, command, *, folder):
        return [Mistake("it takes nothing", "/options")] if gate.options else []

    def verdict(self, subject):
        number = subject.value("result")
        return Verdict(holds=number % 2 == 0, value=number, expected="an even number", message=f"{number} is odd")


@pytest.fixture
def installed(monkeypatch):
    """The gate of another package, as its entry point names it."""
    entry = EntryPoint(name="even", value=f"{__name__}:Even", group=registry.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda entry: Even)
    monkeypatch.setattr(registry, "_installed", lambda: {"even": entry})
    registry._named.cache_clear()
    yield
    registry._named.cache_clear()


@pytest.mark.parametrize("name", [*BUILT_IN, "even"])
class TestEveryGate:
    """Each by its name."""

    def test_it_is_found_by_its_name(self, name, installed):
        """It is a gate, and calls itself so."""
        gate = gate_of(GateDefinition(gate=name), {})
        assert isinstance(gate, Gate)
        assert gate.name == name
        assert gate_of(GateDefinition(gate=name), {}) is gate

    @pytest.mark.parametrize("command", [COMMAND, None])
    def test_it_says_before_the_run_what_is_wrong_with_its_use(self, name, command, installed, project):
        """Every mistake has a place below the gate; nothing is raised, for a command or for a run."""
        (project / "steps.py").write_text("def a(): return 1\n")
        definition = GateDefinition(gate=name, options={"no such option": 1})
        found = gate_of(definition, {}).check(definition, command, folder=project)
        assert found
        assert all(mistake.path.startswith(("/options", "/gate")) for mistake in found)


def test_a_gate_of_another_package_is_used_by_its_name(installed, project):
    """Its verdict counts like any other, and its mistakes are found before the run."""
    flow = Workflow("w")
    flow.command(lambda: 4, id="four", gates=["even"])
    flow.command(lambda: 3, id="three", gates=["even"])
    result = flow.run(check=False)
    assert result.commands["four"].state == "succeeded"
    assert result.errors["three"].message == 'the gate "even" failed: 3 is odd'
    wrong = Workflow("w")
    wrong.command(lambda: 4, id="four", gates=[{"gate": "even", "options": {"x": 1}}])
    with pytest.raises(DefinitionError, match="it takes nothing"):
        wrong.plan()
