"""Models: what plainly fits is taken as pydantic would take it, and pydantic says what is wrong with the rest."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.definition.fields import MISSING, Field
from orchestrator_nb.definition.model import Invalid, Model, judged
from orchestrator_nb.definition.models import (
    CheckpointsDefinition,
    CommandDefinition,
    GateDefinition,
    MonitoringDefinition,
    ParameterDefinition,
    RecoveryDefinition,
    WorkflowDefinition,
)

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 2000),
        st.sampled_from([10**18, 10**19, -(2**70)]),
        st.floats(),
        st.sampled_from(
            ["a", "", "a b", "é", "a\n", "none", "all", "2GB", "2GB\n", "refuse", "thread", "always", "string", "m:f", "\ud800"]
        ),
        st.text(max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["a", "b-1", "gate", "-", "é", "retries", "at"]), inner, max_size=3),
    ),
    max_leaves=4,
)  # fmt: skip
MODELS = (
    CheckpointsDefinition,
    CommandDefinition,
    GateDefinition,
    MonitoringDefinition,
    ParameterDefinition,
    RecoveryDefinition,
    WorkflowDefinition,
)


@st.composite
def _data(draw: st.DrawFn) -> tuple[type[Model], dict[str, Any]]:
    kind = draw(st.sampled_from(MODELS))
    begun: dict[str, Any] = {}
    if kind is CommandDefinition and draw(st.booleans()):
        begun = {"id": "a", "call": "m:f"}
    if kind is WorkflowDefinition and draw(st.booleans()):
        begun = {"workflow": "w", "commands": ({"id": "a", "shell": ("x",), "reads": draw(VALUES)},)}
    if kind is GateDefinition and draw(st.booleans()):
        begun = {"gate": "a > 1"}
    names = draw(st.lists(st.sampled_from([*kind.model_fields, "unknown"]), max_size=2, unique=True))
    return kind, {**begun, **{name: draw(VALUES) for name in names}}


@given(_data())
def test_what_plainly_fits_is_what_pydantic_makes_of_it(data: tuple[type[Model], dict[str, Any]]) -> None:
    """Whatever is taken without pydantic, pydantic takes too, to the same model with the same fields said."""
    kind, fields = data
    taken = kind.evident(fields)
    if taken is MISSING:
        return
    made = judged(kind, fields, strict=True)
    assert taken == made
    assert taken.model_fields_set == made.model_fields_set
    assert repr(taken) == repr(made)  # 1 is not 1.0


@pytest.mark.parametrize(
    "fields",
    [
        {
            "call": "m:f",
            "after": ("b",),
            "retries": 3,
            "tags": (),
            "timeout": 1.5,
            "parameters": {"n": [1, {"a": None}]},
        },
        {"shell": ("python", "a.py"), "resources": {"memory": "2GB", "cpu": 2}, "environment": {"A": "b"}},
        {"notebook": "a.ipynb", "gates": ({"gate": "rmse < 3.5"},), "kernels": {"start": "plain"}, "timeout": "none"},
        {"call": "m:f", "matrix": {"region": ["north", 1]}, "targets": {"seconds": 2.5, "memory": "1GB"}},
    ],
)
def test_what_people_write_is_taken_without_pydantic(fields: dict[str, Any]) -> None:
    """Usual commands plainly fit."""
    assert CommandDefinition.evident({"id": "a", **fields}) is not MISSING


def test_what_is_wrong_is_told_by_pydantic() -> None:
    """Every mistake with its place, also of fields that are wrong together only."""
    with pytest.raises(Invalid) as raised:
        CommandDefinition.read({"id": "a", "call": "m:f", "retries": -1, "colour": "red"})
    assert {(each["type"], each["loc"]) for each in raised.value.errors} == {
        ("greater_than_equal", ("retries",)), ("extra_forbidden", ("colour",)),
    }  # fmt: skip
    with pytest.raises(Invalid, match="exactly one of notebook, call"):
        CommandDefinition(id="a")
    assert pickle.loads(pickle.dumps(raised.value)).errors == raised.value.errors


def test_a_model_is_frozen_and_its_own() -> None:
    """It can be neither changed nor reached by way of what it was made of; a copy has other fields."""
    given: dict[str, Any] = {"id": "a", "call": "m:f", "parameters": {"n": 1}}
    command = CommandDefinition.read(given)
    given["parameters"]["n"] = 2
    assert command.parameters == {"n": 1}
    with pytest.raises(AttributeError, match='"retries" cannot be changed'):
        command.retries = 3
    with pytest.raises(AttributeError):
        del command.call
    other = command.model_copy(update={"retries": 3})
    assert (other.retries, command.retries, other.kind) == (3, None, "call")
    assert other != command
    assert pickle.loads(pickle.dumps(other)) == other


def test_defaults_are_those_of_the_class() -> None:
    """A field that nobody said is at its default and does not count as said; of inherited ones, too."""

    class Base(Model):
        name: str
        size: int = Field(3, ge=0)

    class Derived(Base):
        size: int = 4

    made = Derived(name="a")
    assert (made.size, Base(name="a").size) == (4, 3)
    assert made.model_fields_set == {"name"}
    assert made == Derived(name="a", size=4)
    assert repr(made) == "Derived(name='a')"


def test_a_definition_in_python_needs_no_pydantic() -> None:
    """Writing, reading and planning a workflow of usual commands leaves it alone; a mistake brings it in."""
    code = (
        "import sys\n"
        "from orchestrator_nb import DefinitionError, Workflow\n"
        "flow = Workflow('w', slots=2, parameters={'day': '2026-01-01'})\n"
        "flow.shell(['true'], id='a', retries=2, tags=['x'], timeout='5m')\n"
        "flow.shell(['true'], id='b', after='a', gates=['a > 1'], resources={'memory': '1MB'})\n"
        "flow.definition, flow.to_yaml()\n"
        "print('pydantic' in sys.modules)\n"
        "try:\n    flow.shell(['true'], id='c', retries='often')\n"
        "except DefinitionError as error:\n    print('pydantic' in sys.modules, 'retries' in str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]
