"""Other spellings of a definition: the seed's camelCase, other words, shorter forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb.definition.models import CommandDefinition, WorkflowDefinition
from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.definition.writing import to_dict
from orchestrator_nb.errors import DefinitionError, Mistake

CALL = {"call": "steps:run"}


def read(commands: Any, **workflow: Any) -> WorkflowDefinition:
    return read_definition({"workflow": "w", "commands": commands, **workflow}).definition


def one(**body: Any) -> CommandDefinition:
    return read({"a": {**CALL, **body}}).commands[0]


def mistakes(commands: Any, **workflow: Any) -> tuple[Mistake, ...]:
    with pytest.raises(DefinitionError) as caught:
        read(commands, **workflow)
    return caught.value.mistakes


def test_the_sequential_example_of_camel_case_loads() -> None:
    """A list of registered commands with text arguments gets its ids from the names."""
    definition = read_definition({
        "workflowId": "research_plan_execute_auth",
        "pattern": "sequential",
        "commands": [
            {"command": "/query", "args": "Research authentication patterns"},
            {"command": "/feature", "args": "Design auth system from research"},
            {"command": "/task", "args": "Implement auth with TDD"},
        ],
    }).definition  # fmt: skip
    assert definition.workflow == "research_plan_execute_auth"
    assert definition.pattern == "sequential"
    assert [(command.id, command.command) for command in definition.commands] == [
        ("query", "/query"), ("feature", "/feature"), ("task", "/task"),
    ]  # fmt: skip
    assert definition.commands[1].args == "Design auth system from research"


def test_the_parallel_example_of_camel_case_loads() -> None:
    """Ids come from the agents, and dependencies name agents."""
    definition = read_definition({
        "workflowId": "parallel_component_dev",
        "pattern": "parallel_coordination",
        "commands": [
            {"command": "/task", "agent": "frontend", "scope": "UI components"},
            {"command": "/task", "agent": "backend", "scope": "API logic"},
            {"command": "/task", "agent": "testing", "scope": "test suite", "dependencies": ["frontend", "backend"]},
        ],
    }).definition  # fmt: skip
    assert definition.pattern == "parallel"
    assert [command.id for command in definition.commands] == ["frontend", "backend", "testing"]
    assert definition.command("testing").after == ("frontend", "backend")
    assert definition.command("backend").scope == "API logic"


def test_the_fields_of_the_seed_are_read() -> None:
    """The interfaces' field names give the same model as the canonical ones."""
    definition = read_definition({
        "workflowId": "w", "workflowType": "hybrid",
        "commands": [
            {"commandId": "get", "commandType": "/query", "arguments": {"topic": "x"}},
            {"commandId": "use", "commandType": "notebook", "notebook": "use.ipynb", "dependencies": ["get"],
             "timeouts": {"execution": 30}, "retryPolicy": {"maxRetries": 2, "initialDelay": "2s"}},
        ],
        "dependencies": {"use": ["get"]},
    }).definition  # fmt: skip
    get, use = definition.commands
    assert (get.command, get.parameters, get.args) == ("/query", {"topic": "x"}, None)
    assert (use.notebook, use.after, use.timeout) == ("use.ipynb", ("get",), 30)
    assert (use.retries, use.retry_delay) == (2, 2.0)


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("execution", "timeout"), ("startup", "start_timeout"), ("kernelStart", "start_timeout"),
        ("cell", "cell_timeout"), ("cellTimeout", "cell_timeout"), ("idle", "idle_timeout"), ("output", "idle_timeout"),
    ],
)  # fmt: skip
def test_all_limits_of_a_notebook_may_be_said_together(key: str, field: str) -> None:
    """Below `timeouts` each limit has its word, and durations are read as anywhere."""
    body = {"id": "a", "notebook": "a.ipynb", "timeouts": {key: "1m30s"}}
    command = read_definition({"workflow": "w", "commands": [body]}).definition.command("a")
    assert getattr(command, field) == 90
    plain = read_definition({"workflow": "w", "commands": [{"id": "a", "notebook": "a.ipynb", field: 90}]}).definition
    assert plain.command("a") == command


def test_a_whole_definition_of_the_seed_is_read() -> None:
    """Every field of its interfaces has its place in the model, the strategies too."""
    definition = read_definition({
        "workflowId": "w", "workflowType": "hybrid",
        "commands": [
            {"commandId": "get", "commandType": "/query", "arguments": "topic", "qualityGates": ["rows > 0"],
             "timeouts": {"execution": "5m"}, "retryPolicy": {"maxAttempts": 3}, "capabilities": ["search"]},
            {"commandId": "use", "commandType": "notebook", "notebook": "use.ipynb", "sla": {"seconds": 60},
             "qualityGates": [{"expression": "rmse < 3.5", "blocking": False}], "outputs": ["rmse"]},
        ],
        "dependencies": {"use": ["get"]},
        "qualityRequirements": ["coverage >= 80", {"gate": "bandit", "name": "security"}],
        "executionStrategy": {
            "parallelization": {"maxParallel": 2}, "resourceAllocation": {"db": 2},
            "optimization": {"adaptive": False}, "monitoring": {"interval": "2s"},
        },
        "errorRecoveryStrategy": {"maxRetries": 1, "initialDelay": "500ms"},
        "timeouts": {"deadline": "2h", "coordination": 90, "command": "10m"},
        "executionContext": {"tries": 0},
    }).definition  # fmt: skip
    get, use = definition.commands
    assert (get.args, get.timeout, get.retries, get.provides) == ("topic", 300, 2, ("search",))
    assert [(gate.gate, gate.blocks) for gate in (*get.gates, *use.gates)] == [
        ("rows > 0", True),
        ("rmse < 3.5", False),
    ]
    assert (use.after, use.targets, use.outputs) == (("get",), {"seconds": 60}, {"rmse": "any"})
    assert [(gate.gate, gate.name) for gate in definition.quality_requirements] == [
        ("coverage >= 80", ""), ("bandit", "security"),
    ]  # fmt: skip
    assert (definition.pattern, definition.slots, definition.pools) == ("hybrid", 2, {"db": 2})
    assert (definition.optimization.adaptive, definition.monitoring.interval) == (False, 2.0)
    assert (definition.recovery.retries, definition.recovery.retry_delay) == (1, 0.5)
    assert (definition.deadline, definition.coordination_timeout, definition.timeout) == (7200, 90, 600)
    assert definition.context == {"tries": 0}
    assert read_definition(to_dict(definition)).definition == definition


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("off", {"at": []}), (False, {"at": []}), ("on", None), (True, None), ({}, None),
        ({"boundaries": "start", "sizeLimit": 7}, {"at": ["start"], "size_limit": 7}),
        ({"keep": {"count": 9, "age": "2d"}}, {"keep": 9, "keep_for": 172800.0}),
        ({"retention": 9, "age": "none", "exclude": "raw/*"}, {"keep": 9, "keep_for": "none", "exclude": ["raw/*"]}),
    ],
)  # fmt: skip
def test_checkpoints_are_said_in_a_word_or_a_mapping(said: object, found: object) -> None:
    """Off is no moment at all, on is the default; how many and how long may stand together."""
    definition = read_definition({"workflow": "w", "commands": {"a": CALL}, "checkpoints": said}).definition
    assert to_dict(definition).get("checkpoints") == found
    assert read_definition(to_dict(definition)).definition == definition


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("fork", {"start": "fork"}), ("pool", {"start": "pool"}), ({"preload": "pandas"}, {"preload": ["pandas"]}),
        ({"start": "plain", "preload": []}, {"start": "plain", "preload": []}), ({}, None),
    ],
)  # fmt: skip
def test_kernels_are_said_in_a_word_or_a_mapping(said: object, found: object) -> None:
    """A word is how they are started; for the workflow and for one of its notebooks, and what is said reads back."""
    notebook = {"notebook": "a.ipynb", "kernels": said}
    definition = read_definition({"workflow": "w", "commands": {"a": notebook}, "kernels": said}).definition
    written = to_dict(definition)
    assert written.get("kernels") == found
    assert written["commands"]["a"].get("kernels") == ({} if found is None else found)
    assert read_definition(written).definition == definition


@pytest.mark.parametrize(
    ("said", "path", "nearest"),
    [
        ("frok", "/kernels", "fork"),
        ({"strat": "fork"}, "/kernels/strat", "start"),
        ({"start": 1}, "/kernels/start", None),
    ],
)
def test_a_mistake_in_how_kernels_start_is_named_with_what_was_meant(
    said: object, path: str, nearest: str | None
) -> None:
    """The key or word that is nearest is offered, for the workflow and for a command alike."""
    for place, document in (
        ("", {"commands": {"a": CALL}, "kernels": said}),
        ("/commands/a", {"commands": {"a": {"notebook": "a.ipynb", "kernels": said}}}),
    ):
        with pytest.raises(DefinitionError) as refused:
            read_definition({"workflow": "w", **document})
        (mistake,) = refused.value.mistakes
        assert (mistake.path, mistake.nearest) == (f"{place}{path}", nearest)


@pytest.mark.parametrize(
    ("strategy", "found"),
    [
        ({"executionStrategy": "parallel"}, ("parallel", None)),
        ({"executionStrategy": {"parallelization": "parallel_coordination"}}, ("parallel", None)),
        ({"executionStrategy": {"parallelization": {"pattern": "sequential", "slots": 3}}}, ("sequential", 3)),
    ],
)
def test_a_strategy_may_be_a_word_or_a_mapping(strategy: dict[str, Any], found: tuple[str, int | None]) -> None:
    """The word is the pattern; the mapping has the number of slots besides."""
    definition = read_definition({"workflow": "w", "commands": {"a": CALL}, **strategy}).definition
    assert (definition.pattern, definition.slots) == found


@pytest.mark.parametrize(
    ("more", "path", "words", "nearest"),
    [
        ({"executionStrategy": {"monitring": {}}}, "/executionStrategy/monitring", "no key", "monitoring"),
        (
            {"executionStrategy": {"monitoring": {"intervl": 1}}},
            "/executionStrategy/monitoring/intervl",
            "no key",
            "interval",
        ),
        (
            {"executionStrategy": {"parallelization": {"slot": 1}}},
            "/executionStrategy/parallelization/slot",
            "no key",
            "slots",
        ),
        ({"executionStrategy": "parallel", "pattern": "hybrid"}, "/executionStrategy", "said twice", None),
        ({"errorRecoveryStrategy": {"maxRetris": 1}}, "/errorRecoveryStrategy/maxRetris", "no key", "max_retries"),
        ({"errorRecoveryStrategy": {"attempts": 0}}, "/errorRecoveryStrategy/attempts", "cannot be counted", None),
        ({"errorRecoveryStrategy": "pray"}, "/errorRecoveryStrategy", "cannot be used", None),
        (
            {"qualityRequirements": [{"gate": "a < 1", "blocks": True}]},
            "/qualityRequirements/0/blocks",
            "no key",
            "blocking",
        ),
        ({"qualityRequirements": [{"name": "x"}]}, "/qualityRequirements/0/gate", "missing", None),
        ({"qualityRequirements": 3}, "/qualityRequirements/0", "cannot be used", None),
        ({"timeouts": {"dedline": 3}}, "/timeouts/dedline", "no key", "deadline"),
        ({"deadline": -3}, "/deadline", "cannot be used", None),
        ({"context": {"day": "${{ parameters.day }}"}}, "/context", "cannot hold a reference", None),
        ({"context": {"when": {1, 2}}}, "/context/when", "plain JSON", None),
        ({"optimization": {"history": "no"}}, "/optimization/history", "cannot be used", None),
    ],
)
def test_mistakes_in_the_parts_of_a_workflow_are_told(
    more: dict[str, Any], path: str, words: str, nearest: str | None
) -> None:
    """Strategies, requirements and limits are checked like the rest: the place, what is wrong, the nearest key."""
    with pytest.raises(DefinitionError) as caught:
        read_definition({"workflow": "w", "commands": {"a": CALL}, **more})
    (found,) = caught.value.mistakes
    assert (found.path.removesuffix("/0"), found.nearest) == (path.removesuffix("/0"), nearest)
    assert words in f"{found.message} {found.expected}"


@pytest.mark.parametrize("key", ["after", "dependencies", "depends_on", "dependsOn", "upstream"])
@pytest.mark.parametrize("value", ["b", ["b"], ("b",)])
def test_dependencies_have_many_names_and_may_be_one_text(key: str, value: Any) -> None:
    """All words for dependencies mean `after`, as a text or a list."""
    assert read({"a": {**CALL, key: value}, "b": CALL}).commands[0].after == ("b",)


@pytest.mark.parametrize(
    ("body", "retries"),
    [
        ({"retries": 2}, 2), ({"attempts": 3}, 2), ({"maxAttempts": 1}, 0), ({"max_retries": 4}, 4),
        ({"retryPolicy": 5}, 5), ({"retryPolicy": {"attempts": 3}}, 2), ({"retry_policy": {"maxRetries": 1}}, 1),
    ],
)  # fmt: skip
def test_attempts_are_retries_and_one(body: dict[str, Any], retries: int) -> None:
    """`retries` counts the tries after the first, `attempts` all of them, wherever they are written."""
    assert one(**body).retries == retries


def test_a_retry_says_in_one_place_how_often_when_and_with_what() -> None:
    """The mapping and the plain keys are the same."""
    retry = {"attempts": 3, "delay": "5s", "resources": {"memory": "4GB"}}
    (one,) = read_definition({"workflow": "w", "commands": {"a": {"call": "m:f", "retry": retry}}}).definition.commands
    assert (one.retries, one.retry_delay, one.retry_resources) == (2, 5.0, {"memory": "4GB"})
    plain = {"call": "m:f", "retries": 2, "retry_delay": 5, "retry_resources": {"memory": "4GB"}}
    assert read_definition({"workflow": "w", "commands": {"a": plain}}).definition.commands == (one,)


@pytest.mark.parametrize(("written", "seconds"), [(90, 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("1.5 h", 5400)])
def test_durations_may_have_units(written: Any, seconds: float) -> None:
    """A timeout is seconds, or a text with units."""
    assert one(timeout=written).timeout == seconds


def test_a_timeout_may_be_none() -> None:
    """`none` lifts the limit, null leaves the workflow's."""
    assert one(timeout="none").timeout == "none"
    assert one(timeout=None).timeout is None


def test_ids_are_made_from_what_runs() -> None:
    """A command in a list without an id gets one from its agent, name, notebook, function or program, numbered."""
    definition = read([
        {"command": "/task", "agent": "Front End"}, {"command": "/task"}, {"command": "/task"},
        {"notebook": "sub/01 - Clean data.ipynb"}, {"call": "steps.io:load"}, {"shell": ["/bin/echo", "hi"]},
        {"id": "task-2", "command": "/task"}, {"type": "spark"}, {"command": "/context"},
    ])  # fmt: skip
    assert [command.id for command in definition.commands] == [
        "front-end", "task", "task-3", "01-clean-data", "load", "echo", "task-2", "spark", "context-2",
    ]  # fmt: skip


def test_many_equal_names_are_numbered_in_linear_time() -> None:
    """Ten thousand commands of one name get ten thousand ids."""
    definition = read([{"command": "/task"}] * 10_000)
    assert definition.commands[-1].id == "task-10000"


def test_an_agent_stands_for_all_its_commands() -> None:
    """A dependency on an agent is one on each of its commands, save the command itself."""
    definition = read([
        {**CALL, "agent": "build"}, {**CALL, "agent": "build"}, {**CALL, "agent": "test", "after": ["build"]},
        {**CALL, "id": "more", "agent": "test", "after": "test"},
    ])  # fmt: skip
    assert definition.commands[2].after == ("build", "build-2")
    assert definition.command("more").after == ("test",)


def test_a_written_id_is_meant_before_an_agent_of_that_name() -> None:
    """Where a command was given an id, a dependency on that name is one on that command alone."""
    definition = read({"x": {**CALL, "agent": "y"}, "y": {**CALL, "agent": "y"}, "z": {**CALL, "after": ["y"]}})
    assert definition.command("z").after == ("y",)


def test_parameters_may_be_plain_defaults() -> None:
    """The type of a plain default is inferred; a declaration is one; without a default it is required."""
    declared = read(
        {"a": CALL},
        parameters={
            "day": "2026-01-01", "n": 3, "x": 1.5, "on": True, "names": ["a"], "tree": {"k": 1}, "free": None,
            "size": {"type": "integer", "choices": [1, 2], "default": 1}, "must": {"type": "date"},
        },
    ).parameters  # fmt: skip
    types = {name: (parameter.type, parameter.default, parameter.required) for name, parameter in declared.items()}
    assert types == {
        "day": ("string", "2026-01-01", False), "n": ("integer", 3, False), "x": ("number", 1.5, False),
        "on": ("boolean", True, False), "names": ("list", ["a"], False), "tree": ("object", {"k": 1}, False),
        "free": ("any", None, False), "size": ("integer", 1, False), "must": ("date", None, True),
    }  # fmt: skip
    assert declared["size"].choices == (1, 2)


def test_a_declared_type_brings_a_default_into_its_form() -> None:
    """A path and a tuple become text and a list where the declared type says so."""
    declared = read(
        {"a": CALL},
        parameters={"p": {"type": "path", "default": Path("x") / "y"}, "l": {"type": "list", "default": (1, 2)}},
    ).parameters
    assert declared["p"].default == str(Path("x") / "y")
    assert declared["l"].default == [1, 2]


def test_a_misspelt_declaration_is_not_taken_for_a_default() -> None:
    """A mapping that is nearly a declaration is a mistake, not an object."""
    (found,) = mistakes({"a": CALL}, parameters={"n": {"type": "integer", "defualt": 3}})
    assert (found.path, found.nearest) == ("/parameters/n/defualt", "default")


def test_paths_may_be_path_objects() -> None:
    """A Path where a path belongs is text in the model."""
    command = read({"a": {"notebook": Path("a.ipynb"), "writes": Path("b.csv"), "reads": [Path("c.csv")]}}).commands[0]
    assert (command.notebook, command.writes, command.reads) == ("a.ipynb", ("b.csv",), ("c.csv",))


@pytest.mark.parametrize(
    ("commands", "path", "words"),
    [
        ({"a": {**CALL, "after": [], "dependsOn": []}}, "/commands/a/dependsOn", "mean the same"),
        ([{**CALL, "retries": 1, "attempts": 2}], "/commands/0/attempts", "said twice"),
        ({"a": {**CALL, "attempts": 0}}, "/commands/a/attempts", "cannot be counted"),
        ({"a": {**CALL, "retryPolicy": {"maxRetris": 1}}}, "/commands/a/retryPolicy/maxRetris", "no key"),
        ({"a": {**CALL, "retryPolicy": {"maxRetries": "3"}}}, "/commands/a/retryPolicy/maxRetries", "cannot be used"),
        ({"a": {**CALL, "id": "b"}}, "/commands/a/id", "two ids"),
        ({"a": {"type": "notebook"}}, "/commands/a/type", "does not say which"),
        ({"a": "clean.ipynb"}, "/commands/a", "not a mapping"),
        ([CALL, None], "/commands/1", "not a mapping"),
        ([{**CALL, "dependencies": "nobody"}], "/commands/0/dependencies", "no command"),
        ({"a": {**CALL, 3: 4}}, "/commands/a", "not text"),
        ({3: CALL}, "/commands/3", "cannot be used"),
        (None, "/commands", "cannot be read"),
        ("a", "/commands", "cannot be read"),
        ({}, "/commands", "has no commands"),
        ([], "/commands", "has no commands"),
    ],
)
def test_mistakes_are_told_where_the_user_wrote_them(commands: Any, path: str, words: str) -> None:
    """The path of a mistake leads through the user's own keys."""
    (found,) = mistakes(commands)
    assert found.path.removesuffix("/0") == path.removesuffix("/0")
    assert words in found.message


def test_dependencies_of_the_workflow_are_checked() -> None:
    """The workflow's own table of dependencies has to be a mapping of known names."""
    (found,) = mistakes({"clean": CALL, "b": CALL}, dependencies={"claen": ["b"]})
    assert (found.path, found.nearest) == ("/dependencies/claen", "clean")
    (found,) = mistakes({"clean": CALL, "b": CALL}, dependencies={"b": ["claen"]})
    assert (found.path, found.nearest) == ("/dependencies/b/0", "clean")
    (found,) = mistakes({"clean": CALL}, dependencies=["clean"])
    assert found.path == "/dependencies"
