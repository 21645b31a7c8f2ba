"""Callables: found, checked before they run, called with what they take, their source known."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import functools
import os
import subprocess
import sys
import textwrap
import threading
import timeit
from pathlib import Path

import pytest

from orchestrator_nb import context
from orchestrator_nb.commands.callable import CallableCommand, RegisteredCommand
from orchestrator_nb.commands.registry import Registry
from orchestrator_nb.definition.models import CommandDefinition
from orchestrator_nb.errors import Cancelled, CommandError, UsageError
from orchestrator_nb.ports import Command


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """Return a function that writes a module beside the definition; it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(code, name="onb_steps"):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        return name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("onb_"):
            del sys.modules[name]


def define(**fields) -> CommandDefinition:
    fields.setdefault("call", None if "command" in fields else "m:f")
    return CommandDefinition(id="me", **fields)


def check(function, given, **fields):
    """Return the mistakes of a call with these parameters of a function that a session defined."""
    command = CallableCommand({"me": function})
    return command.check(define(parameters=given, **fields), folder=Path(), upstream={}, parameters=())


def run(attempt_of, function, /, *, results=None, recorded=None, workflow=None, **fields):
    attempt = attempt_of({"call": "m:f", **fields}, results=results, recorded=recorded, parameters=workflow)
    return CallableCommand({"me": function}).run(attempt)


# ── finding ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_both_are_types_of_commands():
    """They keep the contract of a command."""
    assert isinstance(CallableCommand(), Command)
    assert isinstance(RegisteredCommand(), Command)


def test_a_function_is_imported_from_beside_the_definition(module, attempt_of, tmp_path):
    """The definition's folder comes first on the path, from then on; a name may lead into a class."""
    module("import onb_lib\nclass Steps:\n    @staticmethod\n    def publish(n=2): return onb_lib.double(n)\n")
    module("def double(n): return 2 * n\n", "onb_lib")
    definition = {"call": "onb_steps:Steps.publish"}
    command = CallableCommand()
    assert command.check(define(**definition), folder=tmp_path, upstream={}, parameters=()) == []
    assert command.run(attempt_of(definition)) == 4
    assert sys.path[0] == str(tmp_path)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("onb_step:run", ['no module "onb_step"', 'did you mean "onb_steps"?']),
        ("onb_steps:runs", ['"onb_steps" has no "runs"', 'did you mean "run"?']),
        ("onb_steps:run.inner", ['"onb_steps.run" has no "inner"']),
        ("onb_steps:five", ["is no function"]),
        ("onb_steps:Thing", ["is a class"]),
        ("onb_steps:generate", ["is a generator"]),
        ("onb_steps:agenerate", ["is a generator"]),
        ("onb_raises:run", ["raises an error when it is imported", "ZeroDivisionError", "onb_raises.py:2"]),
        ("onb_exits:run", ["exits when it is imported", "SystemExit"]),
        ("onb_needs:run", ["raises an error when it is imported", "No module named 'onb_absent'"]),
        ("no colon", ["does not name a function", "expected module:function"]),
        ("os:system; x", ["does not name a function"]),
    ],
)
def test_what_cannot_be_had_is_a_mistake(module, tmp_path, call, said):
    """Missing modules and names, what cannot be called, and modules that fail are found before the run."""
    module("five = 5\nclass Thing: pass\ndef run(): pass\ndef generate(): yield 1\nasync def agenerate(): yield 1\n")
    module("x = 1\n1 / 0\n", "onb_raises")
    module("raise SystemExit(3)\n", "onb_exits")
    module("import onb_absent\n", "onb_needs")
    (mistake,) = CallableCommand().check(define(call=call), folder=tmp_path, upstream={}, parameters=())
    assert mistake.path == "/call"
    for part in said:
        assert part in str(mistake)


def test_a_module_that_was_edited_is_read_again_before_a_run(module, tmp_path, attempt_of):
    """Fail, edit, resume in one session: the next plan takes today's source, a running command keeps its own."""
    module("def run(): return 'first'\n")
    definition = {"call": "onb_steps:run"}
    command = CallableCommand()
    assert command.check(define(**definition), folder=tmp_path, upstream={}) == []
    assert command.run(attempt_of(definition)) == "first"
    module("def run():\n    return 'second, with more text'\n")
    assert command.run(attempt_of(definition)) == "first"
    planned_anew = CallableCommand()
    assert "second" in planned_anew.source(define(**definition), folder=tmp_path)
    assert planned_anew.run(attempt_of(definition)) == "second, with more text"


def test_another_module_of_the_same_name_is_a_mistake(module, tmp_path):
    """Two definitions whose modules share a name cannot both be meant in one process, and that is said."""
    module("def run(): return 1\n")
    other = tmp_path / "other"
    other.mkdir()
    (other / "onb_steps.py").write_text("def run(): return 2\n")
    command = CallableCommand()
    assert command.check(define(call="onb_steps:run"), folder=tmp_path, upstream={}) == []
    (mistake,) = command.check(define(call="onb_steps:run"), folder=other, upstream={})
    assert "another module" in str(mistake)
    assert str(other / "onb_steps.py") in str(mistake)


def test_a_module_that_fails_during_the_run_is_said(attempt_of):
    """Without a check before, a missing module fails the attempt as one that did not start."""
    with pytest.raises(CommandError, match="no module") as caught:
        CallableCommand().run(attempt_of({"call": "onb_nowhere:run"}))
    assert caught.value.failure["kind"] == "not_started"


# ── checking ────────────────────────────────────────────────────────────────────────────────────────────────────


class Colour(enum.Enum):
    RED = "red"


def typed(
    day: dt.date = dt.date(2026, 1, 1), n: int = 1, size: float = 1.0, path: Path = Path(), tags: tuple[str, ...] = ()
):
    return day, n, size, path, tags


def test_unknown_and_missing_arguments_are_mistakes():
    """Each is named, with the nearest name; what upstream or the workflow gives is not missing."""

    def publish(model, day, *, url="x"):
        pass

    command = CallableCommand({"me": publish})
    definition = define(parameters={"ulr": 1})
    mistakes = command.check(definition, folder=Path(), upstream={"model": "model"}, parameters=["dya"])
    assert [mistake.path for mistake in mistakes] == ["/parameters/ulr", "/parameters"]
    assert 'did you mean "url"?' in str(mistakes[0])
    assert 'nothing gives the argument "day"' in str(mistakes[1])
    assert 'did you mean "dya"?' in str(mistakes[1])
    assert command.check(define(), folder=Path(), upstream={"model": "model"}, parameters=["day"]) == []
    assert command.check(define(), folder=Path(), upstream={}, parameters=None) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"day": "2026-01-02"}, "date"),
        ({"n": 3, "size": 2}, "numbers"),
        ({"path": "a/b.csv"}, "path"),
        ({"tags": ["a", "b"]}, "tuple"),
        ({"day": "${{ parameters.day }}", "n": "${{ clean.n }}"}, "references"),
    ],
)
def test_values_that_fit_are_no_mistake(given, expected):
    """JSON that reads as the annotated type fits, and what a reference gives is not known before."""
    assert check(typed, given) == [], expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"day": "tomorrow"}, 'found the text "tomorrow"; expected date'),
        ({"n": "3"}, 'found the text "3"; expected int'),
        ({"n": 2.5}, "found the number 2.5; expected int"),
        ({"n": True}, "found true; expected int"),
        ({"size": "1.5"}, "expected float"),
        ({"path": 5}, "expected Path"),
        ({"tags": ["a", 5]}, "[1]"),
    ],
)
def test_a_value_of_another_type_is_a_mistake(given, said):
    """Nothing is silently made into text or a number: what was found and what was expected is said."""
    (mistake,) = check(typed, given)
    assert mistake.path == f"/parameters/{next(iter(given))}"
    assert said in str(mistake)


def test_annotations_that_say_nothing_that_can_be_checked_are_let_be():
    """Names that are not there at run time, and types without a check, stop nobody."""
    pd = pytest.importorskip("pandas")

    def odd(a: NotImported, b: "list[Missing]", c: pd.DataFrame, d: int | None = None):  # noqa: F821, UP037
        pass

    def frame(c: pd.DataFrame):
        pass

    assert check(odd, {"a": 1, "b": 2, "c": 3}) == []
    frame.__annotations__ = {"c": pd.DataFrame}
    (mistake,) = check(frame, {"c": "text"})
    assert "expected DataFrame" in str(mistake)


def test_other_things_that_can_be_called(attempt_of):
    """Lambdas, partials, methods, objects with a call and functions written in C are commands too."""

    class Counter:
        def __call__(self, n):
            return n + 1

        def method(self, n):
            return n + 2

    for function, expected in [
        (lambda n: n, 1),
        (functools.partial(lambda a, n: (a, n), 0), (0, 1)),
        (Counter(), 2),
        (Counter().method, 3),
    ]:
        assert check(function, {"n": 1}) == []
        assert run(attempt_of, function, parameters={"n": 1}) == expected
    assert run(attempt_of, os.getpid) == os.getpid()


# ── wanting ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_wants_the_arguments_that_nothing_gives():
    """Arguments with a default may be results too; what the definition gives, and open names, are not wanted."""

    def publish(model, day, table=None, *rest, agent="x", **options):
        pass

    command = CallableCommand({"me": publish})
    definition = define(parameters={"day": 1}, agent="me")
    assert command.wants(definition, folder=Path()) == ("model", "table")
    assert CallableCommand().wants(define(call="onb_nowhere:run"), folder=Path()) == ()


# ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_is_called_with_results_parameters_and_defaults(attempt_of):
    """By position or by name, each argument comes from where the design says."""

    def publish(clean, /, day, scale=2, *rest, unit="m", **options):
        return clean, day, scale, rest, unit, options

    found = run(
        attempt_of, publish, parameters={"unit": "${{ clean.unit }}", "extra": [1]},
        results={"clean": {"unit": "km"}}, workflow={"day": "2026-01-01", "options": 1},
    )  # fmt: skip
    assert found == ({"unit": "km"}, "2026-01-01", 2, (), "km", {"extra": [1]})


def test_arguments_are_read_as_their_annotations_say(attempt_of):
    """A date comes as a date, a list as a tuple, also from the workflow's parameters and from references."""

    def of_colour(colour: Colour, day: dt.date, tags: tuple[str, ...], clean: dt.date):
        return colour, day, tags, clean

    of_colour.__annotations__ = {"colour": Colour, "day": dt.date, "tags": tuple[str, ...], "clean": dt.date}
    found = run(
        attempt_of, of_colour, parameters={"colour": "red", "tags": "${{ clean.tags }}"},
        results={"clean": {"tags": ["a"]}}, workflow={"day": "2026-01-01"},
    )  # fmt: skip
    assert found == (Colour.RED, dt.date(2026, 1, 1), ("a",), {"tags": ["a"]})
    with pytest.raises(UsageError, match=r'"me": the argument "day" does not fit: found the number 5'):
        run(attempt_of, of_colour, parameters={"colour": "red", "tags": []}, workflow={"day": 5})


def test_a_missing_argument_fails_naming_it(attempt_of):
    """What nothing gives when the command starts is said by name."""

    def publish(model):
        pass

    with pytest.raises(UsageError, match='nothing gives the argument "model"'):
        run(attempt_of, publish)


def test_what_it_raises_comes_out(attempt_of):
    """An exception of the function is the function's own."""

    def fail():
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        run(attempt_of, fail)


def test_a_coroutine_function_runs_to_its_end_in_its_context(attempt_of):
    """It is awaited on the calling thread, and its calls of the context reach the attempt."""

    async def fetch(n):
        await asyncio.sleep(0)
        context.metric("n", n)
        return n, threading.current_thread().name

    attempt = attempt_of({"call": "m:f", "parameters": {"n": 3}})
    token = context.install(attempt)
    try:
        value = CallableCommand({"me": fetch}).run(attempt)
    finally:
        token.var.reset(token)
    assert value == (3, threading.current_thread().name)
    assert [(event.name, event.value) for event in attempt_of.events] == [("n", 3.0)]


def test_a_coroutine_is_cancelled_when_its_attempt_is_to_end(attempt_of):
    """Asked to end, a coroutine that waits for ever is cancelled and has its say."""
    waiting = threading.Event()
    cleaned = []

    async def wait():
        try:
            waiting.set()
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    attempt = attempt_of({"call": "m:f"})
    ender = threading.Thread(target=lambda: waiting.wait(30) and attempt.end("timeout", 1.0))
    ender.start()
    with pytest.raises(Cancelled, match="timeout"):
        CallableCommand({"me": wait}).run(attempt)
    ender.join()
    assert cleaned == [True]


def test_a_coroutine_that_cancels_itself_fails(attempt_of):
    """A cancel that nobody asked for is a failure of the command, not a control signal."""

    async def odd():
        raise asyncio.CancelledError

    with pytest.raises(CommandError, match="from inside"):
        run(attempt_of, odd)


def test_a_call_costs_little(attempt_of):
    """A call without arguments costs a few microseconds, not a look at files or signatures."""

    def nothing():
        pass

    attempt = attempt_of({"call": "m:f"})
    command = CallableCommand({"me": nothing})
    command.run(attempt)
    best = min(timeit.repeat(lambda: command.run(attempt), number=2000, repeat=5)) / 2000
    assert best < 30e-6


# ── the source ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_source_is_what_is_written(tmp_path):
    """The text of the function, through partials, wrappers and objects; a partial's arguments count too."""

    def steps(n):
        return n + 12345

    @functools.wraps(steps)
    def wrapped(n):
        return steps(n)

    class Caller:
        def __call__(self):
            return 54321

    def source(function):
        return CallableCommand({"me": function}).source(define(), folder=tmp_path)

    assert "n + 12345" in source(steps)
    assert "n + 12345" in source(wrapped)
    assert "54321" in source(Caller())
    assert source(functools.partial(steps, 1)) != source(functools.partial(steps, 2))
    assert source(os.getpid)


def test_code_without_text_has_a_source_that_every_process_agrees_on():
    """Code typed into an interpreter is told by its compiled form, the same from process to process."""
    program = (
        "from orchestrator_nb.commands.source import source_of\n"
        "space = {}\n"
        'exec(\'def f(n):\\n    return n in {"a", "b", "c"} or [x for x in (1, 2.5)]\', space)\n'
        'exec(\'def g(n):\\n    return n in {"a", "b", "d"} or [x for x in (1, 2.5)]\', space)\n'
        "assert source_of(space['f']) != source_of(space['g'])\n"
        "print(source_of(space['f']))\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True,
            text=True, timeout=60, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(found) == 1
    assert "0x" not in found.pop()


# ── registered names ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def registered():
    registry = Registry(group=None)

    @registry.register("/query")
    def query(question, agent=None, *, clean=None, limit: int = 10):
        return question, agent, clean, limit

    @registry.register("/bare")
    def bare():
        return context.args, context.scope

    return RegisteredCommand(registry)


def test_a_registered_function_gets_args_agent_and_scope(registered, attempt_of):
    """`args` is the first argument, `agent` goes to who takes it, the rest is as for any call."""
    definition = {"command": "/query", "args": {"q": "${{ clean.q }}"}, "agent": "ada", "scope": "all"}
    model = define(**definition)
    assert registered.wants(model, folder=Path()) == ("clean", "limit")
    assert registered.check(model, folder=Path(), upstream={}, parameters=()) == []
    found = registered.run(attempt_of(definition, results={"clean": {"q": "why"}}))
    assert found == ({"q": "why"}, "ada", {"q": "why"}, 10)
    assert "return question, agent" in registered.source(model, folder=Path())


def test_what_a_function_does_not_take_is_in_its_context(registered, attempt_of):
    """A function without arguments can still read what it was asked."""
    attempt = attempt_of({"command": "/bare", "scope": "tests"})
    token = context.install(attempt)
    try:
        assert registered.run(attempt) == (None, "tests")
    finally:
        token.var.reset(token)


@pytest.mark.parametrize(
    ("fields", "path", "said"),
    [
        ({"command": "/qeury"}, "/command", 'did you mean "/query"?'),
        ({"command": "/bare", "args": "x"}, "/args", "takes no argument"),
        ({"command": "/query", "args": "x", "parameters": {"question": "y"}}, "/parameters/question", "given twice"),
        ({"command": "/query", "args": "x", "parameters": {"limit": "many"}}, "/parameters/limit", "expected int"),
        ({"command": "/query"}, "/parameters", 'nothing gives the argument "question"'),
    ],
)
def test_mistakes_in_the_use_of_a_registered_name(registered, fields, path, said):
    """An unknown name and arguments that cannot be are found before the run."""
    (mistake,) = registered.check(define(**fields), folder=Path(), upstream={}, parameters=())
    assert mistake.path == path
    assert said in str(mistake)
