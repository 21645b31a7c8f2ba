"""Conditions: whether what a command's `when` says holds, by what the journal has of its upstream and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator_nb import events as e
from orchestrator_nb.definition.expressions import Expression, Lookup, follow
from orchestrator_nb.definition.names import addresses
from orchestrator_nb.errors import UsageError
from orchestrator_nb.state.run_state import RunState
from orchestrator_nb.state.transitions import DONE

CAUSE = "when"
"""The `cause` of a command that was skipped because its condition did not hold."""

_SHOWN = 60


def unmet(command: str, state: RunState, now: float) -> e.CommandSkipped | e.CommandFailed | None:
    """Return the end of a command that may start but for its condition: skipped where that does not hold, failed
    where it cannot be worked out; None where it holds or where there is none.

    What it looks up is a key of a result, else a recorded output, else a metric of a command that succeeded; a
    parameter; a value of the matrix; or of the context the workflow, the run, the command and the number of the attempt. All of it is in the
    journal: what is kept in a file, a table or a long text, cannot be looked at.
    """
    when = state.planned[command].when
    if not when:
        return None
    seen: dict[str, str] = {}

    def look_up(name: Lookup) -> Any:
        value = _looked_up(name, command, state)
        seen[name.text] = _shown(value)
        return value

    try:
        holds = bool(Expression.parse(when).value(look_up))
    except UsageError as error:
        failure = e.Failure(
            kind="condition", message=f"when: {error}", stage="deciding whether it runs", transient=False
        )
        return e.CommandFailed(at=now, command=command, reason=failure.message, failure=failure)
    if holds:
        return None
    values = ", ".join(f"{text} is {value}" for text, value in seen.items())
    reason = f"when: {' '.join(when.split())}" + (f" ({values})" if values else "")
    return e.CommandSkipped(at=now, command=command, reason=reason, cause=CAUSE)


def _looked_up(name: Lookup, command: str, state: RunState) -> Any:
    if name.root == "parameters":
        return follow(dict(state.run.parameters), name, name.keys, "the workflow's parameters")
    planned = state.planned[command]
    if name.root == "matrix":
        return follow(dict(planned.cell), name, name.keys, "the matrix")
    if name.root == "context":
        run, attempt = state.run, state.commands[command].attempt + 1
        known = {"workflow": run.workflow, "run": run.run, "command": command, "attempt": attempt}
        return follow(known, name, name.keys, "the context")
    target = addresses(dict.fromkeys([*planned.fan_ins, *planned.upstream])).get(name.root)
    if target is None:
        raise UsageError(f'"{name.text}" looks at "{name.root}", which is no upstream command')
    cells = planned.fan_ins.get(target, target)
    return (
        _of_command(name, name.keys, cells, state) if isinstance(cells, str) else _gathered(name, target, cells, state)
    )


def _gathered(name: Lookup, matrix: str, cells: Mapping[str, str], state: RunState) -> Any:
    """Return what the look-up finds in the results of cells, those that succeeded, by their keys."""
    there = {key: cell for key, cell in cells.items() if state.commands[cell].state in DONE}
    if not name.keys:
        return {key: _of_command(name, (), cell, state) for key, cell in there.items()}
    cell = follow(there, name, name.keys[:1], f'the results of "{matrix}"')
    return _of_command(name, name.keys[1:], cell, state)


def _of_command(name: Lookup, keys: tuple[str | int, ...], target: str, state: RunState) -> Any:
    """Return what keys lead to in a result, else in what was recorded, else among the metrics."""
    record = state.commands[target]
    if record.state not in DONE:
        raise UsageError(f'"{name.text}" looks at "{target}", which has no result: it is {record.state}')
    result = record.result or e.Stored(form="json")
    place = f'the result of "{target}"'
    if not keys:
        output = record.output() or result
        return _plain(output, name, place)
    key, rest = str(keys[0]), keys[1:]
    if result.items is not None and key in result.items:
        return follow(_plain(result.items[key], name, place), name, rest, f"{place} at {key}")
    value = result.value if result.form == "json" and result.artifact is None else None
    if isinstance(value, list) or (isinstance(value, dict) and key in value):
        return follow(value, name, keys, place)
    if key in record.recorded:
        what = f'what "{target}" recorded as {key}'
        return follow(_plain(record.recorded[key], name, what), name, rest, what)
    if key in record.metrics and not rest:
        return record.metrics[key]
    if result.artifact is not None or result.form == "live":
        return _plain(result, name, place)  # says that it cannot be looked at
    there = [*(result.items or {}), *(value if isinstance(value, dict) else ()), *record.recorded, *record.metrics]
    return follow(dict.fromkeys(there), name, (key,), place)  # says what is there


def _plain(stored: e.Stored, name: Lookup, place: str) -> Any:
    """Return a stored value that the journal itself holds. Raises UsageError for any other."""
    if stored.form == "json" and stored.artifact is None:
        return stored.value
    if stored.form == "mapping":
        return {key: _plain(item, name, place) for key, item in (stored.items or {}).items()}
    kind = stored.type or stored.form
    raise UsageError(
        f'"{name.text}" asks {place}, which is a {kind} and not kept in the journal, so that it cannot be looked at; '
        f'record what matters by itself: context.record("{name.keys[0] if name.keys else "rows"}", …)'
    )


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
