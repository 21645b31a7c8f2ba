"""What the tests of plans share: a way to plan a definition with the real types of command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator_nb.commands.callable import CallableCommand
from orchestrator_nb.commands.shell import ShellCommand
from orchestrator_nb.definition.reading import read_definition
from orchestrator_nb.plan.plan import Plan, make_plan


@pytest.fixture
def planned(tmp_path) -> Callable[..., Plan]:
    """Plan commands in the test's folder: a mapping from ids to their fields, `python` runs where none is named."""

    def plan(
        commands: dict[str, dict[str, Any]],
        *,
        functions: dict[str, Callable[..., Any]] | None = None,
        given: dict[str, Any] | None = None,
        settled: tuple[str, ...] = (),
        types: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Plan:
        functions = functions or {}
        bodies = {
            name: {"call": f"__main__:{name}"} | body if name in functions else _runs_something(body)
            for name, body in commands.items()
        }
        loaded = read_definition({"workflow": "test", "commands": bodies, **fields}, folder=tmp_path)
        known = types or {"call": CallableCommand(functions), "shell": ShellCommand()}
        return make_plan(
            loaded.definition,
            folder=loaded.folder,
            commands=known,
            parameters=given or {},
            place=loaded.placed,
            settled=settled,
        )

    return plan


def _runs_something(body: dict[str, Any]) -> dict[str, Any]:
    kinds = {"notebook", "call", "shell", "command", "type"}
    return body if kinds & body.keys() else {"shell": ["python", "-c", "pass"], **body}
