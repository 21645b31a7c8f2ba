"""What somebody sees who works in a session or a notebook: how things print, errors, cells that are run again."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator_nb import DefinitionError, RunFailed, Workflow, attach
from orchestrator_nb.errors import RunNotFound, UsageError
from orchestrator_nb.events import Failure
from orchestrator_nb.orchestrator.display.failure_card import FIRST_LINES, LAST_LINES, card_lines
from orchestrator_nb.orchestrator.display.result import described

pytestmark = pytest.mark.usefixtures("project")


def _flow() -> Workflow:
    flow = Workflow("study", parameters={"day": "2026-01-01"})

    @flow.command
    def load(day: str) -> list[str]:
        return [day]

    @flow.command
    def clean(load: list[str]) -> int:
        raise KeyError("amount")

    return flow


def test_a_plan_shows_itself_as_a_listing() -> None:
    """What a notebook shows of a plan is the order and the reasons, not the objects that it is made of."""
    shown = repr(_flow().plan())
    assert "study: 2 commands, 1 edge, 1 of them inferred" in shown
    assert 'clean after load: takes "load"' in shown
    assert "CommandDefinition" not in shown


def test_a_failed_run_shows_what_went_wrong_in_one_table() -> None:
    """The result's table and the status name the exception with its type, as they print and as HTML."""
    result = _flow().run(check=False)
    assert [row["output"] for row in result.summary_rows()] == ["['2026-01-01']", "KeyError: 'amount'"]
    assert "<td>KeyError: &#x27;amount&#x27;</td>" in result._repr_html_()
    status = attach(result.run).status()
    assert repr(status) == str(status)
    assert "KeyError: 'amount'" in repr(status)
    with pytest.raises(KeyError, match='no value "clean"; there is "load"'):
        result.outputs["clean"]


def test_a_model_in_memory_is_described_by_its_type() -> None:
    """The key under which a value is kept in memory is not shown to anybody."""
    flow = Workflow("models")

    @flow.command
    def model() -> Any:
        return threading.Lock()

    stored = flow.run().outputs.stored["model"]
    assert stored.form == "live"
    assert described(stored) == "<_thread.lock, in memory>"


def test_an_error_in_a_cell_shows_the_users_lines_only() -> None:
    """IPython is given the frames of the user's code and the message, without those of this package."""
    with pytest.raises(RunFailed) as caught:
        _flow().run()
    lines = caught.value._render_traceback_()
    assert sum(line.startswith("  File") for line in lines) == 1
    assert __file__ in lines[0]
    assert lines[-1].startswith('RunFailed: run "study-')
    with pytest.raises(DefinitionError) as refused:
        Workflow("none").plan()
    assert "the workflow has no commands" in refused.value._render_traceback_()[-1]


def test_a_card_shows_both_ends_of_a_long_traceback_and_nothing_twice() -> None:
    """The user's frame comes first and is shown; of exceptions that led to each other the last one is; the last line,
    which the card says already, is not said again."""
    middle = [f'  File "library.py", line {number}, in inner' for number in range(40)]
    cause = ["Traceback (most recent call last):", *middle, "OSError: gone", "", "The above led to this:", ""]
    trace = ["Traceback (most recent call last):", '  File "mine.py", line 3, in clean', *middle, "KeyError: 'a'"]
    failure = Failure(kind="exception", message="'a'", types=("KeyError",), traceback="\n".join([*cause, *trace]))
    lines = [line.strip() for line in card_lines("clean", failure, Path("out.ipynb"), None)]
    assert lines[:2] == ['"clean" failed (exception)', "KeyError: 'a'"]
    assert lines.count("KeyError: 'a'") == 1
    assert 'File "mine.py", line 3, in clean' in lines
    assert f"... {len(cause)} lines left out" in lines
    assert len(lines) == 2 + 1 + FIRST_LINES + 1 + LAST_LINES + 1
    assert lines[-1] == "output notebook: out.ipynb"


def test_the_latest_run_is_the_latest_of_this_workflow() -> None:
    """A flow goes on with its own latest run, whatever was run since in the same store."""
    mine = _flow()
    with pytest.raises(RunFailed) as caught:
        mine.run()
    other = Workflow("other")
    other.command(lambda: 1, id="one")
    other.run()
    assert mine.resume(check=False).id == caught.value.result.run
    with pytest.raises(RunNotFound, match='no runs of "third"'):
        Workflow("third").resume()


def test_a_parameter_that_does_not_fit_its_notebook_is_found_by_the_plan(project: Path) -> None:
    """A workflow's parameter is checked against the notebook that it goes to before anything runs."""
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "rows = 5", "outputs": []}
    document = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [{**cell, "execution_count": None}]}
    (project / "clean.ipynb").write_text(json.dumps(document), encoding="utf-8")
    flow = Workflow.from_notebook(project / "clean.ipynb")
    assert flow.plan(rows=6).parameters == {"rows": 6}
    with pytest.raises(DefinitionError, match="another type than the notebook says"):
        flow.plan(rows="many")


def test_outside_of_a_session_a_second_definition_is_refused() -> None:
    """In a program two functions of one name are a slip, and the message says what to do."""
    flow = _flow()
    with pytest.raises(UsageError, match='"load" already; give this one another id='):
        flow.command(lambda: 1, id="load")


CELLS = {
    "define": """
import asyncio
from orchestrator_nb import Workflow, context
flow = Workflow("study")

@flow.command
def load():
    return 2

@flow.command
def clean(load):
    raise ValueError("not yet")
""",
    "run": "flow.run()",
    "edit": """
@flow.command
def clean(load):
    return load + 40
""",
    "resume": "flow.resume().wait().outputs['clean']",  # where somebody looks on, it returns at once
    "twice": """
@flow.command
def last(clean):
    return 1

@flow.command
def last(clean):
    return 2
""",
    "slow": """
slow = Workflow("slow")

@slow.command
def wait():
    import time
    while True:
        context.metric("beat", time.time())
        time.sleep(0.05)

run = slow.start(wait=False)
""",
    "await": "print('awaits', flush=True)\nawait run",
    "state": "run.wait(check=False).state",
}


@pytest.mark.kernel
def test_a_notebook_defines_fails_edits_resumes_and_interrupts() -> None:
    """A cell that is edited and run again defines its function anew; one cell cannot define two of one name; the
    interrupt of a cell that awaits a run pauses it soon."""
    seen = asyncio.run(_typed_in_a_kernel(CELLS))
    assert "ValueError: not yet" in seen["run"]
    assert seen["edit"] == ""
    assert seen["resume"] == "42"
    assert 'has a command "last" already' in seen["twice"]
    assert "CancelledError" in seen["await"]
    assert seen["state"] == "'paused'"


async def _typed_in_a_kernel(cells: dict[str, str]) -> dict[str, str]:
    """Run cells one after the other in one kernel, and return what each showed; one that prints is interrupted."""
    from jupyter_client.manager import start_new_async_kernel

    manager, client = await start_new_async_kernel(kernel_name="python3")
    shown: list[str] = []
    interrupts: list[asyncio.Task[None]] = []

    async def interrupt() -> None:
        # a while after it has begun to wait: what is looked for is that the waiting itself can be interrupted
        await asyncio.sleep(0.5)
        await manager.interrupt_kernel()

    def show(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "execute_result":
            shown.append(content["data"]["text/plain"])
        elif message["msg_type"] == "error":
            shown.append("\n".join(content["traceback"]))
        elif message["msg_type"] == "stream":
            interrupts.append(asyncio.create_task(interrupt()))

    seen = {}
    try:
        for name, cell in cells.items():
            shown.clear()
            await client.execute_interactive(cell, output_hook=show, timeout=20)
            seen[name] = "\n".join(shown)
        await asyncio.gather(*interrupts)
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
    return seen
